"""A run ends always, and once, and its ending is known."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from workflows.errors import WorkflowTimeoutError

from llama_index_streaming_ext import (
    Context,
    Event,
    StartEvent,
    StepCancelled,
    StopEvent,
    Workflow,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
    step,
    stream_run,
)
from tests.support.flows import (
    Custom,
    Note,
    Notes,
    Raises,
    check_ending,
    gathered,
    notes,
    records,
)

LOGGER = "llama_index_streaming_ext"


async def test_a_completed_run_says_so() -> None:
    """Status, result, and times of a run that went well."""
    outcome = await Notes().run().outcome()
    assert (outcome.status, outcome.result, outcome.error) == ("completed", "done", None)
    assert outcome.started <= outcome.ended
    assert outcome.seconds >= 0


async def test_the_result_of_a_custom_stop_event_is_the_event() -> None:
    """As `await handler`: a subclass of StopEvent is the result itself."""

    class Answers(Workflow):
        @step
        async def only(self, ev: StartEvent) -> Custom:
            return Custom(answer=42)

    handler = Answers().run()
    result: Custom = await handler
    assert (await handler.outcome()).result is result
    assert result.answer == 42


async def test_a_failed_run_says_so() -> None:
    """`outcome()` does not raise; `await handler` does."""
    error = ValueError("boom")
    handler = Raises(error).run()
    outcome = await handler.outcome()
    assert (outcome.status, outcome.result, outcome.error) == ("failed", None, error)
    with pytest.raises(ValueError, match="boom"):
        await handler


async def test_a_run_that_timed_out_names_its_steps() -> None:
    """The steps that were active are in the outcome and in the event."""
    handler = Notes(gate=asyncio.Event(), timeout=0.01).run()
    outcome = await handler.outcome()
    assert (outcome.status, outcome.steps) == ("timed_out", ("write",))
    assert isinstance(outcome.error, WorkflowTimeoutError)
    last = (await records(handler))[-1].event
    assert isinstance(last, WorkflowTimedOutEvent)
    assert (last.timeout, last.active_steps) == (0.01, ["write"])


async def test_what_a_step_writes_after_its_timeout_is_refused() -> None:
    """Nothing follows the terminal record, whoever still writes."""

    class Stubborn(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                await asyncio.Event().wait()
            finally:
                ctx.write_event_to_stream(Note(msg="too late"))
            return StopEvent()

    handler = Stubborn(timeout=0.01).run()
    await handler.outcome()
    read = await records(handler)
    check_ending(read)
    assert isinstance(read[-1].event, WorkflowTimedOutEvent)


async def test_a_step_that_raises_cancelled_error_fails_the_run() -> None:
    """Upstream waits for such a step for ever (U5)."""
    handler = Raises(asyncio.CancelledError()).run()
    outcome = await handler.outcome()
    assert outcome.status == "failed"
    assert isinstance(outcome.error, StepCancelled)
    assert outcome.error.step_name == "fail"


async def test_a_sync_step_that_raises_cancelled_error_fails_the_run() -> None:
    """Also in an executor thread, where nobody can cancel."""

    class Sync(Workflow):
        @step
        def only(self, ev: StartEvent) -> StopEvent:
            raise asyncio.CancelledError

    outcome = await Sync().run().outcome()
    assert isinstance(outcome.error, StepCancelled)


async def test_a_stop_event_written_by_hand_does_not_end_the_log() -> None:
    """Events that a step writes after it are in the log too (U6)."""

    class ByHand(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(StopEvent(result="by hand"))
            await asyncio.sleep(0)
            ctx.write_event_to_stream(Note(msg="after"))
            return StopEvent(result="real")

    handler = ByHand().run()
    assert await handler == "real"
    read = await records(handler)
    check_ending(read)
    assert [type(record.event) for record in read] == [StopEvent, Note, StopEvent]
    assert read[-1].event.result == "real"  # pyright: ignore[reportAttributeAccessIssue]


async def test_an_upstream_workflow_may_write_stop_events_too() -> None:
    """Also where everything comes through upstream's queue."""
    from workflows import Workflow as UpstreamWorkflow
    from workflows import step as upstream_step

    class ByHand(UpstreamWorkflow):
        @upstream_step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(StopEvent(result="by hand"))
            await asyncio.sleep(0)
            ctx.write_event_to_stream(Note(msg="after"))
            return StopEvent(result="real")

    handler = stream_run(ByHand().run())
    read = await records(handler)
    check_ending(read)
    assert [type(record.event) for record in read] == [StopEvent, Note, StopEvent]


async def test_an_event_can_be_changed_after_it_was_written() -> None:
    """The log keeps what was written, where upstream passes references (U3)."""

    class Reuses(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            note = Note(msg="")
            for text in "abc":
                note.msg = text
                note.extra = text
                ctx.write_event_to_stream(note)
            return StopEvent()

    events: list[Event] = await gathered(Reuses().run().stream_events())
    assert notes(events) == ["a", "b", "c"]
    assert [event.extra for event in events[:-1]] == ["a", "b", "c"]


async def test_none_is_written_as_upstream_writes_it() -> None:
    """`ctx.write_event_to_stream(None)` does nothing."""

    class WritesNone(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(None)
            return StopEvent()

    assert [type(event) for event in await gathered(WritesNone().run().stream_events())] == [
        StopEvent
    ]


async def test_a_failed_start_is_a_failure() -> None:
    """A run whose first step cannot even be called ends like any other failed run."""
    handler = Raises(RuntimeError("at once")).run()
    last = (await records(handler))[-1].event
    assert isinstance(last, WorkflowFailedEvent)


async def test_an_event_that_cannot_be_copied_is_streamed() -> None:
    """As upstream does; readers share it then."""

    class NoCopy(Event):
        def model_copy(self, **kwargs: Any) -> Any:
            raise TypeError("not me")

    class Writes(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(NoCopy())
            return StopEvent()

    events = await gathered(Writes().run().stream_events())
    assert [type(event) for event in events] == [NoCopy, StopEvent]
