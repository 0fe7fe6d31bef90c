"""A recording: what a stream gave, when, and how it ended."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, cast

from pydantic_core import from_json

from llama_index_streaming_ext.events import Event, InternalDispatchEvent
from llama_index_streaming_ext.events.usage import Usage, usage_of
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.outcome import Outcome, Status
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.stream.snapshot import Fold, ToolCallState
from llama_index_streaming_ext.testing.recording.timeline import delta_of, kind_of, table

Origin: TypeAlias = Literal["log", "records", "handler", "events", "chunks", "text"]
"""The recorded source: a whole log, a reader of records, an upstream workflow's handler, a bare
iterator of events, of an LLM's chunks, or of strings."""


class Recording:
    """A recording of a stream: its items, their times and its end. `record` makes it.

    Args:
        records: the records, in order. Items that are no events (an LLM's chunks, strings) are in
            records too, as their `event`.
        outcome: the end of the stream; None makes an outcome of the records.
        times: seconds from the start to each record; None takes the records' `ts`.
        origin: the kind of the source.
        source: the source, described for people.
        stream: the log that can be read again, or None.

    Attributes:
        records: the records, in order.
        outcome: the end of the stream, as `handler.outcome()` reports it.
        times: seconds from the start to each record.
        origin: the kind of the source.
        source: the source, described for people.
        stream: the log that can be read again, or None.

    Example:
        >>> rec = await record(agent.run(user_msg="How is the weather?"))
        >>> rec.text
        'It is sunny.'
        >>> rec.assert_order(AgentInput, ToolCall, ToolCallResult, AgentStream, StopEvent)
    """

    def __init__(
        self,
        records: Sequence[Record],
        outcome: Outcome | None = None,
        times: Sequence[float] | None = None,
        *,
        origin: Origin = "log",
        source: str = "records",
        stream: EventStream | None = None,
    ) -> None:
        self.records = list(records)
        self.outcome = outcome if outcome is not None else outcome_of(self.records)
        start = self.records[0].ts if self.records else 0.0
        self.times = [r.ts - start for r in self.records] if times is None else list(times)
        self.origin: Origin = origin
        self.source = source
        self.stream = stream

    @property
    def events(self) -> list[Any]:
        """The events that a plain reader sees: all but upstream's internal events."""
        return [
            record.event
            for record in self.records
            if not isinstance(record.event, InternalDispatchEvent)
        ]

    @property
    def deltas(self) -> list[str]:
        """The pieces of text, in order; empty ones are left out."""
        return [delta for record in self.records if (delta := delta_of(record))]

    @property
    def text(self) -> str:
        """All deltas, joined."""
        return "".join(self.deltas)

    @property
    def ttft(self) -> float | None:
        """Time to the first token: seconds from the start to the first delta, or None.

        The start is that of the run where it is known (a `StreamingHandler`, an `EventStream`),
        else that of the recording.
        """
        times = self._delta_times()
        return times[0] if times else None

    @property
    def gaps(self) -> list[float]:
        """Seconds between each delta and the next one."""
        return [later - earlier for earlier, later in itertools.pairwise(self._delta_times())]

    @property
    def tool_calls(self) -> tuple[ToolCallState, ...]:
        """The tool calls, in the order they were made, each with its result once there is one."""
        fold = Fold()
        of_chunks: dict[str, ToolCallState] = {}
        for record in self.records:
            item: Any = record.event
            if isinstance(item, Event):
                fold.add(item, record.origin)
            else:
                of_chunks |= _calls_of(item)
        return (*fold.snapshot(done=True).tool_calls, *of_chunks.values())

    @property
    def usage(self) -> Usage | None:
        """The tokens that the provider counted; None if no chunk reported any."""
        return self.outcome.usage

    @property
    def error(self) -> BaseException | None:
        """The error that the source raised, or would raise when awaited; None without one."""
        return self.outcome.error

    def assert_order(self, *kinds: type[Any] | tuple[type[Any], ...]) -> None:
        """Check that there are events of these classes in this order, whatever is in between.

        Args:
            kinds: classes, or tuples of classes of which any will do.

        Raises:
            AssertionError: one of them does not come, or not behind the one before.
        """
        at = 0
        for place, kind in enumerate(kinds):
            found = self._index_of(kind, at)
            if found is None:
                behind = f" behind record #{self.records[at - 1].seq}" if at else ""
                said = " -> ".join(_name(kind) for kind in kinds)
                raise AssertionError(
                    f"There is no {_name(kind)}{behind}, so the order\n  {said}\n"
                    f"is kept only up to its number {place}.\n{self._shown(at - 1 if at else None)}"
                )
            at = found + 1

    def assert_nothing_after(self, kind: type[Any] | tuple[type[Any], ...]) -> None:
        """Check that an event of this class came, and no other behind the first such one.

        Args:
            kind: a class, or a tuple of classes of which any will do.

        Raises:
            AssertionError: there is none, or something came behind it.
        """
        at = self._index_of(kind, 0)
        if at is None:
            raise AssertionError(f"There is no {_name(kind)} at all.\n{self._shown(None)}")
        behind = [
            kind_of(record.event)
            for record in self.records[at + 1 :]
            if not isinstance(record.event, InternalDispatchEvent)
        ]
        if behind:
            some = ", ".join(behind[:5]) + (", ..." if len(behind) > 5 else "")
            raise AssertionError(
                f"Behind the {_name(kind)} in record #{self.records[at].seq} came {len(behind)} "
                f"more: {some}\n{self._shown(at)}"
            )

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        first = "no text" if self.ttft is None else f"first token after {_ms(self.ttft)}"
        said = f"{self.outcome.status} after {_ms(self.outcome.seconds)}, {first}"
        error = f"\n  {self.error!r}" if self.error is not None else ""
        hidden = len(self) - len(self.events)
        count = f"{len(self)} records" + (f" ({hidden} internal)" if hidden else "")
        return f"<Recording of {self.source}: {count}, {said}>{error}\n" + "\n".join(
            table(self.records, self.times)
        )

    def _items(self) -> list[Any]:
        return [record.event for record in self.records]

    def _delta_times(self) -> list[float]:
        pairs = zip(self.records, self.times, strict=True)
        return [seconds for record, seconds in pairs if delta_of(record)]

    def _index_of(self, kind: type[Any] | tuple[type[Any], ...], start: int) -> int | None:
        items = enumerate(self._items()[start:], start)
        return next((at for at, item in items if isinstance(item, kind)), None)

    def _shown(self, mark: int | None) -> str:
        return "\n".join(table(self.records, self.times, mark=mark))


