"""A sync generator is read from a loop that stays free, and leaves no thread behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import threading
from collections.abc import Generator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, VirtualClock, text, wait
from llama_index_streaming_ext.testing.clock.threads import idle_threads
from llama_index_streaming_ext.threads.to_thread import pumped

PATIENCE = 120.0
who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


class Source:
    """A sync generator that tells where it is."""

    def __init__(self, length: float = float("inf")) -> None:
        self.length = length
        self.made = 0
        self.threads: list[threading.Thread] = []
        self.closed = threading.Event()
        self.holds_at: int | None = None
        self.held = threading.Event()
        self.gate = threading.Event()

    def items(self) -> Generator[int]:
        """0, 1, 2, ..., held at one of them until the gate is open."""
        try:
            while self.made < self.length:
                self.threads.append(threading.current_thread())
                if self.made == self.holds_at:
                    self.held.set()
                    assert self.gate.wait(PATIENCE)
                self.made += 1
                yield self.made - 1
        finally:
            self.threads.append(threading.current_thread())
            self.closed.set()

    @property
    def thread(self) -> threading.Thread:
        """The thread in which it runs."""
        (thread,) = set(self.threads)
        return thread

    def has_ended(self) -> bool:
        """Whether it is closed, and its thread over."""
        self.thread.join(PATIENCE)
        return self.closed.is_set() and not self.thread.is_alive()


def raising(error: BaseException) -> Iterator[int]:
    """Two items, and an error."""
    yield 0
    yield 1
    raise error


@given(items=st.lists(st.integers(), max_size=200), lead=st.integers(1, 70))
def test_what_is_read_is_what_is_made(items: list[int], lead: int) -> None:
    """All items arrive, once and in order, however few may be ready."""

    async def read() -> list[int]:
        return [item async for item in pumped(lambda: iter(items), lead=lead)]

    assert asyncio.run(read()) == items


async def test_the_loop_is_free_while_the_generator_blocks() -> None:
    """Another coroutine opens the gate that the generator waits for."""
    source = Source(length=3)
    source.holds_at = 1

    async def open_gate() -> None:
        while not source.held.is_set():  # noqa: ASYNC110 # it is what is tested
            await asyncio.sleep(0)
        source.gate.set()

    opening = asyncio.create_task(open_gate())
    assert [item async for item in pumped(source.items)] == [0, 1, 2]
    await opening


async def test_the_first_item_comes_at_once() -> None:
    """An item is read while the generator is busy with the next."""
    source = Source()
    source.holds_at = 1
    async with aclosing(pumped(source.items)) as items:
        assert await anext(items) == 0
        source.gate.set()
    assert source.has_ended()


async def test_a_generator_that_never_waits_leaves_the_loop_its_turns() -> None:
    """Others run, although the next item is always there."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    assert len([item async for item in pumped(lambda: iter(range(1000)))]) == 1000
    running.cancel()
    assert turns > 50


async def test_the_loop_is_woken_once_for_many_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items that come while the reader does not wait wake nobody."""
    loop, wakes = asyncio.get_running_loop(), itertools.count()
    wake = loop.call_soon_threadsafe

    def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
        next(wakes)
        return wake(*args, **kwargs)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    source = Source(length=50)
    items = pumped(source.items)
    await anext(items)
    # On purpose, the loop stands still until all are made.
    assert source.has_ended()
    assert len([item async for item in items]) == 49
    # One for the first, unless it was there already.
    assert next(wakes) <= 1


@pytest.mark.parametrize("lead", [1, 2, 3, 64])
async def test_no_more_is_made_than_may_be_unread(lead: int) -> None:
    """A generator whose items nobody reads is not advanced."""
    source = Source()
    async with aclosing(pumped(source.items, lead=lead)) as items:
        await anext(items)
        while source.thread not in idle_threads():  # noqa: ASYNC110 # it tells nobody
            await asyncio.sleep(0)
        assert lead <= source.made <= lead + 1


async def test_the_generator_lives_in_one_context_of_its_own() -> None:
    """It sees the caller's context and keeps its own changes; the caller does not see them."""
    seen: list[str] = []

    def items() -> Iterator[int]:
        seen.append(who.get())
        who.set("generator")
        try:
            yield 0
            seen.append(who.get())
            yield 1
        finally:
            seen.append(who.get())

    who.set("caller")
    stream = pumped(items, lead=1)
    who.set("reader")
    assert [await anext(stream), await anext(stream)] == [0, 1]
    await stream.aclose()
    for thread in threads():
        thread.join(PATIENCE)
    assert (seen, who.get()) == (["caller", "generator", "generator"], "reader")


