"""`emit_progress`: what a tool says of how far it is."""

# pyright: reportDeprecated=false

import asyncio
import logging
import threading
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.tools import FunctionTool
from pydantic import ValidationError

from llama_index_streaming_ext import (
    Context,
    StartEvent,
    StopEvent,
    ToolCall,
    ToolCallResult,
    ToolProgress,
    Workflow,
    emit_progress,
    step,
    stream_run,
    tool_progress,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from tests.support.agents.llm_kinds import LLMs
from tests.support.agents.tool_runs import calling, of, run_of, running, where
from tests.support.flows import Note, records


async def counts() -> str:
    """Says how far it is, in async code."""
    emit_progress("one", current=1, total=2, row="a")
    emit_progress("two", current=2, total=2)
    return "counted"


def counts_in_a_thread() -> str:
    """Says how far it is, as a sync tool."""
    emit_progress("one", current=1, total=2, row="a")
    emit_progress("two", current=2, total=2)
    return "counted"


async def counts_by_to_thread() -> str:
    """Says how far it is in a thread of asyncio's."""
    return await asyncio.to_thread(counts_in_a_thread)


def counts_in_a_thread_of_its_own() -> str:
    """Says how far it is in a thread that knows nothing."""
    progress = tool_progress()

    def count() -> None:
        progress("one", current=1, total=2, row="a")
        progress("two", current=2, total=2)

    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    return "counted"


TOOLS = [counts, counts_in_a_thread, counts_by_to_thread, counts_in_a_thread_of_its_own]


@pytest.mark.parametrize("team", [False, True])
@pytest.mark.parametrize("tool", TOOLS)
async def test_progress_is_in_the_stream(llms: LLMs, tool: Any, team: bool) -> None:
    """From async code, a sync tool, a thread of asyncio's and a thread of the user's."""
    read = await records(running(calling(tool, llms=llms), team))
    (call,) = of(ToolCall, read)
    first, second = of(ToolProgress, read)
    assert (first.tool_id, first.tool_name) == (call.tool_id, call.tool_name)
    assert (first.message, first.current, first.total) == ("one", 1, 2)
    assert (first.data, second.data) == ({"row": "a"}, {})
    assert second.message == "two"


@pytest.mark.parametrize("tool", TOOLS)
async def test_progress_carries_its_tool_call_in_the_record(tool: Any) -> None:
    """Also out of a thread that has no context."""
    read = await run_of(tool)
    (call,) = where(ToolCall, read)
    assert {record.origin for record in where(ToolProgress, read)} == {call.origin}


@pytest.mark.parametrize("tool", TOOLS)
async def test_progress_lies_between_the_call_and_its_result(tool: Any) -> None:
    """It stands where it was said."""
    read = await run_of(tool)
    kinds = [type(record.event) for record in read]
    progress = [at for at, kind in enumerate(kinds) if kind is ToolProgress]
    assert kinds.index(ToolCall) < progress[0]
    assert progress[-1] < kinds.index(ToolCallResult)


async def test_progress_keeps_its_place_among_other_events() -> None:
    """Events that the tool writes before and after stand before and after."""

    async def both(ctx: Context) -> str:
        for number in range(3):
            ctx.write_event_to_stream(Note(msg=str(number)))
            emit_progress(str(number))
            await asyncio.sleep(0)
        return "ok"

    read = await run_of(both)
    said = [
        getattr(record.event, "msg", None) or getattr(record.event, "message", None)
        for record in read
        if isinstance(record.event, Note | ToolProgress)
    ]
    assert said == ["0", "0", "1", "1", "2", "2"]


def test_a_tool_can_be_called_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Outside of an agent nothing is written, and the log says so at debug level."""
    with caplog.at_level(logging.DEBUG, "llama_index_streaming_ext"):
        assert counts_in_a_thread() == "counted"
    assert "No tool call is at work here" in caplog.text


async def test_a_tool_of_cores_agent_says_nothing() -> None:
    """Core's agent tells nobody which call is at work."""
    llm = FakeStreamingLLM([Turn(tool_call("counts")), Turn(text("done"))])
    handler = stream_run(CoreFunctionAgent(tools=[counts], llm=llm).run(user_msg="hi"))
    read = await records(handler)
    assert of(ToolCallResult, read)[0].tool_output.content == "counted"
    assert not of(ToolProgress, read)


async def test_a_step_inside_a_tool_is_not_that_tool() -> None:
    """A workflow that a tool runs inherits its context, and yet does not speak for it."""

    class Inner(Workflow):
        @step
        async def work(self, ev: StartEvent) -> StopEvent:
            """Speaks for nobody."""
            emit_progress("inner")
            return StopEvent()

    async def runs_inner() -> str:
        emit_progress("before")
        await Inner().run()
        emit_progress("after")
        return "ok"

    read = await run_of(runs_inner)
    assert [event.message for event in of(ToolProgress, read)] == ["before", "after"]


async def test_an_inner_agents_tool_speaks_for_itself(llms: LLMs) -> None:
    """Its progress is in the inner run's stream, not in the outer one's."""
    inner_agent = calling(counts, name="inner", llms=llms)
    seen: list[Any] = []

    async def asks_inner() -> str:
        handler = inner_agent.run(user_msg="hi")
        seen.extend(await records(handler))
        return "ok"

    read = await run_of(asks_inner, llms=llms)
    assert not of(ToolProgress, read)
    assert len(of(ToolProgress, seen)) == 2


async def test_parallel_tools_speak_for_themselves(llms: LLMs) -> None:
    """Each ToolProgress has the id of its own call."""
    read = await run_of(counts, counts_in_a_thread, llms=llms)
    ids = {call.tool_name: call.tool_id for call in of(ToolCall, read)}
    assert len(ids) == 2
    progress = of(ToolProgress, read)
    assert len(progress) == 4
    assert all(event.tool_id == ids[event.tool_name] for event in progress)


async def test_a_bare_thread_is_told_what_to_do() -> None:
    """A thread that has no context cannot say for whom it works: there is a warning."""

    def tool() -> str:
        thread = threading.Thread(target=emit_progress, args=("who?",))
        thread.start()
        thread.join()
        return "ok"

    with pytest.warns(RuntimeWarning, match="take `progress = tool_progress"):
        read = await run_of(tool)
    assert not of(ToolProgress, read)


@pytest.mark.parametrize("bad", [{"current": "half"}, {"total": []}, {"message": 3}])
def test_bad_input_is_refused_everywhere(bad: dict[str, Any]) -> None:
    """Also outside of a tool, so that the tool's unit test finds it."""
    with pytest.raises(ValidationError, match=next(iter(bad))):
        emit_progress(**bad)


async def test_bad_input_is_the_tools_error() -> None:
    """Inside of a tool it is what any exception is."""

    async def wrong() -> str:
        emit_progress(current="half")  # pyright: ignore[reportArgumentType]
        return "ok"

    assert of(ToolCallResult, await run_of(wrong))[0].tool_output.is_error


async def test_a_tool_of_any_kind_may_speak() -> None:
    """A FunctionTool with a callback, and a callable object."""

    class Counts:
        async def __call__(self) -> str:
            emit_progress("object")
            return "ok"

    given: list[Any] = []
    tool = FunctionTool.from_defaults(
        async_fn=Counts().__call__, name="object", callback=given.append
    )
    read = await run_of(tool)
    assert [event.message for event in of(ToolProgress, read)] == ["object"]
    assert given == ["ok"]


async def test_progress_after_the_run_is_dropped() -> None:
    """A thread that outlives its run writes into a closed log: nothing happens."""
    kept: list[Any] = []

    async def keeps() -> str:
        kept.append(tool_progress())
        return "ok"

    handler = running(calling(keeps))
    await handler
    before = handler.stream.last_seq
    kept[0]("too late")
    assert handler.stream.last_seq == before


async def test_our_agent_in_cores_team_says_nothing() -> None:
    """Core's AgentWorkflow calls the tools itself, and tells nobody which call is at work."""
    team = CoreAgentWorkflow(agents=[calling(counts)])
    read = await records(stream_run(team.run(user_msg="hi")))
    assert of(ToolCallResult, read)[0].tool_output.content == "counted"
    assert not of(ToolProgress, read)
