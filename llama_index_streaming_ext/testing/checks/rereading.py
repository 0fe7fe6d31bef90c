"""L6: every reader sees the same records, whenever it starts and however it is interrupted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from llama_index_streaming_ext.events import AgentStream, InternalDispatchEvent
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.testing.checks.laws import StreamLawBroken
from llama_index_streaming_ext.testing.recording.recording import Recording
from llama_index_streaming_ext.testing.recording.timeline import detail_of, kind_of


class Reader:
    """A reader that starts at some record, and breaks off and resumes now and then.

    Args:
        stream: what it reads.
        after: where it starts.
        source: what it takes its interruptions from.
        internal: whether it wants internal events, too.

    Attributes:
        found: the records that it got.
    """

    def __init__(
        self, stream: EventStream, after: int, source: random.Random, *, internal: bool
    ) -> None:
        self.found: list[Record] = []
        self._stream = stream
        self._after = after
        self._pauses = [source.randint(1, 12) for _ in range(source.randint(0, 4))]
        self._internal = internal

    async def read(self) -> None:
        """Read to the end, with all interruptions."""
        for pause in [*self._pauses, None]:
            await self._read_on(pause)

    async def _read_on(self, pause: int | None) -> None:
        after = self.found[-1].seq if self.found else self._after
        got = 0
        async with aclosing(self._stream.read(after, internal=self._internal)) as records:
            async for record in records:
                self.found.append(record)
                got += 1
                if got == pause:
                    return

    def check(self, rec: Recording) -> None:
        """Compare what it got with what was recorded.

        Raises:
            StreamLawBroken: it is not the same.
        """
        wanted = [
            at
            for at, record in enumerate(rec.records)
            if record.seq > self._after
            and (self._internal or not isinstance(record.event, InternalDispatchEvent))
        ]
        for at, found in zip(wanted, self.found, strict=False):
            if not _same(rec.records[at], found):
                self._broken(rec, at, _told(rec.records[at]), _told(found))
        if len(self.found) < len(wanted):
            missing = wanted[len(self.found)]
            self._broken(rec, missing, _told(rec.records[missing]), "the end")
        if len(self.found) > len(wanted):
            last = len(rec.records) - 1 if rec.records else None
            self._broken(rec, last, "the end", _told(self.found[len(wanted)]))

    def _broken(self, rec: Recording, at: int | None, expected: str, found: str) -> None:
        pauses = f", resumed after {self._pauses} records" if self._pauses else ""
        who = f" (a reader from #{self._after} on{pauses})"
        raise StreamLawBroken("L6", rec, at, expected, found + who)


def readers(stream: EventStream, count: int, source: random.Random, *, last: int) -> list[Reader]:
    """Readers at random; the first one starts at the start.

    Args:
        stream: what they read.
        count: how many.
        source: what they are made from.
        last: the last record that one may start behind.
    """
    starts = [0, *(source.randint(0, last) for _ in range(count - 1))][:count]
    return [Reader(stream, after, source, internal=source.random() < 0.5) for after in starts]


def _same(one: Record, other: Record) -> bool:
    return _content(one) == _content(other)


def _content(record: Record) -> Sequence[Any]:
    """Return the part of a record that is the same for every reader: `raw` may come later."""
    event = record.event
    if isinstance(event, AgentStream):
        event = event.model_copy(update={"raw": None})
    return record.seq, record.ts, record.terminal, type(event), event


def _told(record: Record) -> str:
    terminal = ", terminal" if record.terminal else ""
    return f"#{record.seq} {kind_of(record.event)} {detail_of(record.event)}".rstrip() + terminal
