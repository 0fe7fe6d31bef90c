"""`check_event_log`: the contract that every log keeps."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeAlias

from llama_index_streaming_ext.log.base import EventLog
from llama_index_streaming_ext.testing.contracts.rules import Unkept, check_rules, expect

Log: TypeAlias = EventLog[bytes]
_Waiter: TypeAlias = "asyncio.Future[None]"

PATIENCE = 30.0
"""Seconds in which a waiter must be woken."""

_THREADS = 4
_PER_THREAD = 200
_MANY = 100


def check_event_log(
    make_log: Callable[[], Log], *, several_writers: bool = True, timeout: float = 60.0
) -> None:
    """Check that a log is an `EventLog`.

    It can be called from tests of any kind, also inside a running event loop, which it blocks.

    Args:
        make_log: makes an empty log, open for entries of bytes. It is called inside a running
            event loop, many times.
        several_writers: check also that threads which append at once get a `seq` each.
        timeout: seconds that each rule may take.

    Raises:
        ContractBroken: a rule does not hold. It says which, what was expected, and what was found.

    Example:
        >>> check_event_log(MemoryLog)
    """
    rules = {**_RULES, **(_SEVERAL_WRITERS if several_writers else {})}
    named: list[str] = []

    def making() -> Log:
        log = make_log()
        named[:] = [type(log).__name__]
        return log

    async def makes() -> None:
        making()

    check_rules(getattr(make_log, "__name__", "The log"), [("it can be made", makes)], timeout)
    bound = [(name, functools.partial(rule, making)) for name, rule in rules.items()]
    check_rules(named[0], bound, timeout)


# --- numbers and the fence ----------------------------------------------------------------------


async def _seqs(make: Callable[[], Log]) -> None:
    log = make()
    given = [log.append(b"a"), log.append(b"b"), log.close(b"c")]
    expect(given == [1, 2, 3], "append, append and close return 1, 2, 3", given)


async def _entries(make: Callable[[], Log]) -> None:
    log = make()
    expect(len(log.entries) == 0, "a new log has no entries", list(log.entries))
    for entry in (b"", b"\x00\xff\n", b"a", b"a"):
        seq = log.append(entry)
        expect(log.entries[seq - 1] == entry, f"entries[{seq - 1}] is {entry!r}", list(log.entries))


async def _cursors(make: Callable[[], Log]) -> None:
    log = make()
    wanted = [b"%d" % n for n in range(6)]
    for entry in wanted[:-1]:
        log.append(entry)
    log.close(wanted[-1])
    for after in range(len(wanted) + 1):
        got = list(log.entries[after:])
        expect(got == wanted[after:], f"entries[{after}:] is {wanted[after:]}", got)


async def _closed(make: Callable[[], Log]) -> None:
    log = make()
    log.append(b"a")
    expect(not log.closed, "closed is False before close", log.closed)
    log.close(b"b")
    expect(log.closed, "closed is True after close", log.closed)


async def _fence(make: Callable[[], Log]) -> None:
    log = make()
    log.append(b"a")
    log.close(b"last")
    for write in (log.append, log.close):
        seq = write(b"late")
        expect(seq == 0, f"{write.__name__} returns 0 after close", seq)
    expect(list(log.entries) == [b"a", b"last"], "nothing is added after close", list(log.entries))


# --- who waits ----------------------------------------------------------------------------------


def _parked(waiter: _Waiter | None, call: str) -> _Waiter:
    if waiter is None:
        raise Unkept(f"{call} gives a future", "None")
    expect(not waiter.done(), f"the future of {call} is not done yet", "it is")
    return waiter


async def _woken(waiter: _Waiter, by: str) -> None:
    done, _ = await asyncio.wait({waiter}, timeout=PATIENCE)
    expect(done, f"a waiter is woken by {by}", "it is not")
    expect(not waiter.cancelled(), f"a waiter is woken by {by}", "it is cancelled")


async def _settled() -> None:
    """Let the loop go round, so that whatever is ready has run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _woken_by_entry(make: Callable[[], Log]) -> None:
    log = make()
    log.append(b"a")
    waiter = _parked(log.waiter(1), "waiter(1)")
    log.append(b"b")
    await _woken(waiter, "append")


