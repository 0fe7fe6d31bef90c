"""The single agents: core's classes, whose runs are streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.agent.react.types import ObservationReasoningStep
from llama_index.core.agent.workflow import CodeActAgent as CoreCodeActAgent
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.agent.workflow import ReActAgent as CoreReActAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import BaseMemory
from pydantic import field_validator

from llama_index_streaming_ext.agents.call_observer import Splitter
from llama_index_streaming_ext.agents.history import WholeHistory
from llama_index_streaming_ext.agents.run_memory import fresh_memory
from llama_index_streaming_ext.agents.runs import AgentRuns
from llama_index_streaming_ext.agents.scaffolding import CodeActSplitter, ReActSplitter
from llama_index_streaming_ext.agents.take_step import AgentSteps
from llama_index_streaming_ext.agents.tools.specs import expand_tool_specs


class SingleAgent(AgentRuns, WholeHistory, AgentSteps):
    """Mixin of the single agents, with the options that core's agents do not have."""

    keep_raw: bool = False
    """Keep the provider's raw chunk of every token, not only of the last one of each LLM call."""

    @field_validator("tools", mode="before")
    @classmethod
    def _expand_tool_specs(cls, tools: Any) -> Any:
        return tools if tools is None else expand_tool_specs(tools)

    def default_memory(self) -> BaseMemory:
        """Return the memory of a run that is given none, as core makes it."""
        return fresh_memory(self.llm)


class FunctionAgent(SingleAgent, CoreFunctionAgent):
    """Agent that calls functions; its `run()` returns a `StreamingHandler`.

    It takes all options of core's `FunctionAgent`, and those of all agents of this package:

    - `streaming_llm=True`: wrap the LLM in a `StreamingLLM` while the agent works;
    - `on_incomplete="event"`: write an `Incomplete` for an answer that is cut off, refused or
      filtered; `"raise"` fails the run instead;
    - `truncated_retries=1`: the number of times that a model is asked again after it was cut off
      in the arguments of a tool call, which is never run with them;
    - `max_lead=None`: the number of chunks that the LLM may be ahead of the slowest reader;
    - `keep_raw=False`: keep the provider's raw chunk of every token.
    """


class ReActAgent(SingleAgent, CoreReActAgent):
    """Agent that writes thoughts and actions as text; its `run()` returns a `StreamingHandler`.

    The answer is streamed as `delta`, thoughts as `thinking_delta`, and the arguments of an action
    as `ToolCallDelta`.
    """

    raw_scaffolding: bool = False
    """Stream the text as the model writes it, `Thought:` and all, as upstream does."""

    def new_splitter(self) -> Callable[[], Splitter] | None:
        """Return a factory of splitters between thoughts, actions and the answer."""
        return None if self.raw_scaffolding else ReActSplitter

    async def forget_tool_calls(self, ctx: Any, said: ChatMessage, note: str | None) -> None:
        """Take the last action out of the reasoning, and tell the model about it."""
        reasoning: list[Any] = await ctx.store.get(self.reasoning_key, default=[])
        told = [ObservationReasoningStep(observation=note)] if note else []
        await ctx.store.set(self.reasoning_key, [*reasoning[:-1], *told])


class CodeActAgent(SingleAgent, CoreCodeActAgent):
    """Agent that writes code and runs it; its `run()` returns a `StreamingHandler`.

    The text for the user is streamed as `delta`, code as `CodeDelta`.

    Args:
        *args: as core's.
        **kwargs: as core's, and the fields of our agents: `keep_raw`, `streaming_llm`,
            `on_incomplete`, `max_lead`, `raw_scaffolding`, ...
    """

    raw_scaffolding: bool = False
    """Stream the text as the model writes it, `<execute>` and all, as upstream does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Core's takes no other fields than its own.
        ours = {name: kwargs.pop(name) for name in _fields_of_ours(type(self)) if name in kwargs}
        super().__init__(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType] # core's
        for name, value in ours.items():
            type(self).__pydantic_validator__.validate_assignment(self, name, value)

    def new_splitter(self) -> Callable[[], Splitter] | None:
        """Return a factory of splitters between code and text."""
        return None if self.raw_scaffolding else CodeActSplitter


def _fields_of_ours(cls: type[CodeActAgent]) -> list[str]:
    """The fields that core's class does not have."""
    return [name for name in cls.model_fields if name not in CoreCodeActAgent.model_fields]
