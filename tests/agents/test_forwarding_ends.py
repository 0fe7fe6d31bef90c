"""Ends of forwarding: failures, cancellation, and no step to forward into."""


# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import asyncio
from typing import Any

import pytest
from workflows import Workflow as CoreWorkflow
from workflows import step as core_step

from llama_index_streaming_ext import (
    AgentStream,
    Context,
    FunctionAgent,
    StartEvent,
    StopEvent,
    StreamingHandler,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    forward,
    stream_run,
)
from llama_index_streaming_ext.testing import Turn, check_stream, fail, text
from tests.support.agents.forwards import Outer, asks, forwarded
from tests.support.agents.llm_kinds import LLMs
from tests.support.agents.tool_runs import calling, result, run_of, running, saying, where
from tests.support.flows import (
    Counter,
    Endless,
    Note,
    Notes,
    Raises,
    after_notes,
    check_ending,
    notes,
    records,
)


async def test_an_inner_failure_is_raised() -> None:
    """`forward` raises the error of the inner run, which is an event in the outer stream."""
    handler = Outer(Raises(ValueError("inner"))).run()
    read = await records(handler)
    outcome = await handler.outcome()
    assert (outcome.status, str(outcome.error)) == ("failed", "inner")
    failures = where(WorkflowFailedEvent, read)
    assert [record.terminal for record in failures] == [False, True]
    assert failures[0].origin.run_id is not None


async def test_an_inner_failure_in_a_tool_is_the_tools_error() -> None:
    """The outer agent goes on with it."""

    async def ask() -> str:
        return str(await forward(Raises(ValueError("inner")).run()))

    read = await run_of(ask)
    output = result(read).tool_output
    assert (output.is_error, output.content) == (True, "inner")


async def test_an_inner_llm_that_fails_is_the_tools_error(llms: LLMs) -> None:
    """The earlier events of the inner run are in the outer stream, and its agent goes on."""
    broken = FunctionAgent(name="inner", llm=llms([Turn(text("half an"), fail("Overloaded."))]))
    handler = running(calling(asks(broken), llms=llms))
    read = await records(handler)
    said = "".join(e.delta for r in forwarded(read) if isinstance(e := r.event, AgentStream))
    assert said == "half an"
    assert result(read).tool_output.is_error
    assert (await handler.outcome()).text == "all done"
    await check_stream(handler)


async def test_cancelling_the_outer_run_cancels_the_inner() -> None:
    """And the outer run is cancelled, not anything else."""
    counter = Counter()
    outer = Outer(Endless(counter))
    handler = outer.run()
    await after_notes(handler, 3)
    await handler.cancel_run()
    read = await records(handler)
    assert counter.closed
    assert (await outer.handler.outcome()).status == "cancelled"
    assert (await handler.outcome()).status == "cancelled"
    assert [type(record.event) for record in read if record.terminal] == [WorkflowCancelledEvent]


async def test_a_time_out_of_the_outer_run_is_one() -> None:
    """The inner run's own end is not taken for it."""
    handler = Outer(Endless(Counter()), timeout=0.05).run()
    outcome = await handler.outcome()
    assert (outcome.status, outcome.steps) == ("timed_out", ("work",))


async def test_giving_up_on_the_forwarding_cancels_the_inner_run() -> None:
    """As awaiting a handler does."""
    counter = Counter()

    async def impatient() -> str:
        handler = Endless(counter).run()
        waiting = asyncio.create_task(forward(handler))
        await after_notes(handler, 2)
        waiting.cancel()
        await asyncio.wait([waiting])
        return (await handler.outcome()).status

    assert result(await run_of(impatient)).tool_output.content == "cancelled"
    assert counter.closed


async def test_a_plain_reader_sees_forwarded_events() -> None:
    """`stream_events()` of the outer run shows them all, and goes on behind the StopEvent."""
    handler = Outer(Notes(count=1)).run()
    events = [event async for event in handler.stream_events()]
    assert [type(event) for event in events] == [Note, Note, StopEvent, Note, StopEvent]


async def test_internal_events_are_not_forwarded() -> None:
    """The states of the inner run's steps are its own business."""
    handler = Outer(Notes(count=1)).run()
    await handler
    read = [record async for record in handler.stream.read(internal=True)]
    kinds = {type(record.event) for record in forwarded(read)}
    assert kinds == {Note, StopEvent}


async def test_a_tool_can_be_called_by_itself() -> None:
    """Outside of a run it waits for the inner run, and that is all."""
    assert str(await forward(saying("alone").run(user_msg="hi"))) == "alone"


async def test_a_sync_tool_can_forward_from_a_loop_of_its_own() -> None:
    """`asyncio.run` in the thread of a sync tool."""

    def ask() -> str:
        async def main() -> str:
            return str(await forward(saying("in", "ner").run(user_msg="hi")))

        return asyncio.run(main())

    read = await run_of(ask)
    said = [e.delta for r in forwarded(read) if isinstance(e := r.event, AgentStream)]
    assert "".join(said) == "inner"
    assert result(read).tool_output.content == "inner"


class CoreOuter(CoreWorkflow):
    """Forwards in a run that is none of ours."""

    @core_step
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        return StopEvent(result=await forward(Notes(count=2).run()))


async def test_in_a_run_of_upstreams_events_take_upstreams_way() -> None:
    """Without origin and without the inner StopEvent, which would end upstream's stream (U6)."""
    handler = CoreOuter().run()
    events = [event async for event in handler.stream_events()]
    assert [type(event) for event in events] == [Note, Note, StopEvent]
    assert await handler == "done"


async def test_in_a_streamed_run_of_upstreams_too() -> None:
    """`stream_run` of a workflow that is not of our classes."""
    handler = stream_run(CoreOuter().run())
    read = await records(handler)
    check_ending(read)
    assert notes([record.event for record in read]) == ["0", "1"]
    assert len(where(StopEvent, read)) == 1


@pytest.mark.parametrize("wrong", [None, "x", saying("x")])
async def test_only_handlers_can_be_forwarded(wrong: Any) -> None:
    """The message says what it takes."""
    with pytest.raises(TypeError, match=r"forward takes what agent\.run\(\.\.\.\)"):
        await forward(wrong)


async def test_a_run_cannot_be_forwarded_into_itself() -> None:
    """It would never end."""
    running_now: list[StreamingHandler] = []

    async def itself() -> str:
        return str(await forward(running_now[0]))

    running_now.append(running(calling(itself)))
    output = result(await records(running_now[0])).tool_output
    assert output.is_error
    assert "into itself" in output.content
