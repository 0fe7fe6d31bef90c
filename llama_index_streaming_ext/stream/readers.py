"""Reading a log with cursors, on event loops and in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any, TypeVar

from llama_index_streaming_ext.log import MemoryLog
from llama_index_streaming_ext.log.memory import resolve
from llama_index_streaming_ext.stream.backpressure import Backpressure
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import Token
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.threads.loops import on_loop

T = TypeVar("T")

# A reader that is behind takes so many records at once, and lets others run in between.
_BATCH = 64
# How long a thread that has read all waits for more to come together, seconds.
_NAP = 0.002
# How often a reader on another thread's loop looks whether the writer's loop still lives, seconds.
LOST_CHECK = 0.25


class Readable:
    """The readers' side of a stream.

    Attributes:
        backpressure: holds the writer back until the readers have come on.
        built: the newest tokens' records, while somebody reads them.
    """

    def __init__(self) -> None:
        self._log: MemoryLog[Record | Token] = MemoryLog()
        self.backpressure = Backpressure(lambda: len(self._log.entries), lambda: self._log.closed)
        self.built: dict[int, Record] = {}
        self._writer_loop: asyncio.AbstractEventLoop | None = None

    def _is_lost(self) -> bool:
        """Return True if the log is closed; close it if the loop of its writer was closed."""
        raise NotImplementedError

    async def follow(self, cursor: Cursor[T], follow: bool = True) -> AsyncGenerator[T, None]:
        """Read with a given cursor: yield the items that it makes of the records."""
        loop = asyncio.get_running_loop()
        cursor.opened()
        self.backpressure.attached(cursor, loop)
        # This loop is what a delivery costs: at a hundred readers nothing else matters.
        log, entries = self._log, self._log.entries
        elsewhere = self._writer_loop is not None and self._writer_loop is not loop
        at_once = not (elsewhere or cursor.nap)
        waiter = None
        try:
            while True:
                seq = cursor.seq
                end = min(len(entries), seq + _BATCH)
                if seq >= end:
                    if self._nothing_comes(seq, follow, elsewhere):
                        cursor.ended()
                        return
                    waiter = log.waiter(seq, loop)
                    if waiter is not None:
                        await (waiter if at_once else self._park(waiter, cursor, elsewhere))
                    continue
                while seq < end:
                    cursor.seq = seq = seq + 1
                    item = cursor.take(seq, entries[seq - 1])
                    if item is not None:
                        yield item
                if len(entries) - seq > _BATCH:
                    # Far behind: one reader's replay must not hold up everybody else.
                    await asyncio.sleep(0)
        finally:
            if waiter is not None:
                log.forget(waiter)
            cursor.closed()
            self.backpressure.detached(cursor)
            if not self.backpressure.cursors:
                self.built.clear()

    async def _park(
        self, waiter: asyncio.Future[None], cursor: Cursor[Any], elsewhere: bool
    ) -> None:
        """Wait for the next record, and for a batch if the last wake-up was a moment ago."""
        await (self._park_elsewhere(waiter) if elsewhere else waiter)
        now = time.perf_counter()
        if now - cursor.woken < cursor.nap and not self._log.closed:
            # Waking a task costs more than the token that it is woken for.
            await self.backpressure.await_batch(cursor.nap)
            now = time.perf_counter()
        cursor.woken = now

    def follow_sync(self, cursor: Cursor[T]) -> Generator[T, None, None]:
        """Read with a given cursor in a thread that may block."""
        self._refuse_to_block()
        cursor.opened()
        self.backpressure.attached(cursor)
        log, entries = self._log, self._log.entries
        began = len(entries)
        try:
            while True:
                seq = cursor.seq
                end = min(len(entries), seq + _BATCH)
                if seq >= end:
                    if self._nothing_comes(seq, follow=True, elsewhere=True):
                        cursor.ended()
                        return
                    if seq > began:
                        # A thread that is woken for each token costs more than the token.
                        self.backpressure.wait_for_batch(_NAP)
                        began = seq
                    waiter = log.thread_waiter(seq)
                    while waiter is not None and not waiter.wait(LOST_CHECK):
                        if self._is_lost():
                            break
                    continue
                while seq < end:
                    cursor.seq = seq = seq + 1
                    item = cursor.take(seq, entries[seq - 1])
                    if item is not None:
                        yield item
        finally:
            cursor.closed()
            self.backpressure.detached(cursor)

    def record_of(self, seq: int, token: Token) -> Record:
        """A token's record, built for the readers that are level with each other."""
        record = Record(seq, token.ts, token.event(), False, token.series.origin)
        newest = len(self._log.entries)
        if seq > newest - _BATCH:
            built = self.built
            built[seq] = record
            if len(built) > 2 * _BATCH:
                for old in [known for known in list(built) if known <= newest - _BATCH]:
                    built.pop(old, None)
        return record

    def _nothing_comes(self, seq: int, follow: bool, elsewhere: bool) -> bool:
        """Return True if a reader that has passed all records is at the end."""
        self.backpressure.reader_caught_up()
        log = self._log
        if log.closed or (elsewhere and self._is_lost()):
            # The last record may just have been written.
            return seq >= len(log.entries)
        return not follow

    async def _park_elsewhere(self, waiter: asyncio.Future[None]) -> None:
        """Wait on another loop than the writer's, whose closing is not announced."""
        watch = waiter.get_loop().call_later(LOST_CHECK, resolve, [waiter])
        try:
            await waiter
        finally:
            watch.cancel()
            self._log.forget(waiter)

    def _refuse_to_block(self) -> None:
        """Refuse to block the thread of the writer, which the reader would wait for."""
        if self._is_lost():
            return
        if on_loop(self._writer_loop):
            raise RuntimeError(
                "This thread's event loop writes what you want to wait for: use read()."
            )
