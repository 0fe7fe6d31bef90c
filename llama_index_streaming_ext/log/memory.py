"""The log of a live run: a list, integer cursors, and one future per parked reader."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class ThreadWaiter:
    """The means by which a thread waits, as a task does with a future."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, timeout: float) -> bool:
        """Wait until it is done, for `timeout` seconds at most.

        Returns:
            Whether it is done.
        """
        return self._event.wait(timeout)

    def done(self) -> bool:
        """Return True if it is done."""
        return self._event.is_set()

    def set_result(self, result: None) -> None:
        """Let the thread go on."""
        self._event.set()

    def cancel(self) -> None:
        """Let the thread go on."""
        self._event.set()


Waiter = asyncio.Future[None] | ThreadWaiter


class MemoryLog(Generic[T]):
    """An append-only list of entries that readers of any thread and event loop can wait on.

    It is closed by its last entry, and fenced from then on: whoever still appends is told so.
    Entry number `seq` (1, 2, 3, ...) is `entries[seq - 1]`.

    Attributes:
        entries: what was appended so far. Read it freely; only `append` and `close` may change it.
        closed: True as soon as the last entry is in.
    """

    __slots__ = ("_end_waiters", "_forgotten", "_lock", "_waiters", "closed", "entries")

    def __init__(self) -> None:
        self.entries: list[T] = []
        self.closed = False
        # A writer that looks for waiters must not miss one that is just being parked.
        self._lock = threading.Lock()
        self._waiters: list[Waiter] = []
        self._end_waiters: list[Waiter] = []
        self._forgotten = 0

    def append(self, entry: T) -> int:
        """Add an entry and wake who waits for it.

        Returns:
            Its `seq`, or 0 when the log is closed and the entry was refused.
        """
        with self._lock:
            if self.closed:
                return 0
            self.entries.append(entry)
            seq = len(self.entries)
            woken = self._waiters
            if woken:
                self._waiters = []
        if woken:
            _wake(woken)
        return seq

    def close(self, entry: T) -> int:
        """Add the last entry and refuse all that come after it.

        Returns:
            Its `seq`, or 0 when the log was closed already.
        """
        with self._lock:
            if self.closed:
                return 0
            self.entries.append(entry)
            self.closed = True
            seq = len(self.entries)
            woken = self._waiters + self._end_waiters
            self._waiters = []
            self._end_waiters = []
        _wake(woken)
        return seq

    def waiter(
        self, after: int, loop: asyncio.AbstractEventLoop | None = None
    ) -> asyncio.Future[None] | None:
        """A future that is done when there may be an entry after `after`.

        Args:
            after: the last entry that the reader has passed.
            loop: the loop that it is to be awaited on, the running one by default.

        Returns:
            None when there is nothing to wait for: such an entry exists, or the log is closed.
            A reader that stops waiting gives the future back with `forget`.
        """
        with self._lock:
            if self.closed or len(self.entries) > after:
                return None
            waiter: asyncio.Future[None] = (loop or asyncio.get_running_loop()).create_future()
            self._waiters.append(waiter)
            return waiter

    def thread_waiter(self, after: int) -> ThreadWaiter | None:
        """Return a means for a thread to wait for the next entry; None if there is one already."""
        with self._lock:
            if self.closed or len(self.entries) > after:
                return None
            waiter = ThreadWaiter()
            self._waiters.append(waiter)
            return waiter

    def end_waiter(self) -> asyncio.Future[None] | None:
        """Return a future of the running loop that is done when the log closes; None if it has."""
        with self._lock:
            if self.closed:
                return None
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._end_waiters.append(waiter)
            return waiter

    def thread_end_waiter(self) -> ThreadWaiter | None:
        """Return a means for a thread to wait until the log closes; None if it has."""
        with self._lock:
            if self.closed:
                return None
            waiter = ThreadWaiter()
            self._end_waiters.append(waiter)
            return waiter

    def forget(self, waiter: Waiter) -> None:
        """Drop a future that nobody waits for any more (its reader was cancelled)."""
        waiter.cancel()
        with self._lock:
            self._forgotten += 1
            # Not each time: a thousand readers that leave at once would cost a million looks.
            if self._forgotten * 2 >= len(self._waiters) + len(self._end_waiters):
                self._forgotten = 0
                self._waiters = [kept for kept in self._waiters if not kept.done()]
                self._end_waiters = [kept for kept in self._end_waiters if not kept.done()]


def resolve(waiters: Iterable[Waiter]) -> None:
    """Mark futures of the running loop as done, but for those that were cancelled meanwhile."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _wake(waiters: Iterable[Waiter]) -> None:
    """Resolve each waiter on its own loop: at once on the running one, by one call on others."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    elsewhere: dict[asyncio.AbstractEventLoop, list[Waiter]] | None = None
    for waiter in waiters:
        loop = here if isinstance(waiter, ThreadWaiter) else waiter.get_loop()
        if loop is here:
            if not waiter.done():
                waiter.set_result(None)
        else:
            elsewhere = elsewhere if elsewhere is not None else {}
            assert loop is not None  # a future has one
            elsewhere.setdefault(loop, []).append(waiter)
    if elsewhere is None:
        return
    for loop, theirs in elsewhere.items():
        # A closed loop has no readers left that could be woken. It may be closed at any moment,
        # and a reader must not harm the writer.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(resolve, theirs)
