"""A run as a stream: one writer, any number of readers, from any point, at any time."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from .compact import Compactor, Token, is_whole, shallow_copy
from .events import AgentInput, AgentOutput, AgentStream, Event, InternalDispatchEvent
from .log import MemoryLog
from .log.memory import Waiter, resolve
from .outcome import Fold, Outcome, Snapshot, Status

T = TypeVar("T")

# A reader that is behind takes so many records at once, and lets others run in between.
_BATCH = 64
# How often a reader on another thread's loop looks whether the writer's loop still lives, seconds.
_LOST_CHECK = 0.25


class Record(NamedTuple):
    """An event in a log.

    Records are shared by all readers: take a copy of the event before you change it.

    Attributes:
        seq: 1, 2, 3, ... without gaps.
        ts: when it was written, Unix seconds; never goes back.
        event: the event.
        terminal: True for the last record of a run, and only for that.
    """

    seq: int
    ts: float
    event: Event
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as its writer says it."""

    status: Status
    result: Any = None
    error: BaseException | None = None
    steps: tuple[str, ...] = ()


class EventStream:
    """The append-only log of one run, and its readers.

    There is one writer, which calls `append` for every event and `close` with the last one.
    Readers are cursors: `(stream, next seq)` is all that one of them is, so any number of them can
    read from any point, at any time, live or later, also on the event loops of other threads.

    Args:
        run_id: the run that it is the log of.
        keep_raw: keep the provider's raw chunk of every token, not only of the last one of each
            LLM call.
        clock: gives Unix seconds; None for `time.time`, as it is when the stream is made.
    """

    def __init__(
        self,
        run_id: str,
        *,
        keep_raw: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.run_id = run_id
        # Looked up now, not bound by the signature: a test may have made the time virtual.
        self._clock = clock or time.time
        self.started = self._clock()
        self.outcome_asked = False
        """Whether anybody has asked how the run ended."""
        self._log: MemoryLog[Record | Token] = MemoryLog()
        self._last_ts = self.started
        self._compactor = Compactor(keep_raw=keep_raw)
        self._ending: Ending | None = None
        self._fold = Fold()
        self._fold_lock = threading.Lock()
        self._readers = 0
        self.built: dict[int, Record] = {}
        """The newest tokens' records, while somebody reads them."""
        self._writer_loop: asyncio.AbstractEventLoop | None = None
        self._lost: Callable[[], Callable[[], None] | None] | None = None

    # Writing

    def append(self, event: Event) -> int:
        """Write an event.

        A shallow copy is kept: setting its fields afterwards changes nothing for readers (U3).

        Returns:
            Its `seq`, or 0 when the run has ended and the event was refused.
        """
        if self._log.closed:
            return 0
        ts = self._now()
        if type(event) is AgentStream and is_whole(event):
            return self._log.append(self._compactor.token(event, ts))
        if isinstance(event, AgentInput | AgentOutput):
            self._compactor.calls_over(event.current_agent_name)
        return self._log.append(Record(len(self._log.entries) + 1, ts, shallow_copy(event)))

    def close(self, event: Event, ending: Ending) -> int:
        """Write the terminal record. All that is appended later is refused.

        Args:
            event: the last event: a `StopEvent` of some kind.
            ending: how the run ended.

        Returns:
            Its `seq`, or 0 when the run had ended already.
        """
        if self._log.closed:
            return 0
        self._compactor.run_over()
        self._ending = ending
        seq = len(self._log.entries) + 1
        return self._log.close(Record(seq, self._now(), shallow_copy(event), terminal=True))

    def written_on(self, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        """Tell which event loop the writer lives on.

        Args:
            loop: the loop; when it is closed before the run has ended, the run is lost.
            lost: closes the stream; called by whoever finds out. A method is held weakly: a writer
                that is collected has written its last record.
        """
        self._writer_loop = loop
        self._lost = weakref.WeakMethod(lost) if inspect.ismethod(lost) else lambda: lost

    # Reading

    @property
    def last_seq(self) -> int:
        """The `seq` of the newest record, 0 before the first one."""
        return len(self._log.entries)

    @property
    def closed(self) -> bool:
        """Whether the terminal record is written, as far as the writer has said."""
        return self._log.closed

    @property
    def failure(self) -> BaseException | None:
        """What a failed run raised; None for every other run."""
        ending = self._ending
        return ending.error if ending is not None and ending.status == "failed" else None

    @property
    def done(self) -> bool:
        """Whether the run has ended: its terminal record is written, or its loop was closed."""
        return self._log.closed or self._is_lost()

    def read(
        self,
        after: int = 0,
        types: type[Event] | tuple[type[Event], ...] = (),
        follow: bool = True,
        internal: bool = False,
    ) -> AsyncGenerator[Record, None]:
        """Read the records that come after one.

        Args:
            after: the `seq` of the last record that is not wanted: 0 reads from the start,
                `last_seq` what comes from now on.
            types: only events of these classes (and of their subclasses); empty for all.
            follow: wait for what is still to come; False ends at the newest record.
            internal: also upstream's internal events (`StepStateChanged`, ...), which otherwise
                are skipped, so that the `seq` that a reader sees may skip too.

        Returns:
            An async generator of records. It ends after the terminal record.

        Raises:
            ValueError: `after` is negative.
            TypeError: `types` are not event classes.
        """
        wanted = tuple(types) if isinstance(types, list | tuple) else (types,)
        for cls in wanted:
            if not (isinstance(cls, type) and issubclass(cls, Event)):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"types takes classes of events, not {cls!r}")
        if after < 0:
            raise ValueError(f"after={after}: a seq is 0 (before the first record) or more")
        return self.follow(RecordCursor(self, after, wanted, internal), follow)

    async def outcome(self) -> Outcome:
        """Wait for the end and say how it was. Never raises, but for your own cancellation."""
        self.outcome_asked = True
        await self.ended()
        ending = self._ending
        assert ending is not None  # written before the log is closed
        last = self._log.entries[-1]
        fold = self._folded()
        return Outcome(
            status=ending.status,
            result=ending.result,
            error=ending.error,
            text=fold.text,
            usage=fold.usage,
            steps=ending.steps,
            started=self.started,
            ended=last.ts,
        )

    async def ended(self) -> None:
        """Wait until the terminal record is written."""
        while not self.done:
            waiter = self._log.end_waiter()
            if waiter is not None:
                # The writer may be on another loop, which is closed without a word.
                await self._park_elsewhere(waiter)

    def snapshot(self) -> Snapshot:
        """The sum of what is in the log: what a late reader shows before it reads on."""
        self._is_lost()
        return self._folded()

    async def follow(self, cursor: Cursor[T], follow: bool = True) -> AsyncGenerator[T, None]:
        """Read with a cursor of one's own: what it makes of each record that it wants."""
        self._readers += 1
        cursor.opened()
        # This loop is what a delivery costs: at a hundred readers nothing else matters.
        log, entries = self._log, self._log.entries
        loop = asyncio.get_running_loop()
        elsewhere = self._writer_loop is not None and self._writer_loop is not loop
        waiter = None
        try:
            while True:
                seq = cursor.seq
                end = min(len(entries), seq + _BATCH)
                if seq >= end:
                    if self._nothing_comes(seq, follow, elsewhere):
                        return
                    waiter = log.waiter(seq, loop)
                    if waiter is not None:
                        await (self._park_elsewhere(waiter) if elsewhere else waiter)
                    continue
                while seq < end:
                    cursor.seq = seq = seq + 1
                    item = cursor.take(seq, entries[seq - 1])
                    if item is not None:
                        yield item
                if len(entries) - seq > _BATCH:
                    # Far behind: one reader's replay must not hold up everybody else.
                    await asyncio.sleep(0)
        finally:
            if waiter is not None:
                log.forget(waiter)
            cursor.closed()
            self._readers -= 1
            if not self._readers:
                self.built.clear()

    def record_of(self, seq: int, token: Token) -> Record:
        """A token's record, built for the readers that are level with each other."""
        record = Record(seq, token.ts, token.event())
        newest = len(self._log.entries)
        if seq > newest - _BATCH:
            built = self.built
            built[seq] = record
            if len(built) > 2 * _BATCH:
                for old in [known for known in list(built) if known <= newest - _BATCH]:
                    built.pop(old, None)
        return record

    def _nothing_comes(self, seq: int, follow: bool, elsewhere: bool) -> bool:
        """Whether a reader that has passed all records is at the end."""
        log = self._log
        if log.closed or (elsewhere and self._is_lost()):
            # The last record may just have been written.
            return seq >= len(log.entries)
        return not follow

    async def _park_elsewhere(self, waiter: Waiter) -> None:
        """Wait on another loop than the writer's: nobody tells it that that loop was closed."""
        watch = waiter.get_loop().call_later(_LOST_CHECK, resolve, [waiter])
        try:
            await waiter
        finally:
            watch.cancel()
            self._log.forget(waiter)

    def _folded(self) -> Snapshot:
        with self._fold_lock:
            fold = self._fold
            closed = self._log.closed
            for entry in self._log.entries[fold.seq :]:
                fold.add(entry.event if isinstance(entry, Record) else entry)
            return fold.snapshot(done=closed)

    def _is_lost(self) -> bool:
        """Close the stream if its writer's loop was closed under it."""
        if self._log.closed:
            return True
        loop = self._writer_loop
        if loop is None or not loop.is_closed():
            return False
        lost = self._lost() if self._lost is not None else None
        if lost is not None:
            lost()
        return self._log.closed

    def _now(self) -> float:
        """The time, never before that of the record before (L1)."""
        self._last_ts = max(self._clock(), self._last_ts)
        return self._last_ts


class Cursor(Generic[T]):
    """Where a reader stands, and what it makes of the records that it wants.

    Args:
        after: the last record that is not wanted.
        types: only events of these classes; empty for all.
        internal: also upstream's internal events.

    Attributes:
        seq: the last record that the reader has passed.
    """

    __slots__ = ("_internal", "_tokens", "_types", "seq")

    def __init__(self, after: int, types: tuple[type[Event], ...], internal: bool) -> None:
        self.seq = after
        self._types = types
        self._internal = internal
        self._tokens = not types or issubclass(AgentStream, types)

    def take(self, seq: int, entry: Token | Record) -> T | None:
        """What the reader yields for an entry, None if it does not want it."""
        raise NotImplementedError

    def _wants(self, event: Event) -> bool:
        if self._types and not isinstance(event, self._types):
            return False
        return self._internal or not isinstance(event, InternalDispatchEvent)

    def opened(self) -> None:
        """The reader asks for its first record."""

    def closed(self) -> None:
        """The reader is exhausted, closed or cancelled."""


class RecordCursor(Cursor[Record]):
    """The cursor of a reader of records."""

    __slots__ = ("_built", "_stream")

    def __init__(
        self, stream: EventStream, after: int, types: tuple[type[Event], ...], internal: bool
    ) -> None:
        super().__init__(after, types, internal)
        self._stream = stream
        self._built = stream.built

    def take(self, seq: int, entry: Token | Record) -> Record | None:
        """The record, which readers share."""
        if isinstance(entry, Token):
            if not self._tokens:
                return None
            return self._built.get(seq) or self._stream.record_of(seq, entry)
        return entry if self._wants(entry.event) else None
