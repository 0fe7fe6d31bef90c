"""Records of a tool call have its agent, its LLM call, its id and its start."""

# Upstream's handler is awaitable of an unknown type, and core says dict.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import asyncio
from typing import Any, cast

import pytest

from llama_index_streaming_ext import (
    AgentOutput,
    Context,
    FunctionAgent,
    HumanResponseEvent,
    InputRequiredEvent,
    StreamingHandler,
    ToolCall,
    ToolCallResult,
    step,
)
from llama_index_streaming_ext.events import LLMCallStarted, ToolCallDelta
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, parallel, text, tool_call
from tests.support.agents.llm_kinds import LLMs
from tests.support.agents.tool_runs import calling, of, run_of, running, where
from tests.support.flows import Note, records


async def noted(ctx: Context, label: str = "note") -> str:
    """Write a note by the context."""
    ctx.write_event_to_stream(Note(msg=label))
    await asyncio.sleep(0)
    ctx.write_event_to_stream(Note(msg=label))
    return label


def noted_in_a_thread(ctx: Context) -> str:
    """Write a note from the thread of a sync tool."""
    ctx.write_event_to_stream(Note(msg="thread"))
    return "ok"


@pytest.mark.parametrize("team", [False, True])
@pytest.mark.parametrize("tool", [noted, noted_in_a_thread])
async def test_all_of_a_tool_call_names_its_agent_and_its_id(
    llms: LLMs, tool: Any, team: bool
) -> None:
    """ToolCall, ToolCallResult and what the tool writes by its context, alone and in a team."""
    read = await records(running(calling(tool, name="Sue", llms=llms), team))
    (call,) = of(ToolCall, read)
    found = [
        record.origin for kind in (ToolCall, Note, ToolCallResult) for record in where(kind, read)
    ]
    assert {(origin.agent, origin.tool_id) for origin in found} == {("Sue", call.tool_id)}


async def test_parallel_calls_are_told_apart(llms: LLMs) -> None:
    """Events of two calls of one tool at the same time have different tool ids."""
    turns = [
        Turn(parallel(tool_call("noted", label="a"), tool_call("noted", label="b"))),
        Turn(text("done")),
    ]
    read = await records(FunctionAgent(tools=[noted], llm=llms(turns)).run("hi"))
    ids = {call.tool_kwargs["label"]: call.tool_id for call in of(ToolCall, read)}
    assert len(set(ids.values())) == 2
    for record in where(Note, read):
        assert record.origin.tool_id == ids[record.event.msg]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("team", [False, True])
async def test_a_tool_call_names_the_llm_call_that_asked_for_it(llms: LLMs, team: bool) -> None:
    """Its `call_id` is that of the LLM call's own records, in each iteration."""
    turns = [Turn(tool_call("noted")), Turn(tool_call("noted")), Turn(text("done"))]
    agent = FunctionAgent(tools=[noted], llm=llms(turns))
    read = await records(running(agent, team))
    asked = [event.call_id for event in of(LLMCallStarted, read)]
    assert [record.origin.call_id for record in where(ToolCall, read)] == asked[:2]
    assert [record.origin.call_id for record in where(ToolCallResult, read)] == asked[:2]


async def test_the_arguments_have_the_id_of_their_call(llms: LLMs) -> None:
    """The ids of the arguments, the call and the result are one id."""
    read = await run_of(noted, llms=llms, label="x")
    (call,), (result,) = where(ToolCall, read), where(ToolCallResult, read)
    pieces = where(ToolCallDelta, read)
    assert {record.origin.call_id for record in pieces} == {call.origin.call_id}
    assert {record.origin.tool_id for record in pieces} == {call.origin.tool_id}
    assert result.origin.tool_id == call.origin.tool_id


async def test_a_result_says_when_its_call_began() -> None:
    """`origin.started` and the record's `ts` are the two ends of the call."""
    read = await run_of(noted)
    (call,), (result,) = where(ToolCall, read), where(ToolCallResult, read)
    assert result.origin.started is not None
    assert call.origin.started == result.origin.started
    assert read[0].ts <= result.origin.started <= call.ts <= result.ts


async def test_what_comes_after_a_tool_call_does_not_belong_to_it() -> None:
    """The next LLM call and the output carry no tool id."""
    read = await run_of(noted)
    last = read.index(where(ToolCallResult, read)[0])
    assert all(record.origin.tool_id is None for record in read[last + 1 :])


async def test_a_tool_that_asks_a_human_says_its_attempt(llms: LLMs) -> None:
    """U34: its body runs again, and writes again; `attempt` tells the records apart."""

    async def ask(ctx: Context) -> str:
        ctx.write_event_to_stream(Note(msg="asking"))
        answer = await ctx.wait_for_event(
            HumanResponseEvent, waiter_event=InputRequiredEvent(), waiter_id="ask"
        )
        return str(answer.response)

    handler = running(calling(ask, llms=llms))
    async for _ in handler.stream.read(types=InputRequiredEvent):
        await handler.send_event(HumanResponseEvent(response="yes"))  # pyright: ignore[reportCallIssue] # a dynamic field
        break
    read = await records(handler)
    assert [record.origin.attempt for record in where(Note, read)] == [1, 2]
    assert [event.tool_output.content for event in of(ToolCallResult, read)] == ["yes"]


async def test_a_failing_tool_has_a_result_with_an_origin(llms: LLMs) -> None:
    """A tool that raises gives an error result, as in core."""

    async def fails() -> str:
        raise ValueError("no")

    read = await run_of(fails, llms=llms)
    (result,) = where(ToolCallResult, read)
    assert result.origin.tool_id is not None
    assert of(ToolCallResult, read)[0].tool_output.is_error


async def test_the_result_is_cores_own_class() -> None:
    """U27: of a subclass the run would wait for ever."""
    assert [type(event) for event in of(ToolCallResult, await run_of(noted))] == [ToolCallResult]


async def test_a_users_own_call_tool_still_works() -> None:
    """A subclass that overrides `call_tool` and calls `super()` keeps the origins."""
    seen: list[str] = []

    class Mine(FunctionAgent):
        @step
        async def call_tool(  # pyright: ignore[reportIncompatibleVariableOverride] # as every typed step
            self, ctx: Context, ev: ToolCall
        ) -> ToolCallResult:
            """Note the call."""
            seen.append(ev.tool_id)
            return await cast("Any", super()).call_tool(ctx, ev)  # a step's type binds no self

    turns = [Turn(tool_call("noted")), Turn(text("done"))]
    handler: StreamingHandler = Mine(tools=[noted], llm=FakeStreamingLLM(turns)).run("hi")
    read = await records(handler)
    assert [record.origin.tool_id for record in where(ToolCallResult, read)] == seen


async def test_the_output_of_the_agent_is_unchanged(llms: LLMs) -> None:
    """The result has the tool calls that core puts into it."""
    handler = running(calling(noted, llms=llms))
    output: AgentOutput = await handler
    assert [call.tool_name for call in output.tool_calls] == ["noted"]
