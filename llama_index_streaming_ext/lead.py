"""How far the writer of a log may run ahead of its readers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .cursor import Cursor
from .log.memory import ThreadWaiter, Waiter, resolve

# How often a writer that waits looks whether the log was closed meanwhile, seconds.
_LOOK = 0.25


class Lead:
    """The readers of a log, as its writer sees them.

    Args:
        newest: gives the number of the newest entry.
        closed: whether the log is closed, so that nothing more is written.

    Attributes:
        cursors: the readers that are attached.
        unbounded: whether the writer may go on however few have been read.
    """

    def __init__(self, newest: Callable[[], int], closed: Callable[[], bool]) -> None:
        self.cursors: set[Cursor[Any]] = set()
        self.unbounded = False
        self._newest = newest
        self._closed = closed
        self._furthest = 0
        self._waiting: list[Waiter] = []
        self._napping: list[Waiter] = []
        self._lock = threading.Lock()

    # Readers

    def attached(self, cursor: Cursor[Any]) -> None:
        """A reader begins."""
        with self._lock:
            self.cursors.add(cursor)

    def detached(self, cursor: Cursor[Any]) -> None:
        """A reader has gone."""
        with self._lock:
            self.cursors.discard(cursor)
            self._furthest = max(self._furthest, cursor.seq)
        self.came_on()

    def came_on(self) -> None:
        """A reader has read all that there is."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        _resolve_all(waiting)

    def nap(self, seconds: float) -> None:
        """Let a reader's thread wait, until the writer waits for it, or the log is closed."""
        waiter = ThreadWaiter()
        with self._lock:
            self._napping.append(waiter)
        if not (self._waiting or self._closed()):
            waiter.wait(seconds)

    async def anap(self, seconds: float) -> None:
        """What `nap` does, for a reader that is a task."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._napping.append(waiter)
        if self._waiting or self._closed():
            return
        timer = loop.call_later(seconds, resolve, [waiter])
        try:
            await waiter
        finally:
            timer.cancel()

    def wake(self) -> None:
        """The writer waits for readers, or has ended: there is nothing to nap for."""
        if self._napping:
            with self._lock:
                napping, self._napping = self._napping, []
            _resolve_all(napping)

    def unbind(self) -> None:
        """Let the writer go on to the end."""
        self.unbounded = True
        self.came_on()

    # The writer

    async def room(self, lead: int) -> None:
        """Wait until no attached reader is `lead` entries behind, or more.

        Where nobody is attached there is room: what nobody reads holds nobody up.
        """
        await self._until(lambda: self._newest() - self._slowest() < lead)

    async def demand(self, lead: int) -> int:
        """Wait until the reader that has come furthest is less than `lead` entries behind.

        What nobody reads does not go on.

        Returns:
            The number of entries that may be written before it has to be asked again.
        """
        await self._until(lambda: self._newest() - self._fastest() < lead)
        return self._fastest() + lead

    def demand_sync(self, lead: int) -> int:
        """What `demand` does, for a writer that is a thread."""
        while not self._is_free(lead):
            waiter = ThreadWaiter()
            with self._lock:
                self._waiting.append(waiter)
            self.wake()
            while not self._is_free(lead) and not waiter.wait(_LOOK):
                pass
        return self._fastest() + lead

    def _is_free(self, lead: int) -> bool:
        return self.unbounded or self._closed() or self._newest() - self._fastest() < lead

    async def _until(self, there_is_room: Callable[[], bool]) -> None:
        while not (self.unbounded or self._closed() or there_is_room()):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with self._lock:
                self._waiting.append(waiter)
            self.wake()
            # A reader of another thread may have come on before it was told to say so.
            if self.unbounded or self._closed() or there_is_room():
                return
            await waiter

    def _slowest(self) -> int:
        with self._lock:
            return min((cursor.seq for cursor in self.cursors), default=self._newest())

    def _fastest(self) -> int:
        with self._lock:
            return max(self._furthest, *(cursor.seq for cursor in self.cursors), 0)


def _resolve_all(waiters: list[Waiter]) -> None:
    for waiter in waiters:
        if isinstance(waiter, ThreadWaiter):
            waiter.set_result(None)
        else:
            with suppress(RuntimeError):  # a loop that is closed waits for nobody
                waiter.get_loop().call_soon_threadsafe(resolve, [waiter])
