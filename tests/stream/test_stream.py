"""An event stream by itself: its writer, and its readers."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from llama_index_streaming_ext import AgentInput, AgentStream, Event, EventStream, Record, StopEvent
from llama_index_streaming_ext.events import StepStateChanged, WorkflowIdleEvent
from llama_index_streaming_ext.stream.record import Ending

PATIENCE = 120.0
"""Seconds that a wait which must end may take."""


class Note(Event):
    """An event of a user."""

    n: int = 0


class LoudNote(Note):
    """An event of a class that derives from another."""


def chunk(delta: str, response: str) -> AgentStream:
    """A chunk of an LLM call."""
    return AgentStream(delta=delta, response=response, current_agent_name="agent")


def written(*events: Event, end: bool = True) -> EventStream:
    """A stream with these events, closed unless it is to go on."""
    stream = EventStream("run")
    for event in events:
        stream.append(event)
    if end:
        close(stream)
    return stream


def close(stream: EventStream) -> int:
    """End a stream as a completed run does."""
    return stream.close(StopEvent(result="done"), Ending("completed"))


def lose(stream: EventStream) -> None:
    """End a stream as a lost run does."""
    stream.close(StopEvent(), Ending("lost"))


async def all_of(stream: EventStream, *args: Any, **kwargs: Any) -> list[Record]:
    """Return the records that a reader gets."""
    async with asyncio.timeout(PATIENCE):
        return [record async for record in stream.read(*args, **kwargs)]


async def seqs(stream: EventStream, *args: Any, **kwargs: Any) -> list[int]:
    """The seqs that a reader gets."""
    return [record.seq for record in await all_of(stream, *args, **kwargs)]


async def parked(task: asyncio.Task[Any]) -> None:
    """Let a reader read all that is there, and wait for more."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()


def waiting(stream: EventStream) -> int:
    """Return the number of readers that the log would wake."""
    log = stream._log  # pyright: ignore[reportPrivateUsage] # nothing public counts them
    return len(log._waiters) + len(log._end_waiters)  # pyright: ignore[reportPrivateUsage]


def test_append_gives_the_seq() -> None:
    """The writer learns the seq of what it wrote."""
    stream = EventStream("run")
    assert [stream.append(Note()), stream.append(chunk("a", "a")), close(stream)] == [1, 2, 3]


async def test_a_record_has_the_written_event() -> None:
    """A record is the event with its seq; the last one is terminal."""
    first, last = await all_of(written(Note(n=7)))
    assert (first.seq, first.event, first.terminal) == (1, Note(n=7), False)
    assert (last.seq, last.event, last.terminal) == (2, StopEvent(result="done"), True)


async def test_a_stop_event_of_a_step_is_not_terminal() -> None:
    """Only the record that ends the run is terminal, whatever its event (U6)."""
    found = await all_of(written(StopEvent(result="by hand"), Note()))
    assert [record.terminal for record in found] == [False, False, True]


async def test_time_never_goes_back() -> None:
    """A clock that is set back does not show in the log (L1)."""
    times = iter([100.0, 105.0, 101.0, 106.0])
    stream = EventStream("run", clock=lambda: next(times))
    for event in (Note(), chunk("a", "a")):
        stream.append(event)
    close(stream)
    assert [record.ts for record in await all_of(stream)] == [105.0, 105.0, 106.0]


def test_fence() -> None:
    """After the end nothing is appended."""
    stream = written()
    assert [stream.append(Note()), stream.append(chunk("a", "a")), close(stream)] == [0, 0, 0]
    assert stream.last_seq == 1


async def test_setting_a_field_of_a_written_event() -> None:
    """Fields that are set after the event was written do not reach readers (U3)."""
    note, stream = Note(n=1), EventStream("run")
    for n in (1, 2, 3):
        note.n = n
        stream.append(note)
    note.late = 1
    close(stream)
    events = [record.event for record in await all_of(stream, types=Note)]
    assert events == [Note(n=1), Note(n=2), Note(n=3)]


def test_open_and_closed() -> None:
    """A stream is done when its terminal record is written."""
    stream = written(end=False)
    assert not stream.done
    assert not stream.closed
    close(stream)
    assert stream.done
    assert stream.closed


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 9])
async def test_read_after(after: int) -> None:
    """A reader gets the records that come after a seq, none where there are none."""
    stream = written(Note(), chunk("a", "a"), Note())
    assert await seqs(stream, after) == [seq for seq in (1, 2, 3, 4) if seq > after]


