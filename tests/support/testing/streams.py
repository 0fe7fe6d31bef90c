"""Agents and streams that the tests of recordings and checks look at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import ToolOutput
from workflows.handler import WorkflowHandler

from llama_index_streaming_ext import (
    AgentInput,
    AgentStream,
    Event,
    FunctionAgent,
    StreamingHandler,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from llama_index_streaming_ext.testing.contracts.sample_runs import records_of
from llama_index_streaming_ext.testing.recording import Recording

PATIENCE = 120.0
"""Seconds after which a stream counts as one that hangs."""

HI = [ChatMessage("hi")]
SUNNY = text("It is", " sunny.")
BROKEN = ValueError("The provider broke.")


def llm(*parts: Any) -> FakeStreamingLLM:
    """An LLM with one answer."""
    return FakeStreamingLLM([Turn(*parts)])


async def shown(*items: Any) -> AsyncGenerator[Any]:
    """An async iterator of anything; an exception is raised."""
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def calling(*more: Any) -> FakeStreamingLLM:
    """An LLM that calls the weather tool, then answers."""
    return FakeStreamingLLM(
        [
            Turn(text("Let me", " check."), tool_call("weather", city="Paris")),
            Turn(text("It is", " sunny."), *more),
        ],
        usage="always",
    )


def ours(llm: FakeStreamingLLM) -> StreamingHandler:
    """A run of our agent."""
    return FunctionAgent(llm=llm, tools=[weather]).run(user_msg="How is the weather?")


def upstreams(llm: FakeStreamingLLM) -> WorkflowHandler:
    """A run of core's agent; untyped inside, as core's signatures of `run` are in transition."""
    agent: Any = CoreFunctionAgent(llm=llm, tools=[weather])
    return agent.run(user_msg="How is the weather?")


Run = Callable[[FakeStreamingLLM], Any]
either = pytest.mark.parametrize("run", [ours, upstreams])


async def answer(handler: Any) -> str:
    """What an agent answers in the end."""
    return str(await handler)


def chunk(delta: str, response: str, agent: str = "Agent") -> AgentStream:
    """A chunk of an agent's LLM call."""
    return AgentStream(delta=delta, response=response, current_agent_name=agent)


def asks(agent: str = "Agent") -> AgentInput:
    """An agent asks its LLM."""
    return AgentInput(input=[], current_agent_name=agent)


def calls(tool_id: str, **kwargs: Any) -> ToolCall:
    """A call of a tool."""
    return ToolCall(tool_name="weather", tool_kwargs=kwargs, tool_id=tool_id)


def results(tool_id: str) -> ToolCallResult:
    """The result of a call."""
    output = ToolOutput(tool_name="weather", content="sunny", raw_input={})
    return ToolCallResult(
        tool_name="weather",
        tool_kwargs={},
        tool_id=tool_id,
        tool_output=output,
        return_direct=False,
    )


def recorded(*events: Event) -> Recording:
    """The recording of a log of these events; the last one is terminal."""
    return Recording(records_of(*events))


def numbered(*records: tuple[int, float]) -> list[Record]:
    """Records of this seq and ts; the last one is terminal."""
    return [
        Record(seq, ts, Event(), terminal=at == len(records))
        for at, (seq, ts) in enumerate(records, 1)
    ]
