"""How a run ends, and how it fails to."""

import asyncio
import contextlib
import gc
import logging

import pytest
from workflows import Context, Workflow, step
from workflows.errors import WorkflowCancelledByUser, WorkflowTimeoutError
from workflows.events import (
    StartEvent,
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)

from tests.support.upstream.flows import (
    Note,
    Notes,
    Source,
    Talk,
    hangs,
    names,
    numbers,
    read,
    soon,
    turns,
)

hard_cancel = pytest.mark.filterwarnings("ignore:WorkflowHandler.cancel:DeprecationWarning")


class Failing(Workflow):
    """Writes a note, then raises."""

    @step
    async def fail(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Raise what the canaries look for."""
        ctx.write_event_to_stream(Note(n=0))
        raise ValueError("boom")


class CancelledStep(Workflow):
    """Its step raises CancelledError of its own accord."""

    @step
    async def vanish(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """End as a cancelled await inside a step would."""
        raise asyncio.CancelledError


async def test_u4_timeout_event_and_error() -> None:
    """U4: a timeout streams `WorkflowTimedOutEvent`; only `await handler` raises."""
    handler = Talk(Source(), timeout=0.05).run()
    last = (await read(handler.stream_events()))[-1]
    assert isinstance(last, WorkflowTimedOutEvent)
    assert (last.timeout, last.active_steps) == (0.05, ["talk"])
    with pytest.raises(WorkflowTimeoutError):
        await soon(handler)


async def test_u4_cancel_event_and_error() -> None:
    """U4: `cancel_run` streams `WorkflowCancelledEvent`; only `await handler` raises."""
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    await handler.cancel_run()
    last = (await read(handler.stream_events()))[-1]
    assert isinstance(last, WorkflowCancelledEvent)
    with pytest.raises(WorkflowCancelledByUser):
        await soon(handler)


async def test_u4_failure_event_and_error() -> None:
    """U4: a failure streams `WorkflowFailedEvent` with the exception; only `await` raises it."""
    handler = Failing().run()
    last = (await read(handler.stream_events()))[-1]
    assert isinstance(last, WorkflowFailedEvent)
    assert (last.step_name, last.attempts) == ("fail", 1)
    assert last.elapsed_seconds is not None
    with pytest.raises(ValueError, match="boom") as raised:
        await soon(handler)
    assert last.exception is raised.value


async def test_u4_a_failed_run_that_nobody_awaits_logs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """U4: a run that fails, is streamed and never awaited leaves no log line at all."""
    caplog.set_level(logging.INFO)
    events = await read(Failing().run().stream_events())
    assert names(events) == ["Note", "WorkflowFailedEvent"]
    del events
    await turns()
    gc.collect()
    assert caplog.records == []


@hard_cancel
async def test_u5_hard_cancel_leaves_the_stream_hanging() -> None:
    """U5: after the deprecated `handler.cancel()` the stream never ends."""
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    handler.cancel()
    source.gate.set()
    assert await hangs(read(handler.stream_events()))


@hard_cancel
async def test_u5_stop_event_result_ends_after_a_hard_cancel() -> None:
    """U5: `stop_event_result()` does end after `handler.cancel()`, with CancelledError."""
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    handler.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(handler.stop_event_result())
    source.gate.set()


async def test_u5_a_step_that_raises_cancelled_error_never_ends() -> None:
    """U5: with `timeout=None` such a step ends neither the stream nor the handler."""
    handler = CancelledStep(timeout=None).run()
    reading = asyncio.create_task(soon(read(handler.stream_events())))
    ending = asyncio.create_task(soon(handler))
    assert await hangs(asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED))
    assert not handler.is_done()


async def test_u5_a_step_that_raises_cancelled_error_times_out() -> None:
    """U5: with a timeout such a step gives no failure event, only the timeout's."""
    handler = CancelledStep(timeout=0.05).run()
    assert names(await read(handler.stream_events())) == ["WorkflowTimedOutEvent"]


async def test_u5_a_write_after_the_stop_event_hangs_the_second_reader() -> None:
    """U5: two readers plus a background write after the StopEvent hang."""
    late, tasks = asyncio.Event(), set[asyncio.Task[None]]()

    class Trailing(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            async def afterwards() -> None:
                await late.wait()
                ctx.write_event_to_stream(Note(n=9))

            tasks.add(asyncio.create_task(afterwards()))
            return StopEvent()

    handler = Trailing().run()
    first, second = handler.stream_events(), handler.stream_events()
    stray: list[int] = []

    async def read_second() -> None:
        async for event in second:
            stray.extend(numbers([event]))

    assert isinstance(await anext(first), StopEvent)

    waiting = asyncio.create_task(read_second())
    await soon(handler)
    late.set()
    await soon(asyncio.gather(*tasks))
    await turns()
    await first.aclose()
    assert await hangs(waiting)
    assert stray == [9]


async def test_u5_a_reader_of_the_context_takes_events_away() -> None:
    """U5: what a reader of `handler.ctx.stream_events()` has seen no other reader sees."""
    handler = Notes().run()
    thief = handler.ctx.stream_events()
    assert type(await anext(thief)).__name__ == "StepStateChanged"
    assert numbers([await anext(thief)]) == [0]
    await thief.aclose()
    assert numbers(await read(handler.stream_events())) == [1, 2]


@hard_cancel
async def test_u5_hard_cancel_goes_on_pulling_from_the_llm() -> None:
    """U5: after `handler.cancel()` the step runs to its end and pulls every further chunk."""
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    handler.cancel()
    at_cancel = source.pulled
    source.gate.set()
    await soon(source.closed.wait())
    assert source.pulled - at_cancel > 20
    assert source.task is not None
    await soon(source.task)
    assert not source.task.cancelled()


async def test_u5_an_expired_wait_for_goes_on_pulling_from_the_llm() -> None:
    """U5: `wait_for(handler)` that expires cancels the handler, and the LLM is pulled dry."""
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handler, 0.05)
    assert handler.is_done()
    at_expiry = source.pulled
    source.gate.set()
    await soon(source.closed.wait())
    assert source.pulled - at_expiry > 20


async def test_u5_wait_for_without_time_cancels_nothing() -> None:
    """U5: `wait_for(handler, 0)` never starts to wait: the run goes on and its stream is whole."""
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handler, 0)
    source.gate.set()
    events = await read(handler.stream_events())
    assert numbers(events) == list(range(100))
    assert names(events)[-1] == "StopEvent"