async def test_read_ahead_of_the_log() -> None:
    """A reader may name a seq that is still to come: it gets what comes after that."""
    stream = written(end=False)
    reading = asyncio.create_task(seqs(stream, after=2))
    await parked(reading)
    for _ in range(3):
        stream.append(Note())
    close(stream)
    assert await reading == [3, 4]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((), [1, 2, 3, 4]),
        (Event, [1, 2, 3, 4]),
        (Note, [1, 3]),
        ((Note,), [1, 3]),
        (LoudNote, [3]),
        (AgentStream, [2]),
        ((AgentStream, LoudNote), [2, 3]),
        (StopEvent, [4]),
        (AgentInput, []),
    ],
)
async def test_read_types(types: Any, expected: list[int]) -> None:
    """A reader gets the events of the classes it names, and of their subclasses."""
    stream = written(Note(), chunk("a", "a"), LoudNote())
    assert await seqs(stream, types=types) == expected


async def test_read_internal() -> None:
    """Internal events have seqs, but are only for readers that ask for them."""
    idle = WorkflowIdleEvent()
    stream = written(idle, Note(), idle)
    assert await seqs(stream) == [2, 4]
    assert await seqs(stream, internal=True) == [1, 2, 3, 4]


async def test_read_internal_types() -> None:
    """A reader of internal event classes has to ask for internal events, too."""
    stream = written(WorkflowIdleEvent())
    assert await seqs(stream, types=WorkflowIdleEvent) == []
    assert await seqs(stream, types=(WorkflowIdleEvent, StepStateChanged), internal=True) == [1]


@pytest.mark.parametrize("count", [0, 1, 200])
async def test_read_without_following(count: int) -> None:
    """A reader that does not follow ends at the newest record."""
    stream = written(*[Note()] * count, end=False)
    assert await seqs(stream, follow=False) == list(range(1, count + 1))


async def test_read_without_following_an_ended_run() -> None:
    """A reader that does not follow gets the terminal record, too."""
    assert await seqs(written(Note()), follow=False) == [1, 2]


async def test_read_from_now_on() -> None:
    """A reader that starts at last_seq gets only what is new."""
    stream = written(Note(), Note(), end=False)
    reading = asyncio.create_task(seqs(stream, after=stream.last_seq))
    await parked(reading)
    close(stream)
    assert await reading == [3]


def test_bad_after() -> None:
    """A negative seq is an error at once."""
    with pytest.raises(ValueError, match="after=-1"):
        written().read(after=-1)


@pytest.mark.parametrize("types", [int, (Note, int), "Note", (Note(),), [None]])
def test_bad_types(types: Any) -> None:
    """A type that is no class of events is an error at once."""
    with pytest.raises(TypeError, match="classes of events"):
        written().read(types=types)


async def test_readers_that_are_level_share_a_record() -> None:
    """An AgentStream is put together once for the readers that follow live."""
    stream = written(chunk("a", "a"), end=False)
    first, second = stream.read(), stream.read()
    assert await anext(first) is await anext(second)


async def test_response_of_a_replay() -> None:
    """A reader that starts in the middle of an LLM call gets the whole response so far."""
    deltas = [f"{n} " for n in range(300)]
    stream = written(*(chunk(d, "".join(deltas[: n + 1])) for n, d in enumerate(deltas)))
    found = await all_of(stream, after=250, types=AgentStream)
    assert [record.event.response for record in found] == [
        "".join(deltas[:n]) for n in range(251, 301)
    ]


async def test_a_replay_lets_others_run() -> None:
    """A reader that is far behind gives way to others while it reads."""
    stream = written(*[Note()] * 1000)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await all_of(stream)
    counting.cancel()
    assert turns >= 10


async def test_a_cancelled_reader_gives_its_place_back() -> None:
    """Readers that are cancelled while they wait leave nothing behind."""
    stream = written(Note(), end=False)
    reading = [asyncio.create_task(seqs(stream)) for _ in range(100)]
    await parked(reading[0])
    assert waiting(stream) == 100
    for task in reading:
        task.cancel()
    await asyncio.wait(reading)
    assert waiting(stream) == 0


