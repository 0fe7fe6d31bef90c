"""Every LLM call that is announced ends, and every tool call is whole or not made."""

from __future__ import annotations

import pytest

from llama_index_streaming_ext import (
    AgentWorkflow,
    CodeActAgent,
    CodeDelta,
    FunctionAgent,
    LLMCallFinished,
    LLMCallStarted,
    ToolCall,
    ToolCallDelta,
    ToolCallResult,
    TruncatedToolCall,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text, tool_call
from tests.support.agents.llm_kinds import LLMs

CALLS = (LLMCallStarted, LLMCallFinished)


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def test_a_call_that_is_stopped_is_finished_in_the_log(llms: LLMs) -> None:
    """Each call that has started also ends, however the run was stopped."""
    llm = llms([Turn(text("Once"), gate("never"))])
    async with FunctionAgent(llm=llm).run(user_msg="A story, please") as handler:
        assert await anext(handler.text_stream()) == "Once"
    seen = [record.event async for record in handler.stream.read(types=CALLS)]
    assert [type(event) for event in seen] == list(CALLS)
    last = seen[-1]
    assert isinstance(last, LLMCallFinished)
    assert (last.finish_reason, last.partial) == ("cancelled", True)
    assert (await handler.outcome()).finish_reason == "cancelled"


@pytest.mark.parametrize("written", ['{"city": "Par', "nonsense", "[1, 2]"])
async def test_arguments_that_are_no_object_are_never_run(llms: LLMs, written: str) -> None:
    """It does not matter that the provider says that the tool calls are complete (U23)."""
    llm = llms(
        [
            Turn(tool_call("weather", fragments=[written])),
            Turn(tool_call("weather", city="Paris")),
            Turn(text("Sunny.")),
        ]
    )
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="How is it?")
    types = (TruncatedToolCall, ToolCall)
    seen = [record.event async for record in handler.stream.read(types=types)]
    assert [type(event) for event in seen] == [TruncatedToolCall, ToolCall]
    first = seen[0]
    assert isinstance(first, TruncatedToolCall)
    assert (first.arguments, first.retrying) == (written, True)
    assert (await handler.outcome()).text == "Sunny."


def test_arguments_of_what_is_no_object_are_empty() -> None:
    """A user interface that shows them as they come is not broken by a model's nonsense."""
    for written in ("nonsense", "[1, 2]", '{"a": 1,, ', ""):
        delta = ToolCallDelta(tool_id="1", tool_name="weather", index=0, delta=written)
        assert delta.arguments == {}
        assert delta.text == written


async def test_code_is_run_by_the_tool_call_that_it_was_streamed_for(llms: LLMs) -> None:
    """`CodeDelta` says which tool call its code belongs to."""

    async def execute(code: str) -> str:
        return "3"

    said = [Turn(text("<execute>print", "(3)</execute>")), Turn(text("Three."))]
    agent = CodeActAgent(code_execute_fn=execute, llm=llms(said))
    handler = agent.run(user_msg="?")
    types = (CodeDelta, ToolCall, ToolCallResult)
    seen = [record.event async for record in handler.stream.read(types=types)]
    assert [type(event) for event in seen] == [CodeDelta, CodeDelta, ToolCall, ToolCallResult]
    ids = {event.tool_id for event in seen}
    assert len(ids) == 1
    assert ids != {""}


def test_options_of_agents_are_refused_by_the_workflow() -> None:
    """The error says where they belong."""
    agent = FunctionAgent(llm=FakeStreamingLLM("Hi"))
    with pytest.raises(TypeError, match="on_incomplete: give it to each agent"):
        AgentWorkflow(agents=[agent], on_incomplete="raise")
