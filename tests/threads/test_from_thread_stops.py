"""How a stream on the background loop is stopped and left."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.query.bridge_streams import LONG, Reader, Source, soon


def test_stop_wakes_a_thread_that_waits_and_closes_the_stream() -> None:
    """Also while the source has nothing to send."""
    source, stop = Source(1), StopSignal()
    items = iterate(source, stop)
    assert next(items) == 0
    reader = Reader(items)
    assert source.stalled.wait(LONG)
    stop.stop()
    assert isinstance(reader.ended(), StreamStopped)
    assert source.closed.is_set()


def test_stop_closes_a_stream_that_waits_for_its_reader() -> None:
    """Nobody needs to read for that."""
    source, stop = Source(100), StopSignal()
    items = iterate(source, stop, lead=4)
    next(items)
    stop.stop()
    assert source.closed.wait(LONG)
    with pytest.raises(StreamStopped):
        next(items)


def test_after_a_stop_no_item_comes() -> None:
    """Not even those that are there."""
    stop = StopSignal()
    items = iterate(Source(50, stalls=False), stop)
    next(items)
    stop.stop()
    with pytest.raises(StreamStopped):
        next(items)
    assert list(items) == []


def test_what_was_stopped_before_is_not_begun() -> None:
    """No request is made."""
    source, stop = Source(1), StopSignal()
    stop.stop()
    with pytest.raises(StreamStopped):
        next(iterate(source, stop))
    assert source.threads == set()


def test_a_stream_that_swallows_cancellation_is_left_all_the_same() -> None:
    """It is read no further, and its reader does not wait for it."""
    source, stop = Source(1), StopSignal()
    going_on = threading.Event()

    async def stubborn() -> AsyncGenerator[int]:
        yield 0
        try:
            source.stalled.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            going_on.set()
        for number in range(1, 1000):
            source.made = number
            yield number

    reader = Reader(iterate(stubborn, stop))
    assert source.stalled.wait(LONG)
    stop.stop()
    assert isinstance(reader.ended(), StreamStopped)
    assert going_on.is_set()
    assert source.made <= 1


def test_what_a_stop_has_begun_to_close_is_not_broken_off() -> None:
    """Not by the reader either, who leaves meanwhile: it is cancelled once."""
    source, stop = Source(1), StopSignal()
    whole = threading.Event()

    async def slow_to_close() -> AsyncGenerator[int]:
        try:
            async for number in source():
                yield number
        finally:
            for _ in range(100):
                await asyncio.sleep(0)
            whole.set()

    reader = Reader(iterate(slow_to_close, stop))
    assert source.stalled.wait(LONG)
    stop.stop()
    assert isinstance(reader.ended(), StreamStopped)
    assert whole.is_set()


def test_close_waits_until_the_stream_is_closed() -> None:
    """Who leaves can rely on it."""
    source = Source(1000)
    items = iterate(source, StopSignal())
    next(items)
    items.close()
    assert source.closed.is_set()


def test_a_reader_that_is_collected_closes_the_stream() -> None:
    """As after a `break`."""
    source = Source(3)
    for _ in iterate(source, StopSignal()):
        break
    gc.collect()
    assert source.closed.wait(LONG)


def test_a_reader_that_is_collected_on_the_loop_does_not_hold_it_up() -> None:
    """Garbage is collected wherever it happens to be."""
    source = Source(3)
    held = [iterate(source, StopSignal())]
    next(held[0])

    async def drop() -> str:
        held.clear()
        return await soon("dropped")

    assert call(drop, StopSignal()) == "dropped"
    assert source.closed.wait(LONG)


def test_an_error_of_closing_is_told_to_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    """No reader is left to hear it, and it is not lost."""

    async def stream() -> AsyncGenerator[int]:
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            raise KeyError("while closing")

    items = iterate(stream, StopSignal())
    next(items)
    items.close()
    call(lambda: soon(""), StopSignal())
    assert "when it was closed" in caplog.text
    assert "while closing" in caplog.text


def test_a_call_that_is_stopped_ends_at_once() -> None:
    """Its task is cancelled."""
    source, stop = Source(0), StopSignal()

    async def asked() -> list[int]:
        return [number async for number in source()]

    def one() -> Iterator[Any]:
        yield call(asked, stop)

    reader = Reader(one())
    assert source.stalled.wait(LONG)
    stop.stop()
    assert isinstance(reader.ended(), StreamStopped)
    assert source.closed.is_set()


# The signal


def test_a_stop_calls_each_callback_once() -> None:
    """Also when it is stopped again."""
    stop, called = StopSignal(), list[str]()
    stop.on_stop(lambda: called.append("a"))
    stop.on_stop(lambda: called.append("b"))
    stop.stop()
    stop.stop()
    assert called == ["a", "b"]
    assert stop.stopped


def test_a_callback_that_was_removed_is_not_called() -> None:
    """Removing it again does nothing."""
    stop, called = StopSignal(), list[str]()
    remove = stop.on_stop(lambda: called.append("a"))
    remove()
    remove()
    stop.stop()
    assert called == []


def test_a_callback_that_comes_late_is_called_at_once() -> None:
    """What is stopped stays so."""
    stop, called = StopSignal(), list[str]()
    stop.stop()
    stop.on_stop(lambda: called.append("a"))()
    assert called == ["a"]


def test_a_callback_that_fails_does_not_keep_others_from_being_called() -> None:
    """And its error is raised."""
    stop, called = StopSignal(), list[str]()

    def fails() -> None:
        raise KeyError("one")

    stop.on_stop(fails)
    stop.on_stop(lambda: called.append("b"))
    with pytest.raises(KeyError, match="one"):
        stop.stop()
    assert called == ["b"]


def test_check_raises_once_it_was_stopped() -> None:
    """Not before."""
    stop = StopSignal()
    stop.check()
    stop.stop()
    with pytest.raises(StreamStopped):
        stop.check()
