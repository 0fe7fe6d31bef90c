"""What a sync thread gets of an async stream or call."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext.testing import VirtualClock
from llama_index_streaming_ext.threads.background_loop import WouldDeadlock, background
from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.query.bridge_streams import LONG, Reader, Source, raising, soon

TAG = contextvars.ContextVar("TAG", default="none")


# Items


@given(
    turns=st.lists(st.integers(0, 2), max_size=200),
    lead=st.integers(1, 70),
    fails=st.booleans(),
)
def test_every_item_arrives_once_and_in_order_and_then_the_end(
    turns: list[int], lead: int, fails: bool
) -> None:
    """Whatever the pace and the lead."""

    async def stream() -> AsyncGenerator[int]:
        for number, count in enumerate(turns):
            for _ in range(count):
                await asyncio.sleep(0)
            yield number
        if fails:
            raise KeyError("x")

    got: list[int] = []
    items = iterate(stream, StopSignal(), lead=lead)
    with pytest.raises(KeyError) if fails else contextlib.nullcontext():
        got.extend(items)
    assert got == list(range(len(turns)))


def test_what_fails_is_raised_after_the_items_before() -> None:
    """An error does not overtake what it follows."""
    got: list[int] = []
    items = iterate(raising(KeyError("x"), 1, 2, 3), StopSignal())
    with pytest.raises(KeyError, match="x"):
        got.extend(items)
    assert got == [1, 2, 3]


def test_the_first_item_does_not_wait_for_others() -> None:
    """It is there while the source has nothing else."""
    source = Source(1)
    items = iterate(source, StopSignal())
    assert next(items) == 0
    items.close()


def test_a_later_item_does_not_wait_for_others_for_long() -> None:
    """It is handed over when the batch is due, without any further item."""
    sent = threading.Event()

    async def stream() -> AsyncGenerator[int]:
        for number in range(5):
            yield number
            await asyncio.sleep(0)
        await asyncio.to_thread(sent.wait, LONG)

    items = iterate(stream, StopSignal())
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    sent.set()
    assert list(items) == []


def test_a_stream_may_be_awaited_for() -> None:
    """As the LLMs' `astream_chat()` is."""

    async def opened() -> AsyncIterator[int]:
        return Source(3, stalls=False)()

    assert list(iterate(opened, StopSignal())) == [0, 1, 2]


@pytest.mark.parametrize("lead", [1, 2, 7, 64])
def test_the_source_is_no_further_ahead_than_the_lead(lead: int) -> None:
    """The item that is read makes room; those that are not hold the source."""
    source = Source(200)
    items = iterate(source, StopSignal(), lead=lead)
    read = 0
    for number in items:
        read = number + 1
        assert source.made <= read + lead
        if read == 150:
            break
    items.close()
    assert source.made <= read + lead


def test_a_lead_of_nothing_is_refused() -> None:
    """It would hold the stream for good."""
    with pytest.raises(ValueError, match="lead is 0"):
        iterate(Source(1), StopSignal(), lead=0)


def test_all_is_done_in_one_task_of_the_background_loop() -> None:
    """Made, read and closed: context managers of instrumentation demand it."""
    source = Source(300, stalls=False)
    assert len(list(iterate(source, StopSignal()))) == 300
    assert len(source.tasks) == 1
    assert source.threads == {"llama-index-streaming-loop"}


def test_nothing_is_asked_for_before_the_first_item_is() -> None:
    """U76: the request of a provider is made at the first `next()`."""
    source = Source(1)
    items = iterate(source, StopSignal())
    items.close()
    assert source.threads == set()


def test_the_context_is_that_of_the_call() -> None:
    """U61: tags hold, and what the stream sets does not come out."""

    async def stream() -> AsyncGenerator[str]:
        yield TAG.get()
        TAG.set("inner")
        yield TAG.get()

    token = TAG.set("outer")
    items = iterate(stream, StopSignal())
    TAG.reset(token)
    assert list(items) == ["outer", "inner"]
    assert TAG.get() == "none"


