"""Agents that call tools, and what is read of their runs."""

# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportDeprecated=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llama_index.core.tools import BaseTool

from llama_index_streaming_ext import (
    AgentWorkflow,
    Event,
    FunctionAgent,
    Record,
    StreamingHandler,
    ToolCallResult,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from tests.support.agents.llm_kinds import LLMs
from tests.support.flows import records

E = TypeVar("E", bound=Event)
Tool = BaseTool | Callable[..., Any]


def name_of(tool: Tool) -> str:
    """What the model calls a tool."""
    return tool.metadata.get_name() if isinstance(tool, BaseTool) else tool.__name__


def calling(
    *tools: Tool, name: str = "Agent", llms: LLMs | None = None, **kwargs: Any
) -> FunctionAgent:
    """An agent that calls each tool once, with these arguments, all at once; then it answers.

    Its LLM is the fake one, if it is not to be of another kind.
    """
    turns = [
        Turn(*(tool_call(name_of(tool), kwargs) for tool in tools)),
        Turn(text("all", " done")),
    ]
    return FunctionAgent(name=name, tools=list(tools), llm=(llms or FakeStreamingLLM)(turns))


def saying(*deltas: str, name: str = "inner", llms: LLMs | None = None) -> FunctionAgent:
    """An agent that only answers."""
    turns = [Turn(text(*deltas))]
    llm = llms(turns) if llms is not None else FakeStreamingLLM(turns, usage="always")
    return FunctionAgent(name=name, llm=llm)


def running(agent: FunctionAgent, team: bool = False, **kwargs: Any) -> StreamingHandler:
    """A run of an agent, by itself or in a team of one."""
    runner = AgentWorkflow(agents=[agent]) if team else agent
    return runner.run(user_msg="hi", **kwargs)


async def run_of(*tools: Tool, **kwargs: Any) -> list[Record]:
    """The records of a run in which each tool is called once."""
    return await records(running(calling(*tools, **kwargs)))


def of(cls: type[E], read: Sequence[Record]) -> list[E]:
    """The events of a class among records."""
    return [record.event for record in read if isinstance(record.event, cls)]


def where(cls: type[Event], read: Sequence[Record]) -> list[Record]:
    """The records of a class."""
    return [record for record in read if isinstance(record.event, cls)]


def result(read: Sequence[Record]) -> ToolCallResult:
    """The only result of a tool."""
    (only,) = of(ToolCallResult, read)
    return only
