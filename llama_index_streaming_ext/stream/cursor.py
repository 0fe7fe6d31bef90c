"""Cursors: the position of a reader in a log, and the items that it makes of records."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from llama_index_streaming_ext.events import Event, InternalDispatchEvent
from llama_index_streaming_ext.stream.deltas import Token
from llama_index_streaming_ext.stream.record import Record

T = TypeVar("T")


class Cursor(Generic[T]):
    """Position of a reader in a log, and the items that it makes of the records.

    Args:
        after: the last record that is not wanted.
        types: only events of these classes; empty for all.
        internal: also upstream's internal events.

    Attributes:
        seq: the last record that the reader has passed.
        woken: when it was last woken, by the clock of `time.perf_counter`.
    """

    __slots__ = ("_internal", "_types", "seq", "woken")

    nap = 0.0
    """Seconds that a reader that was woken a moment ago waits for a batch of records."""

    def __init__(self, after: int, types: tuple[type[Event], ...], internal: bool) -> None:
        self.seq = after
        self.woken = 0.0
        self._types = types
        self._internal = internal

    def take(self, seq: int, entry: Token | Record) -> T | None:
        """Return the item that the reader yields for an entry, None to skip the entry."""
        raise NotImplementedError

    def _wants(self, event: Event) -> bool:
        if self._types and not isinstance(event, self._types):
            return False
        return self._internal or not isinstance(event, InternalDispatchEvent)

    def opened(self) -> None:
        """The reader asks for its first record."""

    def ended(self) -> None:
        """Take note that the reader has passed the last record; what this raises, it gets."""

    def closed(self) -> None:
        """The reader is exhausted, closed or cancelled."""


class Built(Protocol):
    """The stream of a reader of records, which builds each record once for all of them."""

    built: dict[int, Record]

    def record_of(self, seq: int, token: Token) -> Record:
        """The record of a token."""
        ...


class RecordCursor(Cursor[Record]):
    """The cursor of a reader of records."""

    __slots__ = ("_built", "_stream")

    def __init__(
        self, stream: Built, after: int, types: tuple[type[Event], ...], internal: bool
    ) -> None:
        super().__init__(after, types, internal)
        self._stream = stream
        self._built = stream.built

    def take(self, seq: int, entry: Token | Record) -> Record | None:
        """The record, which readers share."""
        if isinstance(entry, Token):
            if self._types and not issubclass(entry.series.event_class, self._types):
                return None
            return self._built.get(seq) or self._stream.record_of(seq, entry)
        return entry if self._wants(entry.event) else None
