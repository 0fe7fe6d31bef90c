"""How our agents take a step: core's own code, at a site of ours."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import AgentOutput
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.memory import BaseMemory
from pydantic import Field
from workflows import Context

from llama_index_streaming_ext.agents.call_observer import AgentCallObserver, Splitter
from llama_index_streaming_ext.agents.truncation import CUT_OFF, truncated, without_tool_calls
from llama_index_streaming_ext.llm.observer import OnIncomplete, observed_by
from llama_index_streaming_ext.llm.options import Options
from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM, streaming
from llama_index_streaming_ext.run.step_context import StepContext
from llama_index_streaming_ext.stream.origin import come_from, current_origin
from llama_index_streaming_ext.upstream.agents import reads_stream_as_core_does

# How an agent of ours wraps its `llm` where core's code is at work for it.
_core_at_work: ContextVar[Callable[[LLM], LLM] | None] = ContextVar(
    "llama_index_streaming_ext.core", default=None
)


@contextmanager
def core_at_work(wrap: Callable[[LLM], LLM] | None = None) -> Generator[None, None, None]:
    """Core's code works for our agents here, so that it gets their wrapped LLMs.

    Args:
        wrap: how they are wrapped; None for the usual way.
    """
    token = _core_at_work.set(wrap or wrapped)
    try:
        yield
    finally:
        _core_at_work.reset(token)


class AgentSteps(BaseWorkflowAgent):
    """Takes the steps of an agent. It stands before core's agent class."""

    streaming_llm: bool = True
    """Wrap the LLM in a `StreamingLLM` while the agent works; False gives upstream's stream."""
    on_incomplete: OnIncomplete = "event"
    """What to do about an answer that is cut off, refused, filtered or broken off: `"event"`
    writes an `Incomplete` and goes on, `"raise"` fails the run by one of `IncompleteResponse`'s
    leaves."""
    truncated_retries: int = Field(default=1, ge=0)
    """How often the model is told that it was cut off in a tool call's arguments, and asked again.
    The tool is never run with them (U23)."""
    max_lead: int | None = Field(default=None, ge=1)
    """How many chunks the LLM may be ahead of the slowest reader; None for any number. A reader
    that is open and does not read on holds the run up: leave it by `aclose()`."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "llm" and (wrap := _core_at_work.get()) is not None and self.streaming_llm:
            return wrap(value)
        return value

    def new_splitter(self) -> Callable[[], Splitter] | None:
        """What tells the scaffolding of a call from its answer; None where there is none."""
        return None

    async def take_step(
        self,
        ctx: Any,
        llm_input: list[ChatMessage],
        tools: Sequence[Any],
        memory: BaseMemory,
    ) -> AgentOutput:
        """Ask the LLM once, as core's agent does; its chunks go straight into the log."""
        if not self.streaming_llm or not _is_in_a_run(ctx):
            return await super().take_step(ctx, llm_input, tools, memory)
        site = await self._site(ctx)
        inside: Any = StepContext(ctx, site.write_for_core) if site.writes_text else ctx
        retries = self.truncated_retries
        while True:
            with observed_by(site), core_at_work():
                output = await super().take_step(inside, llm_input, tools, memory)
            site.name_tool_calls(output.tool_calls)
            cut = site.cut_off(output.tool_calls)
            if cut is None:
                break
            site.write(truncated(cut, retrying=retries > 0))
            output = without_tool_calls(output)
            await self.forget_tool_calls(ctx, output.response, CUT_OFF if retries > 0 else None)
            if retries <= 0:
                break
            retries -= 1
        # The step writes the output itself, right after this.
        come_from(site.origin)
        return output

    async def forget_tool_calls(self, ctx: Any, said: ChatMessage, note: str | None) -> None:
        """Take the tool calls of the last answer out of the history, as nobody answers them.

        Args:
            ctx: the context of the step.
            said: what the model has said besides.
            note: what the model is told about it, None where it is not asked again.
        """
        key: str | None = getattr(self, "scratchpad_key", None)
        if key is None:
            return
        history: list[ChatMessage] = await ctx.store.get(key, default=[])
        kept = [said] if said.content else []
        told = [ChatMessage(role="user", content=note)] if note else []
        await ctx.store.set(key, [*history[:-1], *kept, *told])

    async def _site(self, ctx: Any) -> AgentCallObserver:
        done: int = await ctx.store.get("num_iterations", default=0)
        return AgentCallObserver(
            ctx,
            self.name,
            done + 1,
            current_origin()._replace(agent=self.name),
            on_incomplete=self.on_incomplete,
            max_lead=self.max_lead,
            splitter=self.new_splitter(),
            takes_text=self.streaming and reads_stream_as_core_does(type(self)),
        )


def _is_in_a_run(ctx: Any) -> bool:
    """Whether events can be written: not where `LLM.predict_and_call` uses an agent."""
    # In a step a Context is always running, and asking it is deprecated.
    return isinstance(ctx, Context) or ctx.is_running


def wrapped(llm: LLM) -> LLM:
    """An agent's LLM as core's code gets it; one that the user has wrapped stays as it is."""
    return llm if isinstance(llm, StreamingLLM) else streaming(llm, Options())
