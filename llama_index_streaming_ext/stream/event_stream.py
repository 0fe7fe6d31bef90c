"""A run as a stream: one writer, any number of readers, from any point, at any time."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TypeVar, cast

from llama_index_streaming_ext.events import AgentInput, AgentOutput, AgentStream, Event
from llama_index_streaming_ext.stream.compaction import Compactor, is_whole, shallow_copy
from llama_index_streaming_ext.stream.cursor import Cursor, RecordCursor
from llama_index_streaming_ext.stream.deltas import DeltaExtras, DeltaSeries, Token
from llama_index_streaming_ext.stream.origin import NOWHERE, Origin
from llama_index_streaming_ext.stream.outcome import Outcome
from llama_index_streaming_ext.stream.readers import LOST_CHECK, Readable
from llama_index_streaming_ext.stream.record import E, Ending, Record
from llama_index_streaming_ext.stream.snapshot import Fold, Snapshot

T = TypeVar("T")


class EventStream(Readable):
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
        super().__init__()
        self.run_id = run_id
        # Looked up now, not bound by the signature: a test may have made the time virtual.
        self._clock = clock or time.time
        self.started = self._clock()
        self.outcome_asked = False
        """True if anybody has asked for the outcome of the run."""
        self._last_ts = self.started
        self.keep_raw = keep_raw
        self._compactor = Compactor(keep_raw=keep_raw)
        self._ending: Ending | None = None
        self._fold = Fold()
        self._fold_lock = threading.Lock()
        self._lost: Callable[[], Callable[[], None] | None] | None = None

    # Writing

    def append(self, event: Event, origin: Origin = NOWHERE) -> int:
        """Write an event.

        A shallow copy is kept, so that readers do not see fields that are set afterwards.

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

    def append_delta(
        self, series: DeltaSeries, delta: str, extras: DeltaExtras | None = None
    ) -> int:
        """Write the next delta of a series, at a fraction of what its event would cost.

        Returns:
            Its `seq`, or 0 when the run has ended and the delta was refused.
        """
        log = self._log
        if log.closed:
            return 0
        # As `_now` and `Series.next` say it: this is what every token costs.
        ts = self._clock()
        if ts < self._last_ts:
            ts = self._last_ts
        else:
            self._last_ts = ts
        deltas = series.deltas
        deltas.append(delta)
        return log.append(Token(ts, series, len(deltas) - 1, extras))

    def append_shared(self, series: DeltaSeries, token: Token) -> int:
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
        self.backpressure.wake()
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
        """True if the writer has written the terminal record."""
        return self._log.closed

    @property
    def failure(self) -> BaseException | None:
        """The error of a failed run; None for every other run."""
        ending = self._ending
        return ending.error if ending is not None and ending.status == "failed" else None

    @property
    def error(self) -> BaseException | None:
        """The error that the run has ended with; None while it goes on, or if it is complete."""
        return self._ending.error if self._ending is not None else None

    @property
    def done(self) -> bool:
        """True if the run has ended: its terminal record is written, or its loop was closed."""
        return self._log.closed or self._is_lost()

    def read(
        self,
        after: int = 0,
        types: type[E] | tuple[type[E], ...] = (),
        follow: bool = True,
        internal: bool = False,
    ) -> AsyncGenerator[Record[E], None]:
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
        return self.follow(self.record_cursor(after, types, internal), follow)

    def record_cursor(
        self, after: int, types: type[E] | tuple[type[E], ...], internal: bool
    ) -> Cursor[Record[E]]:
        """Return the cursor of a reader of records; takes and raises what `read` does."""
        wanted = tuple(types) if isinstance(types, list | tuple) else (types,)
        for cls in wanted:
            if not (isinstance(cls, type) and issubclass(cls, Event)):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"types takes classes of events, not {cls!r}")
        if after < 0:
            raise ValueError(f"after={after}: a seq is 0 (before the first record) or more")
        # Its records hold only events of these classes.
        return cast("Cursor[Record[E]]", RecordCursor(self, after, wanted, internal))

    async def outcome(self) -> Outcome:
        """Wait for the end of the run and return how it ended.

        The error of a failed run is returned, never raised.
        """
        self.outcome_asked = True
        await self.ended()
        return self._outcome()

    def outcome_sync(self) -> Outcome:
        """Wait, in a thread that may block, for the end of the run and return how it ended.

        The error of a failed run is returned, never raised.
        """
        self.outcome_asked = True
        self.ended_sync()
        return self._outcome()

    def _outcome(self) -> Outcome:
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
        """Return the state of the run so far, for a reader that starts late."""
        self._is_lost()
        return self._folded()

    def read_sync(
        self,
        after: int = 0,
        types: type[E] | tuple[type[E], ...] = (),
        internal: bool = False,
    ) -> Generator[Record[E], None, None]:
        """Read the records that come after one, in a thread that may block.

        Takes and raises what `read` does.

        Raises:
            RuntimeError: this is the thread of the writer's own event loop, which would wait for
                itself.
        """
        return self.follow_sync(self.record_cursor(after, types, internal))

    def ended_sync(self) -> None:
        """Wait until the terminal record is written, in a thread that may block."""
        self._refuse_to_block()
        waiter = self._log.thread_end_waiter()
        if waiter is None:
            return
        try:
            while not (self.done or waiter.wait(LOST_CHECK)):
                pass
        finally:
            self._log.forget(waiter)

    async def room(self, lead: int) -> None:
        """Wait, as the writer, until no attached reader is `lead` records behind, or more."""
        await self.backpressure.wait_for_slowest(lead)

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