async def test_the_generator_lives_in_one_thread_of_its_own() -> None:
    """It is made, advanced and closed there; it is a daemon, which no exit waits for."""
    source = Source(length=5)
    assert len([item async for item in pumped(source.items)]) == 5
    assert source.thread is not threading.current_thread()
    assert source.thread.daemon


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("no"), ValueError),
        (NotImplementedError("no"), NotImplementedError),
        (KeyboardInterrupt("no"), KeyboardInterrupt),
        (StopIteration("no"), RuntimeError),
        (StopAsyncIteration("no"), RuntimeError),
    ],
)
async def test_an_error_arrives_after_the_items(
    raised: BaseException, expected: type[BaseException]
) -> None:
    """What the generator raises is raised to the reader, who has all items by then."""
    read: list[int] = []
    with pytest.raises(expected):  # noqa: PT012 # the loop is what raises
        async for item in pumped(lambda: raising(raised)):
            read.append(item)
    assert read == [0, 1]


async def test_an_error_of_making_the_generator_arrives() -> None:
    """Where there is no generator, its reader hears why."""

    def make() -> Iterator[int]:
        raise ConnectionError("no provider")

    with pytest.raises(ConnectionError, match="no provider"):
        await anext(pumped(make))


async def test_closing_closes_the_generator_in_its_thread() -> None:
    """Its `finally` runs where the rest of it ran, and the thread ends."""
    source = Source()
    items = pumped(source.items, lead=2)
    await anext(items)
    await items.aclose()
    assert source.has_ended()
    assert source.made <= 3


async def test_closing_does_not_wait_for_a_next_that_blocks() -> None:
    """The reader goes on at once; the thread ends when its `next()` returns."""
    source = Source()
    source.holds_at = 1
    items = pumped(source.items)
    await anext(items)
    await items.aclose()
    assert not source.closed.is_set()
    source.gate.set()
    assert source.has_ended()
    assert source.made <= 2


async def test_cancelling_the_reader_closes_the_generator() -> None:
    """A task that is cancelled while it waits for an item leaves no thread."""
    source = Source()
    source.holds_at = 1

    async def read() -> None:
        async for _ in pumped(source.items):
            pass

    reading = asyncio.create_task(read())
    while not source.held.is_set():  # noqa: ASYNC110 # a thread sets it
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    source.gate.set()
    assert source.has_ended()


async def test_a_half_read_generator_that_is_dropped_is_closed() -> None:
    """Garbage collection is a way of leaving."""
    source = Source()
    items = pumped(source.items)
    await anext(items)
    del items
    gc.collect()
    while not source.closed.is_set():  # noqa: ASYNC110 # asyncio closes it in a task
        await asyncio.sleep(0)
    assert source.has_ended()


async def test_what_nobody_reads_is_not_begun() -> None:
    """The generator is made when its first item is asked for."""
    source = Source()
    await pumped(source.items).aclose()
    assert source.made == 0


async def test_a_thousand_stopped_generators_leave_no_thread() -> None:
    """Whether they were in the middle of a `next()` or waited for their reader."""
    sources = [Source() for _ in range(1000)]
    for number, source in enumerate(sources):
        source.holds_at = 1 if number % 2 else None
        async with aclosing(pumped(source.items, lead=1)) as items:
            await anext(items)
        source.gate.set()
    assert all(source.has_ended() for source in sources)
    assert not threads()


@pytest.mark.parametrize("lead", [1, 1000])
def test_a_closed_loop_ends_the_thread(lead: int) -> None:
    """Also where the loop was closed without closing its generators, and one is still held."""
    source = Source()
    loop = asyncio.new_event_loop()
    items = pumped(source.items, lead=lead)
    assert loop.run_until_complete(anext(items)) == 0
    loop.close()
    assert source.has_ended()
    del items


async def test_an_error_of_closing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is gone, so the thread's hook is told, as of any error of a thread."""
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            raise ConnectionError("the connection does not close")

    stream = pumped(items)
    await anext(stream)
    (thread,) = threads()
    await stream.aclose()
    thread.join(PATIENCE)
    assert [str(hook.exc_value) for hook in told] == ["the connection does not close"]


async def test_an_error_of_closing_at_the_end_arrives() -> None:
    """An iterator that is no generator may fail to close; the reader is there to hear it."""

    class Broken:
        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise ConnectionError("the connection does not close")

    with pytest.raises(ConnectionError, match="does not close"):
        await anext(pumped(lambda: iter(Broken())))


async def test_there_must_be_room_for_an_item() -> None:
    """Without any, nothing could be handed over."""
    with pytest.raises(ValueError, match="lead is 0"):
        pumped(lambda: iter([1]), lead=0)


async def test_it_runs_on_virtual_time() -> None:
    """A sync fake that waits for an hour takes no time, and the loop's clock agrees."""
    llm = FakeStreamingLLM([Turn(text("a"), wait(3600), text("b"))])
    with VirtualClock() as clock:
        chunks = [c.delta async for c in pumped(lambda: llm.stream_complete("hi")) if c.delta]
        assert (chunks, clock.elapsed) == (["a", "b"], 3600.0)


def threads() -> list[threading.Thread]:
    """The threads of generators that are alive."""
    return [t for t in threading.enumerate() if t.name.startswith("llama-index-stream-")]
