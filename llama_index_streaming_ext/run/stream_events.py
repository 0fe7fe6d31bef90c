"""Readers of plain events: upstream's `stream_events()`, without its limits."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator
from typing import Any

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.stream.compaction import shallow_copy
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import Token
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.record import Record


class PlainReaders:
    """The readers that `stream_events()` gives: one cursor that goes on, and others beside it.

    A reader that starts while no other is open, before the end was read, takes the cursor and goes
    on where the last one stopped. One that starts while another is open, or after the end, gets
    the whole stream. Open means: not exhausted, not closed, not collected.
    """

    def __init__(self, stream: EventStream) -> None:
        self.stream = stream
        self.seq = 0
        self.end_read = False
        self.owner: PlainCursor | None = None

    def open(self, internal: bool) -> AsyncGenerator[Event, None]:
        """A new reader; it starts when it is asked for its first event."""
        cursor = PlainCursor(self, internal)
        reader = self.stream.follow(cursor)
        cursor.reader = weakref.ref(reader)
        return reader


class PlainCursor(Cursor[Event]):
    """The cursor of one `stream_events()`."""

    __slots__ = ("_readers", "reader")

    def __init__(self, readers: PlainReaders, internal: bool) -> None:
        super().__init__(0, (), internal)
        self._readers = readers
        self.reader: weakref.ref[Any] | None = None

    def opened(self) -> None:
        """Take the common cursor if it is free."""
        readers = self._readers
        owner = readers.owner
        if readers.end_read or (owner is not None and owner.is_open):
            return
        readers.owner = self
        self.seq = readers.seq

    def closed(self) -> None:
        """Give the common cursor back."""
        self.reader = None

    @property
    def is_open(self) -> bool:
        """Whether somebody can still read with this cursor."""
        return self.reader is not None and self.reader() is not None

    def take(self, seq: int, entry: Token | Record) -> Event | None:
        """The event, for this reader alone: its code may have been written to change it."""
        readers = self._readers
        mine = readers.owner is self
        if mine:
            readers.seq = seq
        if isinstance(entry, Token):
            return entry.event()
        if not self._wants(entry.event):
            return None
        if mine:
            readers.end_read = entry.terminal
        return shallow_copy(entry.event)
