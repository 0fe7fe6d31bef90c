"""What `stream_events()` gives, and to whom."""

import asyncio

import pytest
from workflows import Context, Workflow, step
from workflows.errors import WorkflowRuntimeError
from workflows.events import Event, StartEvent, StopEvent

from tests.support.upstream.flows import Note, Notes, hangs, names, numbers, read, soon, turns

ALL = ["Note", "Note", "Note", "StopEvent"]


async def test_u1_second_pass_after_the_end_raises() -> None:
    """U1: `stream_events()` cannot be read a second time after its end."""
    handler = Notes().run()
    assert names(await read(handler.stream_events())) == ALL
    with pytest.raises(WorkflowRuntimeError, match="All the streamed events have already"):
        await read(handler.stream_events())


async def test_u1_late_first_reader_gets_everything() -> None:
    """U1: a first reader that comes after the end still gets every event."""
    handler = Notes().run()
    await soon(handler)
    assert names(await read(handler.stream_events())) == ALL


async def test_u1_of_two_concurrent_readers_the_first_gets_everything() -> None:
    """U1: of two concurrent readers the first gets everything and the second raises."""
    handler = Notes().run()
    first, second = await asyncio.gather(
        read(handler.stream_events()), read(handler.stream_events()), return_exceptions=True
    )
    assert isinstance(first, list)
    assert names(first) == ALL
    assert isinstance(second, WorkflowRuntimeError)
    assert "Event stream already consumed" in str(second)


async def test_u1_second_concurrent_reader_of_the_context_hangs() -> None:
    """U1: of two concurrent readers of `handler.ctx.stream_events()` the second hangs for ever."""
    handler = Notes().run()
    first = asyncio.create_task(read(handler.ctx.stream_events()))
    second = asyncio.create_task(read(handler.ctx.stream_events()))
    assert numbers(await soon(first)) == [0, 1, 2]
    await soon(handler)
    assert await hangs(second)


async def test_u1_break_and_reenter_goes_on_where_it_stopped() -> None:
    """U1: `break` and a new `stream_events()` in a live run continue where the first stopped."""
    more = asyncio.Event()

    class Slow(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(Note(n=0))
            await more.wait()
            ctx.write_event_to_stream(Note(n=1))
            return StopEvent()

    handler = Slow().run()
    async for event in handler.stream_events():
        assert numbers([event]) == [0]
        break
    more.set()
    assert names(await read(handler.stream_events())) == ["Note", "StopEvent"]


async def test_u1_break_then_await_then_reenter_gets_the_rest() -> None:
    """U1: `break`, `await handler`, and a new pass gives the rest, with the StopEvent last."""
    handler = Notes().run()
    async for _ in handler.stream_events():
        break
    await soon(handler)
    rest = await read(handler.stream_events())
    assert numbers(rest) == [1, 2]
    assert names(rest) == ALL[1:]


async def test_u1_break_at_the_stop_event_and_reenter_raises() -> None:
    """U1: `break` at the StopEvent uses the stream up; a new pass raises, in other words."""
    handler = Notes().run()
    async for event in handler.stream_events():
        if isinstance(event, StopEvent):
            break
    await soon(handler)
    with pytest.raises(WorkflowRuntimeError, match="Event stream already consumed"):
        await read(handler.stream_events())


async def test_u1_a_suspended_generator_that_is_kept_blocks_the_next_pass() -> None:
    """U1: while a suspended generator is referenced a new pass hangs, though the run is over."""
    handler = Notes().run()
    kept = handler.stream_events()
    assert numbers([await anext(kept)]) == [0]
    await soon(handler)
    assert await hangs(anext(handler.stream_events()))
    assert numbers(await read(kept)) == [1, 2]


async def test_u1_closing_the_suspended_generator_hands_over_the_rest() -> None:
    """U1: a second generator, made early, waits for the first to be closed and gets the rest."""
    handler = Notes().run()
    first, second = handler.stream_events(), handler.stream_events()
    assert numbers([await anext(first)]) == [0]
    waiting = asyncio.create_task(read(second))
    await turns()
    assert not waiting.done()
    await first.aclose()
    assert names(await soon(waiting)) == ALL[1:]


async def test_u1_a_generator_made_early_raises_when_the_first_reads_to_the_end() -> None:
    """U1: a second generator, made early, raises without an event once the first has ended."""
    handler = Notes().run()
    first, second = handler.stream_events(), handler.stream_events()
    assert numbers([await anext(first)]) == [0]
    waiting = asyncio.create_task(anext(second))
    await turns()
    assert not waiting.done()
    assert names(await read(first)) == ALL[1:]
    with pytest.raises(WorkflowRuntimeError, match="Event stream already consumed"):
        await soon(waiting)


async def test_u1_the_stream_of_the_context_has_the_internal_events() -> None:
    """U1: `handler.ctx.stream_events()` shows internal events, which the handler's hides."""
    events = await read(Notes().run().ctx.stream_events())
    assert "StepStateChanged" in names(events)


async def test_u2_every_event_written_is_a_task_of_its_own() -> None:
    """U2: `write_event_to_stream` makes one asyncio task per event."""
    made: list[int] = []

    class Burst(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            before = len(asyncio.all_tasks())
            for n in range(50):
                ctx.write_event_to_stream(Note(n=n))
            made.append(len(asyncio.all_tasks()) - before)
            return StopEvent()

    await soon(Burst().run())
    assert made == [50]


async def test_u2_events_of_a_step_that_does_not_await_arrive_together() -> None:
    """U2: nothing reaches a waiting reader before the step gives the loop a turn."""
    written: list[int] = []

    class Burst(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            for n in range(50):
                ctx.write_event_to_stream(Note(n=n))
                written.append(n)
            return StopEvent()

    events = Burst().run().stream_events()
    assert numbers([await anext(events)]) == [0]
    assert len(written) == 50
    assert len(await read(events)) == 50


async def test_u3_events_are_passed_by_reference() -> None:
    """U3: one object, written and mutated three times, is read three times in its last state."""

    class Mutating(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            note = Note(n=0)
            for n in range(3):
                note.n = n
                ctx.write_event_to_stream(note)
            return StopEvent()

    events: list[Event] = await read(Mutating().run().stream_events())
    assert numbers(events) == [2, 2, 2]
    assert events[0] is events[1] is events[2]


async def test_u9_internal_events_are_there_on_request() -> None:
    """U9: `expose_internal=True` adds `StepStateChanged`, which has no timestamp."""
    events = await read(Notes().run().stream_events(expose_internal=True))
    changes = [event for event in events if type(event).__name__ == "StepStateChanged"]
    assert changes
    assert not any("time" in name or name == "ts" for name in type(changes[0]).model_fields)
    assert names([event for event in events if event not in changes]) == ALL


async def test_u9_idle_and_unhandled_events_are_internal() -> None:
    """U9: a run that waits says `WorkflowIdleEvent`, an event nobody takes `UnhandledEvent`."""

    class Answer(Event):
        pass

    class Waiting(Workflow):
        @step
        async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(Answer)
            return StopEvent()

    handler = Waiting().run()
    seen: list[str] = []
    async with asyncio.timeout(120):
        async for event in handler.stream_events(expose_internal=True):
            name = type(event).__name__
            if name == "WorkflowIdleEvent":
                handler.ctx.send_event(Answer() if "UnhandledEvent" in seen else Note(n=0))
            seen.append(name)
    assert "WorkflowIdleEvent" in seen
    assert "UnhandledEvent" in seen
    assert seen[-1] == "StopEvent"
