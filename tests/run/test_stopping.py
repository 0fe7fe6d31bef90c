"""Stopping a run stops all that works for it, and its log says so."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llama_index_streaming_ext import (
    Context,
    RunCancelled,
    StartEvent,
    StopEvent,
    StreamingHandler,
    Workflow,
    WorkflowCancelledEvent,
    step,
)
from tests.support.flows import (
    Counter,
    Custom,
    Endless,
    Note,
    Notes,
    after_notes,
    check_ending,
    records,
    result_of,
)

LOGGER = "llama_index_streaming_ext"


async def test_a_hard_cancel_ends_the_stream() -> None:
    """Upstream's deprecated `cancel()` leaves the stream hanging (U5); here it ends."""
    handler = Notes(gate=asyncio.Event()).run()
    await after_notes(handler, 3)
    with pytest.deprecated_call() if _first_cancel() else _nothing():
        handler.cancel()
    outcome = await handler.outcome()
    assert outcome.status == "cancelled"
    assert isinstance(outcome.error, RunCancelled)
    read = await records(handler)
    check_ending(read)
    assert isinstance(read[-1].event, WorkflowCancelledEvent)


@pytest.mark.filterwarnings("ignore:WorkflowHandler.cancel:DeprecationWarning")
@pytest.mark.parametrize("way", ["cancel", "wait_for", "cancel_run", "leave the block"])
async def test_stopping_a_run_stops_the_llm(way: str) -> None:
    """At most two more chunks are pulled, where upstream pulls all the rest (U5, U12)."""
    counter = Counter()
    handler = Endless(counter).run()
    await after_notes(handler, 5)
    waiting = asyncio.create_task(result_of(handler))
    await asyncio.sleep(0)
    before = counter.pulled
    if way == "cancel":
        handler.cancel()
    elif way == "wait_for":
        waiting.cancel()  # what asyncio.wait_for does when its time is over
    elif way == "cancel_run":
        await handler.cancel_run()
        before = counter.pulled  # upstream takes a few turns of the loop to get round to it
    else:
        async with handler:
            pass
        before = counter.pulled
    await handler.outcome()
    await asyncio.gather(waiting, return_exceptions=True)
    for _ in range(20):
        await asyncio.sleep(0)
    assert counter.pulled <= before + 2
    assert counter.closed


async def test_an_expired_wait_for_cancels_the_run() -> None:
    """`asyncio.wait_for(handler, t)` stops the run, as upstream, and its stream ends."""
    handler = Notes(gate=asyncio.Event()).run()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handler, 0.01)
    assert (await handler.outcome()).status == "cancelled"
    check_ending(await records(handler))


async def test_asyncio_run_that_ends_early_cancels_the_run() -> None:
    """A loop that is shut down in order leaves a closed log behind."""

    async def main() -> StreamingHandler:
        handler = Notes(gate=asyncio.Event()).run()
        await after_notes(handler, 1)
        return handler

    handler = await asyncio.to_thread(asyncio.run, main())
    outcome = await handler.outcome()
    assert outcome.status == "cancelled"
    check_ending(await records(handler))


@pytest.mark.filterwarnings("ignore:WorkflowHandler.cancel:DeprecationWarning")
async def test_a_run_can_be_cancelled_from_another_thread() -> None:
    """The deprecated `cancel()` needs no loop upstream, and none here."""
    handler = Notes(gate=asyncio.Event()).run()
    await after_notes(handler, 1)
    await asyncio.to_thread(handler.cancel)
    assert (await handler.outcome()).status == "cancelled"


class Disobeys(Workflow):
    """One step ends the run, another ignores that it is cancelled."""

    def __init__(self, obeys: asyncio.Event, how: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.obeys = obeys
        self.how = how

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Note | None:
        """Starts both."""
        ctx.send_event(Note(msg="go"))
        ctx.send_event(Custom(answer=1), step="ignore")
        return None

    @step
    async def end(self, ev: Note) -> StopEvent:
        """Ends the run."""
        await asyncio.sleep(0.01)
        if self.how == "failed":
            raise ValueError("boom")
        await asyncio.Event().wait()
        return StopEvent()

    @step
    async def ignore(self, ev: Custom) -> Note | None:
        """Does not obey."""
        while not self.obeys.is_set():
            try:
                await self.obeys.wait()
            except asyncio.CancelledError:
                continue
        return None


@pytest.mark.parametrize("how", ["failed", "timed_out", "cancelled"])
async def test_a_step_that_does_not_obey_keeps_no_reader(how: str) -> None:
    """However a run ends, its log is closed although upstream's result does not come."""
    obeys = asyncio.Event()
    timeout = 0.05 if how == "timed_out" else None
    handler = Disobeys(obeys, how, timeout=timeout, disable_validation=True).run()
    cancelling = None
    if how == "cancelled":
        await asyncio.sleep(0.02)
        cancelling = asyncio.create_task(handler.upstream.cancel_run(timeout=0.1))
    try:
        async with asyncio.timeout(120):
            outcome = await handler.outcome()
            check_ending(await records(handler))
    finally:
        obeys.set()
    assert outcome.status == how
    await asyncio.gather(*([cancelling] if cancelling else []))
    await asyncio.gather(result_of(handler), return_exceptions=True)


async def test_a_step_that_ignores_its_timeout_keeps_nobody() -> None:
    """Readers get the end although upstream's result does not come."""
    obeys = asyncio.Event()

    class Stubborn(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            while not obeys.is_set():
                try:
                    await obeys.wait()
                except asyncio.CancelledError:
                    continue
            return StopEvent()

    handler = Stubborn(timeout=0.01).run()
    async with asyncio.timeout(120):
        outcome = await handler.outcome()
    assert (outcome.status, outcome.steps) == ("timed_out", ("only",))
    check_ending(await records(handler))
    obeys.set()


def _first_cancel() -> bool:
    """Return True if upstream has not yet warned of `cancel()`, as it does once per process."""
    from workflows import handler as upstream

    return upstream._warn_cancel_deprecated.cache_info().misses == 0  # pyright: ignore


class _nothing:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, *args: object) -> None: ...
