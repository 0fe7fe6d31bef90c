"""How runs end: always, once, and saying how."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from flows import Note, Notes, Raises, gathered, notes, records
from workflows.errors import WorkflowTimeoutError

from llama_index_streaming_ext import (
    Context,
    Event,
    Record,
    RunCancelled,
    StartEvent,
    StepCancelled,
    StopEvent,
    StreamingHandler,
    Workflow,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
    step,
    stream_run,
)
from llama_index_streaming_ext.run import find_run

LOGGER = "llama_index_streaming_ext"


class Custom(StopEvent):
    """A stop event with a field."""

    answer: int


class Counter:
    """A stream that counts what is pulled from it, and knows when it was closed."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed = False

    async def chunks(self) -> AsyncGenerator[int, None]:
        """Chunks without end, a turn of the loop apart."""
        try:
            while True:
                self.pulled += 1
                yield self.pulled
                await asyncio.sleep(0)
        finally:
            self.closed = True


class Endless(Workflow):
    """Streams what a counter gives, for ever."""

    def __init__(self, counter: Counter, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.counter = counter

    @step
    async def pull(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        async for number in self.counter.chunks():
            ctx.write_event_to_stream(Note(msg=str(number)))
        return StopEvent()


class Forwards(Workflow):
    """Forwards all that a child run streams, its StopEvent included, and then says more."""

    @step
    async def forward(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        async for event in Notes(count=1).run().stream_events():
            ctx.write_event_to_stream(event)
        ctx.write_event_to_stream(Note(msg="after the child"))
        return StopEvent(result="mine")


class Parent(Workflow):
    """Starts a child run in its step and waits for it."""

    child: StreamingHandler

    def __init__(self, child: Workflow, *, detach: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.child_workflow = child
        self.detach = detach

    @step
    async def start_child(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        self.child = self.child_workflow.run()
        if self.detach:
            self.child.detach()
        ctx.write_event_to_stream(Note(msg="started"))
        outcome = await self.child.outcome()
        return StopEvent(result=outcome.result)


async def after_notes(handler: StreamingHandler, count: int) -> None:
    """Return when a run has written some notes."""
    seen = 0
    async for _ in handler.stream.read(types=Note):
        seen += 1
        if seen == count:
            return


def check_ending(read: list[Record]) -> None:
    """L1 and L2: no gaps, one terminal record, the last one."""
    assert [record.seq for record in read] == sorted({record.seq for record in read})
    assert [record.terminal for record in read] == [False] * (len(read) - 1) + [True]


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
    waiting = asyncio.create_task(_await(handler))
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
    """What a step writes after it is in the log too (U6)."""

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


async def test_a_forwarded_stop_event_does_not_end_the_log() -> None:
    """A child's StopEvent is an event like others in its parent's log (U6)."""
    handler = Forwards().run()
    read = await records(handler)
    check_ending(read)
    assert notes([record.event for record in read]) == ["0", "after the child"]
    assert (await handler.outcome()).result == "mine"


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


async def test_a_child_is_cancelled_with_its_parent() -> None:
    """A run that was started in another run's step ends with it (U5)."""
    counter = Counter()
    parent = Parent(Endless(counter))
    handler = parent.run()
    await after_notes(handler, 1)
    await after_notes(parent.child, 2)
    await handler.cancel_run()
    assert (await parent.child.outcome()).status == "cancelled"
    assert counter.closed


async def test_a_detached_child_goes_on() -> None:
    """`detach()` lets a child outlive its parent."""
    gate = asyncio.Event()

    parent = Parent(Notes(gate=gate), detach=True)
    handler = parent.run()
    await after_notes(handler, 1)
    await handler.cancel_run()
    gate.set()
    assert (await parent.child.outcome()).status == "completed"


async def test_a_child_that_is_not_awaited_outlives_a_parent_that_completes() -> None:
    """Only a parent that is cancelled, or fails, takes its children with it."""
    gate = asyncio.Event()

    class FiresAndForgets(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=Notes(gate=gate).run())

    child: StreamingHandler = await FiresAndForgets().run()
    gate.set()
    assert (await child.outcome()).status == "completed"


async def test_a_childs_events_do_not_get_into_its_parents_log() -> None:
    """Each run writes into its own log, however deep it is nested."""
    parent = Parent(Notes())
    handler = parent.run()
    await handler
    assert notes([record.event for record in await records(handler)]) == ["started"]
    assert notes([record.event for record in await records(parent.child)]) == ["0", "1", "2"]


async def test_a_failure_that_nobody_asked_for_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Upstream says nothing at all (U4)."""
    handler = Raises(ValueError("boom")).run()
    await gathered(handler.stream_events())
    del handler
    gc.collect()
    (entry,) = [entry for entry in caplog.records if entry.name == LOGGER]
    assert entry.levelno == logging.ERROR
    assert "nobody asked" in entry.getMessage()
    assert entry.exc_info is not None


async def test_a_failure_of_a_run_without_a_handler_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fire and forget: the run fails after its handler is gone."""
    gate = asyncio.Event()

    class Later(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            await gate.wait()
            raise ValueError("boom")

    stream = Later().run().stream
    gc.collect()
    gate.set()
    await stream.ended()
    assert len([entry for entry in caplog.records if entry.name == LOGGER]) == 1


@pytest.mark.parametrize("way", ["await", "outcome", "stop_event_result"])
async def test_a_failure_that_was_asked_for_is_not_logged(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asks for the outcome deals with it."""
    handler = Raises(ValueError("boom")).run()
    asked = _await(handler) if way == "await" else getattr(handler, way)()
    await asyncio.gather(asked, return_exceptions=True)
    del handler, asked
    gc.collect()
    assert not [entry for entry in caplog.records if entry.name == LOGGER]


async def test_nothing_is_left_behind() -> None:
    """When a run is over, none of its tasks is, and nobody holds its log."""
    before = len(asyncio.all_tasks())
    handler = Notes().run(run_id="gone")
    await handler
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    del handler
    gc.collect()
    assert find_run("gone") is None


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


async def _await(handler: StreamingHandler) -> Any:
    result: Any = await handler
    return result


def _first_cancel() -> bool:
    """Whether upstream's deprecation of `cancel()`, said once per process, is still to come."""
    from workflows import handler as upstream

    return upstream._warn_cancel_deprecated.cache_info().misses == 0  # pyright: ignore


class _nothing:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, *args: object) -> None: ...


async def test_a_run_id_can_be_used_again() -> None:
    """A run that is over and forgotten does not keep its id (as upstream)."""
    gc.disable()
    try:
        for _ in range(3):
            assert await Notes().run(run_id="again") == "done"
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", [WorkflowFailedEvent, WorkflowCancelledEvent])
async def test_a_step_may_return_the_end_of_another_run(kind: type[StopEvent]) -> None:
    """What a step returns is the result, whatever it says: the run has completed."""
    stop = (
        WorkflowCancelledEvent()
        if kind is WorkflowCancelledEvent
        else WorkflowFailedEvent(step_name="of a child", exception=ValueError("child's"))
    )

    class Returns(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return stop

    handler = Returns().run()
    assert (await handler.outcome()).status == "completed"
    assert await handler is stop


async def test_a_childs_timeout_in_a_step_is_a_failure() -> None:
    """What a child ended with is not what its parent ended with."""

    class Waits(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Notes(gate=asyncio.Event(), timeout=0.01).run())

    handler = Waits().run()
    outcome = await handler.outcome()
    assert outcome.status == "failed"
    assert isinstance(outcome.error, WorkflowTimeoutError)
    assert isinstance((await records(handler))[-1].event, WorkflowFailedEvent)


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
    async with asyncio.timeout(10):
        outcome = await handler.outcome()
    assert (outcome.status, outcome.steps) == ("timed_out", ("only",))
    check_ending(await records(handler))
    obeys.set()


async def test_a_failed_run_that_was_awaited_can_be_collected() -> None:
    """Nothing holds a run whose error holds its handler."""
    with pytest.raises(ValueError, match="boom"):
        await Raises(ValueError("boom")).run(run_id="collected")
    gc.collect()
    assert find_run("collected") is None


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
        async with asyncio.timeout(10):
            outcome = await handler.outcome()
            check_ending(await records(handler))
    finally:
        obeys.set()
    assert outcome.status == how
    await asyncio.gather(*([cancelling] if cancelling else []))
    await asyncio.gather(_await(handler), return_exceptions=True)