async def test_u5_cancel_run_stops_the_llm_at_once() -> None:
    """U5: after `cancel_run()` no further chunk is pulled, and the source is closed."""
    before = asyncio.all_tasks()
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    at_cancel = source.pulled
    await handler.cancel_run()
    assert source.closed.is_set()
    source.gate.set()
    await turns()
    assert source.pulled == at_cancel
    assert asyncio.all_tasks() == before


@hard_cancel
async def test_u5_hard_cancel_leaks_the_step_and_the_mailbox() -> None:
    """U5: after `handler.cancel()` two tasks are left, the step and the mailbox; one for good."""
    before = asyncio.all_tasks()
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    await turns()  # so that no task of a written event is left
    handler.cancel()
    await turns()
    leaked = asyncio.all_tasks() - before
    assert source.task in leaked
    assert len(leaked) == 2
    source.gate.set()
    assert source.task is not None
    await soon(source.task)
    await turns()
    assert asyncio.all_tasks() - before == leaked - {source.task}


@hard_cancel
async def test_u5_hard_cancel_reaches_a_step_that_the_control_loop_has_seen() -> None:
    """U5: if anything woke the control loop since the step began, `handler.cancel()` cancels it."""
    source = Source()
    handler = Talk(source).run()
    await soon(source.speaking.wait())
    handler.ctx.send_event(Note(n=0))
    await turns()
    handler.cancel()
    assert source.task is not None
    await soon(asyncio.wait([source.task]))
    assert source.task.cancelled()
    assert source.pulled == 5


async def test_u5_a_child_run_outlives_its_cancelled_parent() -> None:
    """U5: a child that a parent's step reads goes on after the parent's `cancel_run`."""
    source = Source()

    class Parent(Workflow):
        @step
        async def delegate(self, ctx: Context, ev: StartEvent) -> StopEvent:
            async for event in Talk(source).run().stream_events():
                ctx.write_event_to_stream(event)
            return StopEvent()

    handler = Parent(timeout=None).run()
    await soon(source.speaking.wait())
    await handler.cancel_run()
    assert not source.closed.is_set()
    source.gate.set()
    await soon(source.closed.wait())
    assert source.pulled == 100


async def test_u12_a_consumer_that_breaks_does_not_stop_the_run() -> None:
    """U12: after the only consumer broke out every chunk is still pulled from the LLM."""
    source = Source()
    handler = Talk(source).run()
    async for _ in handler.stream_events():
        break
    source.gate.set()
    await soon(handler)
    assert source.pulled == 100


async def test_u17_the_stop_event_is_passed_by_identity() -> None:
    """U17: the step's own StopEvent is the one streamed and the one of `stop_event_result()`."""
    own = StopEvent(result="done")

    class Own(Workflow):
        @step
        async def end(self, ev: StartEvent) -> StopEvent:
            return own

    handler = Own().run()
    assert (await read(handler.stream_events()))[-1] is own
    assert await soon(handler.stop_event_result()) is own
    assert handler.get_stop_event() is own
    assert await soon(handler) == "done"


async def test_u17_awaiting_gives_a_subclass_of_stop_event_itself() -> None:
    """U17: `await handler` is `.result` for a plain StopEvent, the event for a subclass."""

    class Done(StopEvent):
        n: int

    own = Done(n=3)

    class Own(Workflow):
        @step
        async def end(self, ev: StartEvent) -> Done:
            return own

    handler = Own().run()
    assert await soon(handler) is own
    assert await soon(handler.stop_event_result()) is own


@pytest.mark.parametrize("flow", [Notes, Failing])
async def test_u17_the_last_event_is_streamed_before_the_run_is_done(flow: type[Workflow]) -> None:
    """U17: a live reader of the last event finds `is_done()` false and no result yet."""
    handler = flow().run()
    async for event in handler.stream_events():
        if isinstance(event, StopEvent):
            assert not handler.is_done()
            assert handler.get_stop_event() is None
    with contextlib.suppress(ValueError):
        await soon(handler)
    assert handler.is_done()
