"""Backpressure: the distance that the writer of a log may be ahead of its readers."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from llama_index_streaming_ext.log.memory import ThreadWaiter, Waiter, resolve
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.threads.loops import call_on_loop, wake

# How often a writer that waits looks whether the log was closed meanwhile, or the event loop of a
# reader, which nobody is told of, seconds.
_LOOK = 0.25


class Backpressure:
    """The readers of a log, as its writer sees them.

    Args:
        newest: gives the number of the newest entry.
        closed: whether the log is closed, so that nothing more is written.

    Attributes:
        cursors: the readers that are attached, with the event loop of each; None for a thread.
        unbounded: whether the writer may go on however few have been read.
    """

    def __init__(self, newest: Callable[[], int], closed: Callable[[], bool]) -> None:
        self.cursors: dict[Cursor[Any], asyncio.AbstractEventLoop | None] = {}
        self.unbounded = False
        self._newest = newest
        self._closed = closed
        self._furthest = 0
        self._waiting: set[Waiter] = set()
        self._napping: set[Waiter] = set()
        # Reentrant: garbage may be collected under it, and in it a reader, which then detaches.
        self._lock = threading.RLock()

    @property
    def waiters(self) -> int:
        """Number of waiters at this moment: writers for readers, and readers for a batch."""
        return len(self._waiting) + len(self._napping)

    # Readers

    def attached(self, cursor: Cursor[Any], loop: asyncio.AbstractEventLoop | None = None) -> None:
        """A reader begins.

        Args:
            cursor: the reader.
            loop: the event loop that it reads on, None for a thread.
        """
        with self._lock:
            self.cursors[cursor] = loop

    def detached(self, cursor: Cursor[Any]) -> None:
        """A reader has gone."""
        with self._lock:
            self.cursors.pop(cursor, None)
            self._furthest = max(self._furthest, cursor.seq)
        self.reader_caught_up()

    def reader_caught_up(self) -> None:
        """A reader has read all that there is."""
        if not self._waiting:
            return
        self._resolve_all(self._waiting)

    def wait_for_batch(self, seconds: float) -> None:
        """Let a reader's thread wait, until the writer waits for it, or the log is closed."""
        waiter = ThreadWaiter()
        with self._listed(waiter, self._napping):
            if not (self._waiting or self._closed()):
                waiter.wait(seconds)

    async def await_batch(self, seconds: float) -> None:
        """Wait as `wait_for_batch` does, for a reader that is a task."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._listed(waiter, self._napping):
            if not (self._waiting or self._closed()):
                await _at_most(waiter, seconds)

    def wake(self) -> None:
        """The writer waits for readers, or has ended: there is nothing to nap for."""
        if self._napping:
            self._resolve_all(self._napping)

    def wake_here(self) -> None:
        """Wake the readers that nap on the running loop, where that costs the writer nothing.

        A thread that is woken beside a writer at work fights it for the interpreter.
        """
        if not self._napping:
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            here = {waiter for waiter in self._napping if _is_on(waiter, loop)}
            self._napping -= here
        resolve(here)

    def lift(self) -> None:
        """Let the writer go on to the end."""
        self.unbounded = True
        self.reader_caught_up()

    # The writer

    async def wait_for_slowest(self, lead: int) -> None:
        """Wait until no attached reader is `lead` entries behind, or more.

        Where nobody is attached there is room: what nobody reads holds nobody up.
        """
        await self._until(lambda: self._is_free(lead, self._slowest))

    async def wait_for_fastest(self, lead: int) -> int:
        """Wait until the reader that has come furthest is less than `lead` entries behind.

        What nobody reads does not go on.

        Returns:
            The number of entries that may be written before it has to be asked again.
        """
        await self._until(lambda: self._is_free(lead, self._fastest))
        return self._granted(lead)

    def wait_for_fastest_sync(self, lead: int) -> int:
        """Wait as `wait_for_fastest` does, for a writer that is a thread."""
        while not self._is_free(lead, self._fastest):
            waiter = ThreadWaiter()
            with self._waiting_writer(waiter):
                if not self._is_free(lead, self._fastest):
                    waiter.wait(_LOOK)
        return self._granted(lead)

    def _granted(self, lead: int) -> int:
        return sys.maxsize if self.unbounded else self._fastest() + lead

    def _is_free(self, lead: int, reader: Callable[[], int]) -> bool:
        return self.unbounded or self._closed() or self._newest() - reader() < lead

    async def _until(self, is_free: Callable[[], bool]) -> None:
        while not is_free():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with self._waiting_writer(waiter):
                if not is_free():
                    await _at_most(waiter, _LOOK)

    @contextmanager
    def _waiting_writer(self, waiter: Waiter) -> Generator[None, None, None]:
        """Tell the readers that the writer waits for them.

        Look again inside: a reader of another thread may have come on before it was told.
        """
        with self._listed(waiter, self._waiting):
            self.wake()
            yield

    @contextmanager
    def _listed(self, waiter: Waiter, waiters: set[Waiter]) -> Generator[None, None, None]:
        """Hold a waiter in one of the two sets, where the other side finds it."""
        with self._lock:
            waiters.add(waiter)
        try:
            yield
        finally:
            with self._lock:
                waiters.discard(waiter)

    def _resolve_all(self, waiters: set[Waiter]) -> None:
        with self._lock:
            # The set itself stays: the waiters take themselves out of it.
            resolved = list(waiters)
            waiters.clear()
        for waiter in resolved:
            if isinstance(waiter, ThreadWaiter):
                waiter.set_result(None)
            else:
                call_on_loop(waiter.get_loop(), wake, waiter)

    def _slowest(self) -> int:
        with self._lock:
            # Nobody can go on with a reader whose loop is closed, nor close it.
            seqs = [
                cursor.seq
                for cursor, loop in self.cursors.items()
                if loop is None or not loop.is_closed()
            ]
        return min(seqs, default=self._newest())

    def _fastest(self) -> int:
        with self._lock:
            return max(self._furthest, *(cursor.seq for cursor in self.cursors), 0)


async def _at_most(waiter: asyncio.Future[None], seconds: float) -> None:
    """Wait on a future of the running loop, for so long at most; it is done then."""
    timer = waiter.get_loop().call_later(seconds, resolve, [waiter])
    try:
        await waiter
    finally:
        timer.cancel()


def _is_on(waiter: Waiter, loop: asyncio.AbstractEventLoop) -> bool:
    return not isinstance(waiter, ThreadWaiter) and waiter.get_loop() is loop