async def test_a_cancelled_wait_for_the_end_gives_its_place_back() -> None:
    """Waiting for the outcome and giving up leaves nothing behind."""
    stream = written(end=False)
    for _ in range(3):
        waiting_for = asyncio.create_task(stream.outcome())
        await parked(waiting_for)
        waiting_for.cancel()
        await asyncio.wait([waiting_for])
    assert waiting(stream) == 0


async def test_a_closed_reader_gives_its_place_back() -> None:
    """Closing a reader that waits leaves nothing behind."""
    stream = written(Note(), end=False)
    reader = stream.read()
    await anext(reader)
    next_record = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    next_record.cancel()
    await asyncio.wait([next_record])
    await reader.aclose()
    assert waiting(stream) == 0


async def test_a_reader_that_is_dropped_is_collected() -> None:
    """A stream holds no reader that nobody asks for more."""
    stream = written(Note(), Note(), end=False)
    reader = stream.read()
    await anext(reader)
    del reader
    gc.collect()
    await asyncio.sleep(0)
    assert waiting(stream) == 0


async def test_ended_waits_for_the_end() -> None:
    """Waiting for the end is over with the terminal record, not before."""
    stream = written(end=False)
    ending = asyncio.create_task(stream.ended())
    await parked(ending)
    stream.append(Note())
    await parked(ending)
    close(stream)
    await asyncio.wait_for(ending, PATIENCE)


async def test_a_lost_writer() -> None:
    """When the writer's loop is closed, whoever looks has the stream closed."""
    stream = written(Note(), end=False)
    theirs = asyncio.new_event_loop()
    stream.written_on(theirs, lambda: lose(stream))
    assert not stream.done
    theirs.close()
    assert await seqs(stream) == [1, 2]


@pytest.mark.parametrize("method", ["read", "outcome", "ended"])
async def test_a_writer_that_is_lost_while_others_wait(method: str) -> None:
    """A reader on another loop notices that the writer's loop was closed."""
    stream = written(Note(), end=False)
    theirs = asyncio.new_event_loop()
    stream.written_on(theirs, lambda: lose(stream))
    wait = seqs(stream) if method == "read" else getattr(stream, method)()
    waits = asyncio.create_task(wait)
    await parked(waits)
    theirs.close()
    await asyncio.wait_for(waits, PATIENCE)
    assert stream.done


def test_waiting_on_another_loop_does_not_pile_up() -> None:
    """A reader that looks again and again whether the writer still lives holds one place."""
    looked = 0

    class Hasty(asyncio.SelectorEventLoop):
        def call_later(self, delay: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            """Let no time pass, for the first times."""
            nonlocal looked
            looked += 1
            return super().call_later(0 if looked < 5 else delay, *args, **kwargs)

    async def places() -> int:
        stream = written(end=False)
        theirs = asyncio.new_event_loop()
        stream.written_on(theirs, lambda: None)
        reading = asyncio.create_task(seqs(stream))
        for _ in range(50):
            await asyncio.sleep(0)
        found = waiting(stream)
        reading.cancel()
        theirs.close()
        return found

    with asyncio.Runner(loop_factory=Hasty) as runner:
        assert runner.run(places()) == 1
    assert looked >= 5


def test_readers_on_other_threads() -> None:
    """Readers on the loops of other threads get what a writer without a loop writes (U8)."""
    stream = written(end=False)
    found: list[Future[list[int]]] = [Future() for _ in range(4)]

    def read(future: Future[list[int]]) -> None:
        future.set_result(asyncio.run(seqs(stream)))

    for future in found:
        threading.Thread(target=read, args=(future,), daemon=True).start()
    for n in range(200):
        stream.append(chunk("a", "a" * (n + 1)) if n % 2 else Note(n=n))
        if n % 50 == 0:
            time.sleep(0)  # lets the other threads in
    close(stream)
    assert [future.result(PATIENCE) for future in found] == [list(range(1, 202))] * 4


async def test_a_record_of_a_class_is_a_record_like_others() -> None:
    """`Record[AgentStream]` is for type checkers: the class and its pickles stay what they are."""
    token = chunk("a", "a")
    assert Record[AgentStream](1, 2.0, token) == Record(1, 2.0, token)
    record = Record(1, 2.0, StopEvent(result="x"), terminal=True)
    assert pickle.loads(pickle.dumps(record))[:2] == record[:2]