async def _woken_by_close(make: Callable[[], Log]) -> None:
    log = make()
    waiter = _parked(log.waiter(0), "waiter(0)")
    log.close(b"a")
    await _woken(waiter, "close")


async def _all_woken(make: Callable[[], Log]) -> None:
    log = make()
    waiters = [_parked(log.waiter(0), "waiter(0)") for _ in range(50)]
    expect(len(set(waiters)) == 50, "each waiter gets a future of its own", "it is shared")
    log.append(b"a")
    for waiter in waiters:
        await _woken(waiter, "append")


async def _nothing_to_wait_for(make: Callable[[], Log]) -> None:
    log = make()
    log.append(b"a")
    expect(log.waiter(0) is None, "waiter(0) is None where there is an entry", "a future")
    log.close(b"b")
    expect(log.waiter(2) is None, "waiter(2) is None on a closed log", "a future")
    expect(log.end_waiter() is None, "end_waiter() is None on a closed log", "a future")


async def _end_waiter(make: Callable[[], Log]) -> None:
    log = make()
    waiter = _parked(log.end_waiter(), "end_waiter()")
    log.append(b"a")
    await _settled()
    expect(not waiter.done(), "end_waiter() sleeps through append", "it is woken")
    log.close(b"b")
    await _woken(waiter, "close")


async def _cancelled(make: Callable[[], Log]) -> None:
    log = make()
    waiters = [_parked(log.waiter(0), "waiter(0)") for _ in range(3)]
    waiters[1].cancel()
    seq = log.append(b"a")
    expect(seq == 1, "append works beside a cancelled waiter", seq)
    await _woken(waiters[0], "append, beside a cancelled one")
    await _woken(waiters[2], "append, beside a cancelled one")
    await _settled()


async def _forgotten(make: Callable[[], Log]) -> None:
    log = make()
    kept, forgotten = _parked(log.waiter(0), "waiter(0)"), _parked(log.waiter(0), "waiter(0)")
    end = _parked(log.end_waiter(), "end_waiter()")
    log.forget(forgotten)
    log.forget(forgotten)
    log.forget(end)
    log.append(b"a")
    await _woken(kept, "append, beside a forgotten one")
    log.forget(kept)
    expect(not _is_woken(forgotten), "a forgotten waiter is not woken", "it is")
    expect(log.close(b"b") == 2, "close works beside forgotten waiters", "it does not")
    await _settled()
    expect(not _is_woken(end), "a forgotten end_waiter is not woken", "it is")


def _is_woken(waiter: _Waiter) -> bool:
    return waiter.done() and not waiter.cancelled()


async def _dropped(make: Callable[[], Log]) -> None:
    log = make()
    for call, wait in (("waiter(0)", lambda: log.waiter(0)), ("end_waiter()", log.end_waiter)):
        waiters = [_parked(wait(), call) for _ in range(_MANY)]
        known = weakref.WeakSet(waiters)
        while waiters:
            log.forget(waiters.pop())
        await _settled()
        gc.collect()
        said = f"of {_MANY} forgotten futures of {call} hardly one is kept"
        expect(len(known) * 5 <= _MANY, said, f"{len(known)} are")


async def _closed_loop(make: Callable[[], Log]) -> None:
    log = make()

    def park() -> None:
        async def parks() -> None:
            log.waiter(0)
            log.end_waiter()

        asyncio.run(parks())

    await _in_threads([park])
    here = _parked(log.waiter(0), "waiter(0)")
    given = log.append(b"a")
    expect(given == 1, "append works beside a waiter whose loop is closed", given)
    await _woken(here, "append, beside one whose loop is closed")
    given = log.close(b"b")
    expect(given == 2, "close works beside a waiter whose loop is closed", given)


# --- threads ------------------------------------------------------------------------------------


