"""The log of a live run: seqs, the fence, and those who wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from llama_index_streaming_ext.log import MemoryLog

PATIENCE = 120.0
"""Seconds that a wait which must end may take."""


def parked(log: MemoryLog[Any]) -> int:
    """How many futures the log would wake."""
    return len(log._waiters) + len(log._end_waiters)  # pyright: ignore[reportPrivateUsage] # nothing public counts them


def on_thread(log: MemoryLog[str], entries_wanted: int) -> tuple[Future[list[str]], Future[None]]:
    """A reader on a loop of its own, in a thread of its own: what it reads, and when it parks."""
    read: Future[list[str]] = Future()
    waits: Future[None] = Future()

    async def reader() -> list[str]:
        seq = 0
        while len(log.entries) < entries_wanted:
            waiter = log.waiter(seq)
            if waiter is not None:
                if not waits.done():
                    waits.set_result(None)
                await asyncio.wait_for(waiter, PATIENCE)
            seq = len(log.entries)
        return list(log.entries)

    threading.Thread(target=lambda: read.set_result(asyncio.run(reader())), daemon=True).start()
    return read, waits


def test_seqs_count_from_one() -> None:
    """The first entry has seq 1, and each next one is one more."""
    log: MemoryLog[str] = MemoryLog()
    assert [log.append("a"), log.append("b"), log.close("c")] == [1, 2, 3]


def test_entry_of_a_seq() -> None:
    """Entry `seq` is `entries[seq - 1]`."""
    log: MemoryLog[str] = MemoryLog()
    seq = log.append("a")
    assert log.entries[seq - 1] == "a"


@pytest.mark.parametrize("write", [MemoryLog[str].append, MemoryLog[str].close])
def test_fence(write: Callable[[MemoryLog[str], str], int]) -> None:
    """After the last entry nothing is taken, and who still writes is told so."""
    log: MemoryLog[str] = MemoryLog()
    log.close("last")
    assert write(log, "late") == 0
    assert log.entries == ["last"]


def test_closed_says_whether_the_last_entry_is_in() -> None:
    """A log is open until it is closed."""
    log: MemoryLog[str] = MemoryLog()
    log.append("a")
    assert not log.closed
    log.close("b")
    assert log.closed


def test_only_one_of_many_threads_closes() -> None:
    """Of threads that close at once, one is told a seq and the others 0."""
    log: MemoryLog[int] = MemoryLog()
    start = threading.Barrier(8)
    said: list[int] = []

    def close(n: int) -> None:
        start.wait(PATIENCE)
        said.append(log.close(n))

    threads = [threading.Thread(target=close, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(said) == [0] * 7 + [1]


async def test_waiter_is_done_by_an_entry() -> None:
    """Who waits behind the newest entry is woken by the next one."""
    log: MemoryLog[str] = MemoryLog()
    waiter = log.waiter(0)
    assert waiter is not None
    assert not waiter.done()
    log.append("a")
    assert waiter.done()


async def test_waiter_is_done_by_the_last_entry() -> None:
    """Who waits is also woken when the log is closed."""
    log: MemoryLog[str] = MemoryLog()
    waiter = log.waiter(0)
    assert waiter is not None
    log.close("a")
    assert waiter.done()


async def test_nothing_to_wait_for() -> None:
    """There is no waiter where the entry is there, nor on a closed log."""
    log: MemoryLog[str] = MemoryLog()
    log.append("a")
    assert log.waiter(0) is None
    log.close("b")
    assert log.waiter(2) is None


async def test_end_waiter_sleeps_through_entries() -> None:
    """Who waits for the end is not woken before it."""
    log: MemoryLog[str] = MemoryLog()
    waiter = log.end_waiter()
    assert waiter is not None
    log.append("a")
    assert not waiter.done()
    log.close("b")
    assert waiter.done()


async def test_no_end_waiter_after_the_end() -> None:
    """There is nothing to wait for when the log is closed."""
    log: MemoryLog[str] = MemoryLog()
    log.close("a")
    assert log.end_waiter() is None


async def test_every_waiter_is_woken() -> None:
    """One entry wakes all who wait."""
    log: MemoryLog[str] = MemoryLog()
    waiters = [log.waiter(0) for _ in range(100)]
    log.append("a")
    assert all(waiter is not None and waiter.done() for waiter in waiters)


async def test_cancelled_waiter_does_not_cancel_another() -> None:
    """Each reader has a future of its own."""
    log: MemoryLog[str] = MemoryLog()
    first, second = log.waiter(0), log.waiter(0)
    assert first is not None
    assert second is not None
    first.cancel()
    assert log.append("a") == 1
    assert second.done()
    assert not second.cancelled()


async def test_woken_waiters_are_dropped() -> None:
    """The log keeps no future that it has woken."""
    log: MemoryLog[str] = MemoryLog()
    log.waiter(0)
    log.append("a")
    assert parked(log) == 0


async def test_forgotten_waiters_do_not_pile_up() -> None:
    """A future that is given back is not kept, of whichever kind it is."""
    log: MemoryLog[str] = MemoryLog()
    for make in (lambda: log.waiter(0), log.end_waiter):
        waiter = make()
        assert waiter is not None
        log.forget(waiter)
    assert parked(log) == 0


async def test_forgetting_twice() -> None:
    """Giving back what was woken or given back already does nothing."""
    log: MemoryLog[str] = MemoryLog()
    waiter = log.waiter(0)
    assert waiter is not None
    log.append("a")
    log.forget(waiter)
    log.forget(waiter)
    assert log.entries == ["a"]


def test_waiters_of_several_threads() -> None:
    """Readers on the loops of other threads are woken by a writer that has no loop."""
    log: MemoryLog[str] = MemoryLog()
    readers = [on_thread(log, 2) for _ in range(4)]
    for _, waits in readers:
        waits.result(PATIENCE)
    log.append("a")
    log.close("b")
    assert [read.result(PATIENCE) for read, _ in readers] == [["a", "b"]] * 4


async def test_waiters_here_and_elsewhere() -> None:
    """A writer on a loop wakes those of its own loop at once, and those of others by a call."""
    log: MemoryLog[str] = MemoryLog()
    there, waits = on_thread(log, 1)
    await asyncio.wait_for(asyncio.wrap_future(waits), PATIENCE)
    here = log.waiter(0)
    assert here is not None
    log.append("a")
    assert here.done()
    assert await asyncio.wait_for(asyncio.wrap_future(there), PATIENCE) == ["a"]


def test_waiters_of_a_closed_loop_are_skipped() -> None:
    """A reader whose loop was closed under it does not trouble the writer."""
    log: MemoryLog[str] = MemoryLog()

    async def park() -> None:
        log.waiter(0)
        log.end_waiter()

    asyncio.run(park())
    assert log.append("a") == 1
    assert log.close("b") == 2


def test_a_loop_that_closes_while_it_is_woken() -> None:
    """A reader's loop that is closed at the moment it is woken does not trouble the writer."""

    class Closing(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
            """Lose the race: close before the call is taken."""
            self.close()
            return super().call_soon_threadsafe(*args, **kwargs)

    log: MemoryLog[str] = MemoryLog()

    async def park() -> None:
        log.waiter(0)

    Closing().run_until_complete(park())
    assert log.append("a") == 1
