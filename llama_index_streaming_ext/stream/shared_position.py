"""The position that readers of one stream take over from each other."""

from __future__ import annotations

import threading
import weakref
from typing import Protocol


class Positioned(Protocol):
    """A cursor: `seq` is the last record that it has passed."""

    seq: int


class SharedPosition:
    """The position of readers that go on where the last one stopped.

    A reader that begins while no other holds the position, and before the end was read, goes on
    where the last holder stopped. One that begins while another holds it, or after the end, reads
    from the start. A reader holds the position until it is closed, exhausted or collected.

    Attributes:
        end_read: True once a holder has read the end.
    """

    def __init__(self) -> None:
        self.end_read = False
        self._cursor: Positioned | None = None
        self._reader: weakref.ref[object] | None = None
        # Reentrant: garbage may be collected under it, and with it a reader, which then releases.
        self._lock = threading.RLock()

    def take(self, cursor: Positioned, reader: weakref.ref[object] | None) -> bool:
        """Move a cursor that begins to where it is to begin.

        Args:
            cursor: the cursor, at the start.
            reader: whose life decides how long the position is held.

        Returns:
            True if the cursor holds the position from now on.
        """
        with self._lock:
            if self.end_read or (self._reader is not None and self._reader() is not None):
                return False
            if self._cursor is not None:
                cursor.seq = self._cursor.seq
            self._cursor, self._reader = cursor, reader
            return True

    def release(self, cursor: Positioned, *, end_read: bool = False) -> None:
        """Let another reader have the position, if this cursor holds it.

        Args:
            cursor: the cursor.
            end_read: True if it has read the end.
        """
        with self._lock:
            if cursor is self._cursor:
                self._reader = None
                self.end_read = self.end_read or end_read