def outcome_of(
    records: Sequence[Record],
    status: Status = "completed",
    *,
    result: Any = None,
    error: BaseException | None = None,
    started: float | None = None,
    seconds: float | None = None,
) -> Outcome:
    """Return the outcome that records alone amount to.

    Args:
        records: the records.
        status: the status of the end.
        result: the result of the run.
        error: the error that was raised.
        started: Unix seconds; None takes the first record's.
        seconds: the duration in seconds; None takes the last record's time.
    """
    if started is None:
        started = records[0].ts if records else 0.0
    ended = started + seconds if seconds is not None else (records[-1].ts if records else started)
    return Outcome(
        status=status,
        result=result,
        error=error,
        text="".join(delta_of(record) for record in records),
        usage=_usage_of(records),
        steps=(),
        started=started,
        ended=ended,
    )


def _usage_of(records: Sequence[Record]) -> Usage | None:
    fold = Fold()
    of_chunks: Usage | None = None
    for record in records:
        item: Any = record.event
        if isinstance(item, Event):
            fold.add(item, record.origin)
        elif (said := usage_of(getattr(item, "raw", None))) is not None:
            of_chunks = said if of_chunks is None else of_chunks.grown_to(said)
    return fold.snapshot(done=True).usage or of_chunks


def _calls_of(chunk: Any) -> dict[str, ToolCallState]:
    """The tool calls that a chunk of an LLM carries so far, by id."""
    blocks = getattr(getattr(chunk, "message", None), "blocks", None) or ()
    found: dict[str, ToolCallState] = {}
    for block in blocks:
        name = getattr(block, "tool_name", None)
        if isinstance(name, str):
            call_id = getattr(block, "tool_call_id", None) or name
            found[call_id] = ToolCallState(call_id, name, _arguments(block.tool_kwargs))
    return found


def _arguments(given: object) -> dict[str, Any]:
    """The arguments of a call, which chunks have as JSON that may be cut off."""
    if isinstance(given, str):
        try:
            given = from_json(given, allow_partial="trailing-strings")
        except ValueError:
            given = {}
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _name(kind: type[Any] | tuple[type[Any], ...]) -> str:
    if isinstance(kind, tuple):
        return " or ".join(_name(one) for one in kind)
    return kind.__name__


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
