"""Input of an agent's run, read as core reads it, and checked before anything starts."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from llama_index.core.agent.workflow import AgentWorkflow, BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import AgentWorkflowStartEvent
from llama_index.core.memory import BaseMemory
from workflows import Context

from llama_index_streaming_ext.errors import MissingInput
from llama_index_streaming_ext.stream.compaction import shallow_copy
from llama_index_streaming_ext.upstream.contexts import is_before_its_run

KEYWORDS = (
    "user_msg",
    "chat_history",
    "memory",
    "ctx",
    "max_iterations",
    "early_stopping_method",
    "start_event",
    "run_id",
    "keep_raw",
)
_ORDER = ("user_msg", "chat_history", "memory", "ctx")


@dataclass(frozen=True, slots=True)
class AgentInputs:
    """The arguments of `agent.run(...)`.

    Attributes:
        ctx: the context to go on with.
        memory: the memory that was given.
        has_message: whether there is something to answer.
        start_event: the start event that the caller has made.
        named: the keywords that were used.
    """

    ctx: Context[Any] | None = None
    memory: Any = None
    has_message: bool = False
    start_event: Any = None
    named: Sequence[str] = field(default_factory=tuple)

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Self:
        """Read arguments as core does: `run(ctx, start_event)` or `run(user_msg, ...)`."""
        if args and isinstance(args[0], Context):
            positional: dict[str, Any] = dict(zip(("ctx", "start_event"), args, strict=False))
        else:
            positional = dict(zip(_ORDER, args, strict=False))
        named = {key: kwargs[key] for key in KEYWORDS if kwargs.get(key)}
        given = {**positional, **named}
        return cls(
            ctx=given.get("ctx"),
            memory=given.get("memory"),
            has_message=bool(given.get("user_msg") or given.get("chat_history")),
            start_event=given.get("start_event"),
            named=tuple(kwargs),
        )

    @property
    def starts_a_turn(self) -> bool:
        """True if a new turn is started, False if a run that was put away goes on."""
        if self.ctx is None or not self.ctx.is_running:
            return True
        return self.has_message and is_before_its_run(self.ctx)

    def with_memory(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], memory: BaseMemory
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, with a memory where the caller has given none."""
        made = self.start_event
        if made is None:
            return args, {**kwargs, "memory": memory}
        if not isinstance(made, AgentWorkflowStartEvent) or made.get("memory") is not None:
            return args, kwargs
        start_event = shallow_copy(made)
        start_event["memory"] = memory
        return args[:1], {**kwargs, "start_event": start_event}

    def check(self, agent_class: type) -> None:
        """See that there is something to answer.

        Raises:
            MissingInput: there is not; it names what was passed, and what was probably meant.
        """
        if self.has_message or self.start_event is not None:
            return
        if not _asks_for_a_message(agent_class):
            return
        raise MissingInput(
            "The agent has nothing to answer: pass user_msg= (a str or a ChatMessage) or "
            f"chat_history= (a list of ChatMessages). {_said(self.named)}"
        )


def _said(named: Sequence[str]) -> str:
    if not named:
        return "Nothing was passed."
    text = f"Passed: {', '.join(named)}."
    for name in named:
        if name in KEYWORDS:
            continue
        near = difflib.get_close_matches(name, KEYWORDS, n=1, cutoff=0.5)
        text += f" '{name}' is not known"
        text += f"; did you mean '{near[0]}'?" if near else " here."
    if any(name in ("user_msg", "chat_history") for name in named):
        text += " What was passed is empty."
    return text


def _asks_for_a_message(agent_class: type) -> bool:
    """Return True if the agent's first step is core's, which fails without a message.

    A subclass that has one of its own may want something else.
    """
    init_run = inspect.unwrap(getattr(agent_class, "init_run"))  # noqa: B009 # of any class
    return any(init_run is vars(core)["init_run"] for core in (BaseWorkflowAgent, AgentWorkflow))
