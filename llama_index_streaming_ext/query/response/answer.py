"""The text of a response, as its readers see it."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Generator
from typing import Any, Protocol, runtime_checkable

from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import AnswerText, DeltaSeries, Token
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.stream.shared_position import SharedPosition


class Answer(Protocol):
    """A text that is being written, or is written."""

    @property
    def series(self) -> DeltaSeries | None:
        """The deltas of the text in the log; None if the text is in no log."""
        ...

    @property
    def text(self) -> str:
        """The text so far."""
        ...

    @property
    def done(self) -> bool:
        """True once it has ended, in whatever way."""
        ...

    @property
    def error(self) -> BaseException | None:
        """The error that it failed with, StreamStopped after a stop; None before the end."""
        ...

    def stop(self) -> None:
        """Stop it at once, from any thread; do nothing after the end."""
        ...

    def follow(self, cursor: Cursor[str], /) -> AsyncGenerator[str, None]:
        """Return the deltas behind a cursor, live, for a task."""
        ...

    def follow_sync(self, cursor: Cursor[str], /) -> Generator[str, None, None]:
        """Return the deltas behind a cursor, live, for a thread that may block."""
        ...

    async def wait(self) -> None:
        """Wait until it has ended, however much is unread. Never raises its error."""
        ...

    def wait_sync(self) -> None:
        """Wait, in a thread that may block, until it has ended. Never raises its error."""
        ...


class AnswerCursor(Cursor[str]):
    """The cursor of a reader of an answer's deltas. After them the reader gets the error, if any.

    Args:
        answer: the answer.
        position: the position that the reader shares; None to read from the start.
        reader: whose life decides how long the position is held.
    """

    __slots__ = ("_answer", "_position", "_reader", "_series")

    nap = 0.002

    def __init__(
        self,
        answer: Answer,
        position: SharedPosition | None = None,
        reader: weakref.ref[object] | None = None,
    ) -> None:
        super().__init__(0, (), internal=True)
        self._answer = answer
        self._series = answer.series
        # Weak, because the position holds the last cursor: answers are not left to the collector.
        self._position = weakref.ref(position) if position is not None else None
        self._reader = reader

    def take(self, seq: int, entry: Token | Record) -> str | None:
        """Return the delta if it is one of the answer's."""
        if isinstance(entry, Token) and entry.series is self._series:
            return entry.delta
        return None

    def opened(self) -> None:
        """Take the shared position, the first time."""
        position, reader = self._shared(), self._reader
        self._reader = None
        if position is not None and reader is not None:
            position.take(self, reader)

    def ended(self) -> None:
        """Raise what the answer has failed with."""
        position = self._shared()
        if position is not None:
            position.release(self, end_read=True)
        if self._answer.error is not None:
            raise self._answer.error

    def closed(self) -> None:
        """Let others have the position; a reader that goes on all the same goes on from its own."""
        position = self._shared()
        if position is not None:
            position.release(self)

    def _shared(self) -> SharedPosition | None:
        return self._position() if self._position is not None else None


class EventCursor(Cursor[Event]):
    """The cursor of a reader of events.

    Args:
        held: the query, which is not abandoned while it is read.
        records: gives the records that are wanted.
    """

    __slots__ = ("_held", "_take")

    def __init__(self, held: QueryAnswer, records: Cursor[Record]) -> None:
        super().__init__(records.seq, (), internal=True)
        self._held = held
        self._take = records.take

    def take(self, seq: int, entry: Token | Record) -> Event | None:
        """Return the event if it is wanted."""
        record = self._take(seq, entry)
        return record.event if record is not None else None


@runtime_checkable
class Answering(Protocol):
    """A query at work."""

    answer: AnswerText
    """The answer in the log."""
    sources: list[NodeWithScore]
    """The nodes that the answer is drawn from, known before its first token."""
    metadata: dict[str, Any] | None
    """The metadata of the engine's response."""
    object: Any
    """The structured answer, None where there is none."""

    @property
    def stream(self) -> EventStream:
        """The log of the query."""
        ...

    @property
    def text(self) -> str:
        """The text so far."""
        ...

    @property
    def done(self) -> bool:
        """True once it has ended, in whatever way."""
        ...

    @property
    def error(self) -> BaseException | None:
        """The error that it failed with, StreamStopped after a stop; None before the end."""
        ...

    def stop(self) -> None:
        """Stop it at once, from any thread; do nothing after the end."""
        ...

    async def wait(self) -> None:
        """Wait until it has ended, however much is unread. Never raises its error."""
        ...

    def wait_sync(self) -> None:
        """Wait, in a thread that may block, until it has ended. Never raises its error."""
        ...

    async def stopped(self) -> None:
        """Wait, after `stop`, until the work has ended."""
        ...

    def stopped_sync(self, timeout: float = ...) -> None:
        """Wait, after `stop`, in a thread that may block, until the work has ended.

        Args:
            timeout: seconds to wait at most.
        """
        ...

    def abandon(self) -> None:
        """Take note that nobody holds the response any more."""
        ...


class QueryAnswer:
    """The answer of a query that somebody can still read.

    The response has it, its readers, and the cursor of each of them. When the last of these is
    collected the query is abandoned. Nothing that the query itself holds may hold it, but the
    cursors that are reading.

    Args:
        run: the query.
    """

    def __init__(self, run: Answering) -> None:
        self.run = run
        self.series: DeltaSeries | None = run.answer
        self.follow, self.follow_sync = run.stream.follow, run.stream.follow_sync
        self.stop, self.wait, self.wait_sync = run.stop, run.wait, run.wait_sync

    def __del__(self) -> None:
        if not self.run.done:
            self.run.abandon()

    @property
    def text(self) -> str:
        """The text so far."""
        return self.run.text

    @property
    def done(self) -> bool:
        """True once the query has ended."""
        return self.run.done

    @property
    def error(self) -> BaseException | None:
        """The error that the query failed with, StreamStopped after a stop."""
        return self.run.error
