"""Readers of plain events: core's `stream_events()` without its limits."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator
from typing import Any

from workflows import Context

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.stream.compaction import shallow_copy
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import Token
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.stream.shared_position import SharedPosition


class PlainReaders:
    """Readers that `stream_events()` gives: each goes on where the last one stopped, if it may.

    A reader that starts while no other is open, before the end was read, goes on where the last
    one stopped. One that starts while another is open, or after the end, gets the whole stream.
    Open means: not exhausted, not closed, not collected.

    Args:
        stream: the stream that they read.
    """

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._position = SharedPosition()

    def open(self, internal: bool) -> AsyncGenerator[Event, None]:
        """Return a new reader; it starts when it is asked for its first event."""
        cursor = PlainCursor(self._position, internal)
        reader = self._stream.follow(cursor)
        cursor.reader = weakref.ref(reader)
        return reader

    def stand_in_for(self, ctx: Context[Any]) -> None:
        """Let whoever reads upstream's context or handler read the log.

        So nobody can take events away from it. An instance attribute shadows the method (U16), for
        as long as the context is that of this run: its store is another one in the next.
        """
        of_ctx, store = weakref.ref(ctx), _store_of(ctx)

        def stream_events() -> AsyncGenerator[Event, None]:
            there = of_ctx()
            if there is None or _store_of(there) is store:
                return self.open(internal=True)
            return type(there).stream_events(there)

        ctx.__dict__["stream_events"] = stream_events


class PlainCursor(Cursor[Event]):
    """Cursor of one `stream_events()`."""

    __slots__ = ("_position", "reader")

    def __init__(self, position: SharedPosition, internal: bool) -> None:
        super().__init__(0, (), internal)
        self._position = position
        self.reader: weakref.ref[Any] | None = None

    def opened(self) -> None:
        """Take over the common position if it is free."""
        self._position.take(self, self.reader)

    def closed(self) -> None:
        """Give the common position back."""
        self._position.release(self)

    def take(self, seq: int, entry: Token | Record) -> Event | None:
        """Return the event, copied for this reader, since its code may change it."""
        if isinstance(entry, Token):
            return entry.event()
        if entry.terminal:
            self._position.release(self, end_read=True)
        return shallow_copy(entry.event) if self._wants(entry.event) else None


def _store_of(ctx: Context[Any]) -> object:
    """Return the state store of the run that a context is at, None if its runtime has none."""
    try:
        return ctx.store
    except RuntimeError:
        return None