def test_a_loop_that_is_busy_lets_others_have_their_turn() -> None:
    """A stream that always has the next item does not hold up those beside it."""
    other = Source(100, stalls=False)

    async def endless() -> AsyncGenerator[int]:
        number = 0
        while not other.closed.is_set():
            yield (number := number + 1)

    busy = Reader(iterate(endless, StopSignal()))
    assert len(list(iterate(other, StopSignal()))) == 100
    assert busy.ended() is None


# Errors


def test_a_stream_that_is_cancelled_from_within_is_an_error() -> None:
    """U5: nobody has stopped it, and in a thread it must be an Exception."""
    with pytest.raises(concurrent.futures.CancelledError, match="not by its reader"):
        list(iterate(raising(asyncio.CancelledError()), StopSignal()))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_would_end_the_loop_goes_to_the_reader(error: type[BaseException]) -> None:
    """Others go on beside it."""
    beside = iterate(Source(3), StopSignal())
    next(beside)
    with pytest.raises(error):
        list(iterate(raising(error()), StopSignal()))
    assert next(beside) == 1
    beside.close()


def test_an_error_keeps_nothing_alive() -> None:
    """There is no cycle with its traceback."""

    class Kept(AsyncIterator[int]):
        """A stream that fails."""

        async def __anext__(self) -> int:
            """Fails."""
            raise KeyError

    kept = weakref.WeakSet[Kept]()

    def make() -> Kept:
        stream = Kept()
        kept.add(stream)
        return stream

    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(KeyError):
            list(iterate(make, StopSignal()))
        call(lambda: soon(""), StopSignal())
        assert not kept
    finally:
        gc.enable()


# Where it is called


async def test_it_blocks_a_thread_whose_loop_runs() -> None:
    """As any sync call does, in a notebook, say."""
    assert list(iterate(Source(3, stalls=False), StopSignal())) == [0, 1, 2]


@pytest.mark.parametrize("how", ["iterate", "call"])
def test_the_background_loop_does_not_wait_for_itself(how: str) -> None:
    """It is an error at once, and not a hang."""

    async def inside() -> None:
        if how == "call":
            call(lambda: soon(""), StopSignal())
        else:
            iterate(Source(1), StopSignal())

    with pytest.raises(WouldDeadlock, match="Await the async method"):
        call(inside, StopSignal())


def test_a_generator_that_is_carried_to_the_background_loop_is_refused() -> None:
    """It is read in another place than it was made in."""
    items = iterate(Source(1), StopSignal())

    async def inside() -> int:
        return next(items)

    with pytest.raises(WouldDeadlock):
        call(inside, StopSignal())


def test_many_threads_share_the_loop() -> None:
    """And each gets its own."""
    readers = [Reader(iterate(Source(n, stalls=False), StopSignal())) for n in range(0, 400, 10)]
    assert [reader.ended() for reader in readers] == [None] * 40
    assert [len(reader.got) for reader in readers] == list(range(0, 400, 10))


# Calls


def test_a_call_gives_the_result() -> None:
    """In the context of the caller."""
    token = TAG.set("outer")

    async def asked() -> str:
        return await soon(TAG.get())

    assert call(asked, StopSignal()) == "outer"
    TAG.reset(token)


def test_a_call_raises_what_was_raised() -> None:
    """By what was made, or by making it."""

    def cannot() -> Awaitable[str]:
        raise KeyError("cannot")

    with pytest.raises(KeyError, match="cannot"):
        call(cannot, StopSignal())


# Virtual time


def test_virtual_time_passes_for_a_stream() -> None:
    """Also where the loop ran before the clock was there."""

    async def slow() -> AsyncGenerator[int]:
        for number in range(3):
            await asyncio.sleep(1024)
            yield number

    background()
    with VirtualClock() as clock:
        assert list(iterate(slow, StopSignal())) == [0, 1, 2]
        assert clock.elapsed == 3072