async def _in_threads(jobs: list[Callable[[], None]]) -> None:
    """Run jobs, each in a thread of its own, and raise what one of them raises."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], None], ended: Future[None]) -> None:
        try:
            start.wait()
            job()
        except BaseException as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    endings: list[Future[None]] = [Future() for _ in jobs]
    for job, ended in zip(jobs, endings, strict=True):
        # No executor: a job that hangs must not keep the interpreter from ending.
        threading.Thread(target=run, args=(job, ended), daemon=True).start()
    await asyncio.gather(*(asyncio.wrap_future(ended) for ended in endings))


async def _read_to_the_end(log: Log, waits: threading.Event) -> list[bytes]:
    """Read as readers do: what there is, else wait, and say so."""
    got: list[bytes] = []
    while True:
        over = log.closed
        got += log.entries[len(got) :]
        if over and len(got) == len(log.entries):
            return got
        waiter = log.waiter(len(got))
        if waiter is not None:
            waits.set()
            done, _ = await asyncio.wait({waiter}, timeout=PATIENCE)
            expect(done, "a reader on another thread's loop is woken", "it is not")


async def _readers_on_threads(make: Callable[[], Log]) -> None:
    log = make()
    wanted = [b"%d" % n for n in range(_PER_THREAD)] + [b"last"]
    read: list[list[bytes]] = []

    waiting = [threading.Event() for _ in range(_THREADS)]

    def reads(waits: threading.Event) -> None:
        read.append(asyncio.run(_read_to_the_end(log, waits)))

    def writes() -> None:
        for waits in waiting:
            waits.wait(PATIENCE)
        for entry in wanted[:-1]:
            log.append(entry)
        log.close(wanted[-1])

    await _in_threads([*(functools.partial(reads, waits) for waits in waiting), writes])
    for got in read:
        expect(
            got == wanted,
            f"readers on the loops of other threads get all {len(wanted)} entries in order",
            f"{len(got)}, the last of them {got[-1:]}",
        )


async def _one_close(make: Callable[[], Log]) -> None:
    for _ in range(20):
        log = make()
        given: list[int] = []

        def closes(log: Log = log, given: list[int] = given) -> None:
            given.append(log.close(b"last"))

        await _in_threads([closes] * _THREADS)
        wanted = [0] * (_THREADS - 1) + [1]
        expect(sorted(given) == wanted, "of threads that close at once one gets a seq", given)


async def _fence_in_a_race(make: Callable[[], Log]) -> None:
    for _ in range(20):
        log = make()
        taken: list[int] = []

        def writes(log: Log = log, taken: list[int] = taken) -> None:
            while (seq := log.append(b"a")) != 0:
                taken.append(seq)

        def closes(log: Log = log) -> None:
            log.close(b"last")

        await _in_threads([writes, closes])
        entries = list(log.entries)
        expect(entries[-1:] == [b"last"], "the entry that closes is the last", entries[-3:])
        expect(len(entries) == len(taken) + 1, "each append that got a seq is in", len(taken))


async def _many_append(make: Callable[[], Log]) -> None:
    log = make()
    given: dict[int, bytes] = {}

    def writes(thread: int) -> None:
        for n in range(_PER_THREAD):
            entry = b"%d/%d" % (thread, n)
            given[log.append(entry)] = entry

    await _in_threads([functools.partial(writes, thread) for thread in range(_THREADS)])
    count = _THREADS * _PER_THREAD
    said = "threads that append at once get a seq each"
    expect(sorted(given) == list(range(1, count + 1)), said, f"{len(given)} for {count} entries")
    wrong = [seq for seq, entry in given.items() if log.entries[seq - 1] != entry]
    expect(not wrong, "each entry is at its seq", f"seq {wrong[:3]} are not")


_RULES = {
    "seq counts from 1 without gaps": _seqs,
    "the entry of a seq": _entries,
    "a cursor reads from anywhere": _cursors,
    "closed": _closed,
    "the fence": _fence,
    "an entry wakes who waits": _woken_by_entry,
    "the end wakes who waits": _woken_by_close,
    "all who wait are woken": _all_woken,
    "nothing to wait for": _nothing_to_wait_for,
    "who waits for the end": _end_waiter,
    "a cancelled waiter does no harm": _cancelled,
    "a forgotten waiter does no harm": _forgotten,
    "forgotten waiters are not kept": _dropped,
    "a waiter whose loop is closed does no harm": _closed_loop,
    "readers on other threads": _readers_on_threads,
    "one of many closes": _one_close,
}
_SEVERAL_WRITERS = {
    "the fence, in a race": _fence_in_a_race,
    "many threads append": _many_append,
}
