"""Recordings: how long a stream took, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from workflows import Workflow, step
from workflows.errors import WorkflowRuntimeError, WorkflowTimeoutError

from llama_index_streaming_ext import Event, StartEvent, StopEvent, stream_run
from llama_index_streaming_ext.events import (
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    VirtualClock,
    fail,
    gate,
    record,
    record_sync,
    text,
    wait,
)
from tests.support.testing.streams import (
    BROKEN,
    HI,
    PATIENCE,
    SUNNY,
    Run,
    answer,
    either,
    llm,
    ours,
    recorded,
    shown,
    upstreams,
)


class Slow(Workflow):
    """Takes an hour."""

    @step
    async def wait(self, ev: StartEvent) -> StopEvent:
        """Wait."""
        await asyncio.sleep(3600)
        return StopEvent()


# --- time -----------------------------------------------------------------------------------------


TIMED = (wait(2), text("It"), wait(0.5), text(" is"), wait(0.25), text(" sunny."))


@either
async def test_times_of_a_run(run: Run) -> None:
    """`ttft` counts from the start of the run, and `gaps` are between deltas."""
    with VirtualClock():
        rec = await record(run(llm(*TIMED)), timeout=60)
    assert rec.ttft == 2.0
    assert rec.gaps == [0.5, 0.25]
    assert rec.outcome.seconds == 2.75


async def test_times_of_chunks() -> None:
    """For chunks the time counts from the start of the recording, their request included."""
    with VirtualClock():
        rec = await record(llm(*TIMED).astream_chat(HI))
    assert (rec.ttft, rec.gaps) == (2.0, [0.5, 0.25])


def test_times_without_a_loop() -> None:
    """Times are measured without a loop as well."""
    with VirtualClock():
        rec = record_sync(llm(*TIMED).stream_chat(HI))
    assert (rec.ttft, rec.gaps) == (2.0, [0.5, 0.25])


def test_no_text_no_times() -> None:
    """A stream without text has no first token."""
    rec = recorded(StopEvent())
    assert (rec.ttft, rec.gaps, rec.text) == (None, [], "")


# --- ends -----------------------------------------------------------------------------------------


@either
async def test_a_run_that_fails(run: Run) -> None:
    """What a run raises is kept, with the text so far."""
    rec = await record(run(llm(text("It is"), fail(BROKEN))), timeout=PATIENCE)
    assert rec.outcome.status == "failed"
    assert str(rec.error) == str(BROKEN)
    assert rec.text == "It is"
    assert rec.records[-1].terminal


@either
async def test_a_run_that_is_cancelled(run: Run) -> None:
    """The recording of a run that is cancelled ends, and says so."""
    handler = run(llm(text("It is"), gate("never")))
    recording = asyncio.create_task(record(handler, timeout=PATIENCE))
    async with asyncio.timeout(PATIENCE):
        while not handler.ctx.is_running:  # noqa: ASYNC110 # nothing to wait on says it
            await asyncio.sleep(0)
        await handler.cancel_run()
        rec = await recording
    assert rec.outcome.status == "cancelled"
    assert rec.records[-1].terminal


@either
async def test_a_stream_that_does_not_end(run: Run) -> None:
    """After `timeout` the recording has what came, and the run goes on."""
    model = llm(text("It is"), gate("never"))
    handler = run(model)
    with VirtualClock():
        rec = await record(handler, timeout=60)
    assert rec.outcome.status == "lost"
    assert isinstance(rec.error, TimeoutError)
    assert rec.text == "It is"
    assert not handler.is_done()
    model.open("never")
    await handler


async def test_cancelling_a_recording_leaves_the_run_alone() -> None:
    """A recording of an upstream run that is cancelled does not cancel the run."""
    model = llm(gate("later"), SUNNY)
    handler = upstreams(model)
    recording = asyncio.create_task(record(handler))
    for _ in range(20):
        await asyncio.sleep(0)
    recording.cancel()
    await asyncio.wait([recording])
    assert recording.cancelled()
    model.open("later")
    assert await answer(handler) == "It is sunny."


async def test_upstreams_stream_that_was_read_already() -> None:
    """U1: what upstream raises at a second reading is the error of the recording."""
    handler = upstreams(llm(SUNNY))
    await record(handler, timeout=PATIENCE)
    rec = await record(handler, timeout=PATIENCE)
    assert isinstance(rec.error, WorkflowRuntimeError)
    assert len(rec) == 0


async def test_an_iterator_that_raises() -> None:
    """What an iterator raises is kept, with what came before."""
    rec = await record(shown("It is", BROKEN))
    assert (rec.text, rec.error, rec.outcome.status) == ("It is", BROKEN, "failed")


async def test_an_iterator_that_is_cancelled_inside() -> None:
    """A CancelledError that nobody sent to the recording is the source's."""
    rec = await record(shown("It is", asyncio.CancelledError()))
    assert (rec.text, rec.outcome.status) == ("It is", "cancelled")


@pytest.mark.parametrize(
    ("last", "status", "error"),
    [
        (StopEvent(), "completed", None),
        (WorkflowFailedEvent(step_name="s", exception=BROKEN), "failed", BROKEN),
        (WorkflowTimedOutEvent(timeout=1.0, active_steps=[]), "timed_out", None),
        (WorkflowCancelledEvent(), "cancelled", None),
    ],
)
async def test_an_iterator_says_how_the_run_ended(last: Event, status: str, error: Any) -> None:
    """The last event of a bare iterator is all that tells how the run ended."""
    rec = await record(shown(Event(), last))
    assert (rec.outcome.status, rec.error) == (status, error)


@either
async def test_a_run_that_takes_too_long(run: Run) -> None:
    """A run that timed out says so."""
    handler: Any
    with VirtualClock():
        handler = Slow(timeout=2.0).run()
        rec = await record(stream_run(handler) if run is ours else handler, timeout=60)
    assert rec.outcome.status == "timed_out"
    assert isinstance(rec.error, WorkflowTimeoutError)
    assert rec.records[-1].terminal


async def test_an_awaitable_that_raises() -> None:
    """What raises before there is a stream is kept as well."""
    model = FakeStreamingLLM([Turn(SUNNY)], streaming=False)
    rec = await record(model.astream_chat(HI))
    assert isinstance(rec.error, NotImplementedError)


def test_a_sync_iterator_that_raises() -> None:
    """What a sync iterator raises is kept."""
    rec = record_sync(llm(text("It is"), fail(BROKEN)).stream_chat(HI))
    assert (rec.text, str(rec.error)) == ("It is", str(BROKEN))


async def test_raise_errors() -> None:
    """With `raise_errors` they are raised."""
    with pytest.raises(ValueError, match="provider broke"):
        await record(shown(BROKEN), raise_errors=True)

    def breaks() -> Iterator[str]:
        raise BROKEN
        yield

    with pytest.raises(ValueError, match="provider broke"):
        record_sync(breaks(), raise_errors=True)


async def test_iterators_are_closed() -> None:
    """A generator is closed when the recording gives up on it."""
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            closed.set()

    with VirtualClock():
        await record(endless(), timeout=60)
    assert closed.is_set()
