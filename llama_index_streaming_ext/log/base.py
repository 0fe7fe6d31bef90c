"""The interface of a log, independent of its storage."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class EventLog(Protocol[T]):
    """An append-only list of entries that is closed by its last one.

    It has one writer, though others may still try to write when it is closed; its readers may be
    on the event loops of any threads. A reader is a cursor: it takes `entries[seq:]`, and where
    there is nothing behind `seq` it awaits `waiter(seq)`. `testing.check_event_log` tells whether
    a log is one.
    """

    @property
    def entries(self) -> Sequence[T]:
        """The entries so far: the entry with number `seq` is `entries[seq - 1]`."""
        ...

    @property
    def closed(self) -> bool:
        """True as soon as the last entry is in."""
        ...

    def append(self, entry: T) -> int:
        """Add an entry and wake who waits for it.

        Returns:
            Its `seq` (1, 2, 3, ...), or 0 when the log is closed and the entry was refused.
        """
        ...

    def close(self, entry: T) -> int:
        """Add the last entry and refuse all that come after it.

        Returns:
            Its `seq`, or 0 when the log was closed already.
        """
        ...

    def waiter(self, after: int) -> asyncio.Future[None] | None:
        """A future of the running loop that is done when there may be an entry after `after`.

        Returns:
            None when there is nothing to wait for: such an entry exists, or the log is closed.
        """
        ...

    def end_waiter(self) -> asyncio.Future[None] | None:
        """A future of the running loop that is done when the log is closed, None if it is."""
        ...

    def forget(self, waiter: asyncio.Future[None]) -> None:
        """Drop a future that nobody waits for any more."""
        ...
