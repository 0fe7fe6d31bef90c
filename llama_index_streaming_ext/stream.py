"""A run as a stream: one writer, any number of readers, from any point, at any time."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar

from .compact import Compactor, is_whole, shallow_copy
from .cursor import Cursor, RecordCursor
from .events import AgentInput, AgentOutput, AgentStream, Event
from .lead import Lead
from .log import MemoryLog
from .log.memory import resolve
from .origin import NOWHERE, Origin
from .outcome import Fold, Outcome, Snapshot
from .record import Ending, Record
from .series import Extras, Series, Token

T = TypeVar("T")

# A reader that is behind takes so many records at once, and lets others run in between.
_BATCH = 64
# How long a thread that has read all waits for more to come together, seconds.
_NAP = 0.002
# How often a reader on another thread's loop looks whether the writer's loop still lives, seconds.
_LOST_CHECK = 0.25


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
        self.keep_raw = keep_raw
        self._compactor = Compactor(keep_raw=keep_raw)
        self._ending: Ending | None = None
        self._fold = Fold()
        self._fold_lock = threading.Lock()
        self.lead = Lead(lambda: len(self._log.entries), lambda: self._log.closed)
        """How far the writer is ahead of the readers."""
        self.built: dict[int, Record] = {}
        """The newest tokens' records, while somebody reads them."""
        self._writer_loop: asyncio.AbstractEventLoop | None = None
        self._lost: Callable[[], Callable[[], None] | None] | None = None

    # Writing

    def append(self, event: Event, origin: Origin = NOWHERE) -> int:
        """Write an event.

        A shallow copy is kept: setting its fields afterwards changes nothing for readers (U3).

        Args:
            event: the event.
            origin: where it comes from.

        Returns:
            Its `seq`, or 0 when the run has ended and the event was refused.
        """
        if self._log.closed:
            return 0
        ts = self._now()
        if type(event) is AgentStream and is_whole(event):
            return self._log.append(self._compactor.token(event, ts, origin))
        if isinstance(event, AgentInput | AgentOutput):
            self._compactor.calls_over(event.current_agent_name)
        seq = len(self._log.entries) + 1
        return self._log.append(Record(seq, ts, shallow_copy(event), False, origin))

    def append_delta(self, series: Series, delta: str, extras: Extras | None = None) -> int:
        """Write the next delta of a series, at a fraction of what its event would cost.

        Returns:
            Its `seq`, or 0 when the run has ended and the delta was refused.
        """
        if self._log.closed:
            return 0
        return self._log.append(series.next(self._now(), delta, extras))

    def append_shared(self, series: Series, token: Token) -> int:
        """Write a delta that another log has: a token of a series that shares its deltas.

        Args:
            series: the series, whose deltas are those of the token's own.
            token: the token of the other log.

        Returns:
            Its `seq`, or 0 when the run has ended and the delta was refused.
        """
        if self._log.closed:
            return 0
        return self._log.append(Token(self._now(), series, token.index, token.extras))

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
        seq = self._log.close(Record(seq, self._now(), shallow_copy(event), terminal=True))
        self.lead.wake()
        return seq

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
        return self.follow(self._record_cursor(after, types, internal), follow)

    def _record_cursor(
        self, after: int, types: type[Event] | tuple[type[Event], ...], internal: bool
    ) -> RecordCursor:
        wanted = tuple(types) if isinstance(types, list | tuple) else (types,)
        for cls in wanted:
            if not (isinstance(cls, type) and issubclass(cls, Event)):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"types takes classes of events, not {cls!r}")
        if after < 0:
            raise ValueError(f"after={after}: a seq is 0 (before the first record) or more")
        return RecordCursor(self, after, wanted, internal)

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
            finish_reason=fold.finish_reason,
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
        loop = asyncio.get_running_loop()
        cursor.opened()
        self.lead.attached(cursor, loop)
        # This loop is what a delivery costs: at a hundred readers nothing else matters.
        log, entries = self._log, self._log.entries
        elsewhere = self._writer_loop is not None and self._writer_loop is not loop
        at_once = not (elsewhere or cursor.nap)
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
                        await (waiter if at_once else self._park(waiter, cursor, elsewhere))
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
            self.lead.detached(cursor)
            if not self.lead.cursors:
                self.built.clear()

    async def _park(
        self, waiter: asyncio.Future[None], cursor: Cursor[Any], elsewhere: bool
    ) -> None:
        """Wait for more, and for still more where the last wake-up was a moment ago."""
        await (self._park_elsewhere(waiter) if elsewhere else waiter)
        now = time.perf_counter()
        if now - cursor.woken < cursor.nap and not self._log.closed:
            # Waking a task costs more than the token that it is woken for.
            await self.lead.anap(cursor.nap)
            now = time.perf_counter()
        cursor.woken = now

    def read_sync(
        self,
        after: int = 0,
        types: type[Event] | tuple[type[Event], ...] = (),
        internal: bool = False,
    ) -> Generator[Record, None, None]:
        """Read the records that come after one, in a thread that may block.

        Takes and raises what `read` does.

        Raises:
            RuntimeError: this is the thread of the writer's own event loop, which would wait for
                itself.
        """
        return self.follow_sync(self._record_cursor(after, types, internal))

    def follow_sync(self, cursor: Cursor[T]) -> Generator[T, None, None]:
        """Read with a cursor of one's own, in a thread that may block."""
        self._refuse_to_block()
        cursor.opened()
        self.lead.attached(cursor)
        log, entries = self._log, self._log.entries
        began = len(entries)
        try:
            while True:
                seq = cursor.seq
                end = min(len(entries), seq + _BATCH)
                if seq >= end:
                    if self._nothing_comes(seq, follow=True, elsewhere=True):
                        return
                    if seq > began:
                        # A thread that is woken for each token costs more than the token.
                        self.lead.nap(_NAP)
                        began = seq
                    waiter = log.thread_waiter(seq)
                    while waiter is not None and not waiter.wait(_LOST_CHECK):
                        if self._is_lost():
                            break
                    continue
                while seq < end:
                    cursor.seq = seq = seq + 1
                    item = cursor.take(seq, entries[seq - 1])
                    if item is not None:
                        yield item
        finally:
            cursor.closed()
            self.lead.detached(cursor)

    def ended_sync(self) -> None:
        """Wait until the terminal record is written, in a thread that may block."""
        self._refuse_to_block()
        while not self.done:
            waiter = self._log.thread_waiter(len(self._log.entries))
            if waiter is not None:
                waiter.wait(_LOST_CHECK)

    async def room(self, lead: int) -> None:
        """Wait, as the writer, until no attached reader is `lead` records behind, or more."""
        await self.lead.room(lead)

    def record_of(self, seq: int, token: Token) -> Record:
        """A token's record, built for the readers that are level with each other."""
        record = Record(seq, token.ts, token.event(), False, token.series.origin)
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
        self.lead.came_on()
        log = self._log
        if log.closed or (elsewhere and self._is_lost()):
            # The last record may just have been written.
            return seq >= len(log.entries)
        return not follow

    async def _park_elsewhere(self, waiter: asyncio.Future[None]) -> None:
        """Wait on another loop than the writer's: nobody tells it that that loop was closed."""
        watch = waiter.get_loop().call_later(_LOST_CHECK, resolve, [waiter])
        try:
            await waiter
        finally:
            watch.cancel()
            self._log.forget(waiter)

    def _refuse_to_block(self) -> None:
        """See that a thread that is going to wait is not the one that is waited for."""
        if self.done:
            return
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            return
        if here is self._writer_loop:
            raise RuntimeError(
                "This thread's event loop writes what you want to wait for: use read()."
            )

    def _folded(self) -> Snapshot:
        with self._fold_lock:
            fold = self._fold
            closed = self._log.closed
            for entry in self._log.entries[fold.seq :]:
                if isinstance(entry, Record):
                    fold.add(entry.event, entry.origin)
                else:
                    fold.add(entry, entry.series.origin)
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
