"""Recording streams: `record` for all that is asynchronous, `record_sync` for the rest."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
)
from typing import Any, TypeGuard, cast

from workflows.errors import WorkflowCancelledByUser, WorkflowTimeoutError
from workflows.handler import WorkflowHandler

from llama_index_streaming_ext.events import (
    Event,
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.outcome import Outcome, Status
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.testing.recording.recording import Origin, Recording, outcome_of
from llama_index_streaming_ext.testing.recording.timeline import kind_of

# Upstream publishes the last event after the result: by turns of the loop, and, where it cleans up,
# by up to half a second.
_GRACE = 1.0

# They can be iterated, but are no streams.
_NO_STREAMS: tuple[type[Any], ...] = (str, bytes, Mapping)
_SYNC_HINT = " Use record_sync(...) for what streams synchronously."
_ASYNC_HINT = " Use `await record(...)`."

_SAID: dict[type[StopEvent], Status] = {
    WorkflowCancelledEvent: "cancelled",
    WorkflowFailedEvent: "failed",
    WorkflowTimedOutEvent: "timed_out",
}


async def record(
    source: Any, *, timeout: float | None = None, raise_errors: bool = False
) -> Recording:
    """Read a stream to its end, and keep what it gave, when, and how it ended.

    Args:
        source: a `StreamingHandler` or an `EventStream` (whose whole log is recorded, whoever else
            reads it); the handler of an upstream workflow that nobody has read yet; a response of
            a query or chat engine that streams asynchronously; any async iterator of events,
            records, an LLM's chunks or strings; or what gives one of these when it is awaited, such
            as `llm.astream_chat(...)`: then its time counts as well.
        timeout: seconds after which the recording gives up: its outcome is `lost`, its error a
            `TimeoutError`. A run that is recorded goes on. None waits for ever.
        raise_errors: raise what the source raised, instead of keeping it in `error`.

    Raises:
        TypeError: the source does not stream asynchronously.

    Example:
        >>> rec = await record(agent.run(user_msg="How is the weather?"))
        >>> rec.outcome.status, rec.text
        ('completed', 'It is sunny.')
    """
    taken = _Taken()
    try:
        async with asyncio.timeout(timeout):
            await _record(source, taken)
    except TimeoutError:
        error = TimeoutError(f"The stream had not ended after {timeout} s.")
        taken.ended("lost", error=error)
    return taken.recording(raise_errors)


def record_sync(source: Any, *, raise_errors: bool = False) -> Recording:
    """Read a stream that is not asynchronous to its end, as `record` does.

    Args:
        source: a response of a query or chat engine that streams, or any iterable of an LLM's
            chunks, strings, events or records.
        raise_errors: raise what the source raised, instead of keeping it in `error`.

    Raises:
        TypeError: the source does not stream, or does so asynchronously.

    Example:
        >>> record_sync(llm.stream_complete("How is the weather?")).deltas
        ['It is', ' sunny.']
    """
    taken = _Taken()
    items = _iterable_of(source)
    taken.source = kind_of(source)
    try:
        for item in items:
            taken.add(item)
    except Exception as error:
        taken.ended("failed", error=error)
    return taken.recording(raise_errors)


class _Taken:
    """The items that were taken from a source so far."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.times: list[float] = []
        self.origin: Origin | None = None
        self.source = "nothing"
        self.stream: EventStream | None = None
        self.outcome: Outcome | None = None
        self._start = _now()
        self._started = time.time()
        self._ending: tuple[Status, Any, BaseException | None] | None = None

    @property
    def over(self) -> bool:
        """True if it is known how the source ended."""
        return self._ending is not None

    def add(self, item: Any, seconds: float | None = None) -> None:
        """Keep an item.

        Args:
            item: a record, an event, a chunk or a string.
            seconds: when it was written, since the start of the run; None: now.
        """
        since = _now() - self._start if seconds is None else seconds
        if isinstance(item, Record):
            record = cast("Record", item)
            self._from("records")
        else:
            record = Record(len(self.records) + 1, self._started + since, item)
            self._from(_origin_of(item))
        self.records.append(record)
        self.times.append(since)

    def ended(
        self, status: Status, *, result: Any = None, error: BaseException | None = None
    ) -> None:
        """Note how the source ended; what is said first holds."""
        if self._ending is None:
            self._ending = (status, result, error)

    @contextlib.contextmanager
    def keeping(self) -> Generator[None]:
        """Keep what the source raises; the cancellation of the recording itself goes through."""
        try:
            yield
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self.ended("cancelled", error=error)
        except Exception as error:
            self.ended("failed", error=error)

    def recording(self, raise_errors: bool) -> Recording:
        """The recording; raises the error instead if that is wanted."""
        if self.outcome is None or self.over:
            self.outcome = self._own_outcome()
        if raise_errors and self.outcome.error is not None:
            raise self.outcome.error
        return Recording(
            self.records,
            self.outcome,
            self.times,
            origin=self.origin or "text",
            source=self.source,
            stream=self.stream,
        )

    def _own_outcome(self) -> Outcome:
        last = self.records[-1].event if self.records else None
        status, result, error = self._ending or _ending_said(last)
        return outcome_of(
            self.records,
            status,
            result=result,
            error=error,
            started=self.stream.started if self.stream is not None else self._started,
            seconds=_now() - self._start if self.stream is None else None,
        )

    def _from(self, origin: Origin) -> None:
        # A mixed stream is what the first item says, but that events count for more than text.
        if self.origin is None or (self.origin in ("text", "chunks") and origin == "events"):
            self.origin = origin


async def _record(source: Any, taken: _Taken) -> None:
    if _is_plain_awaitable(source):
        with taken.keeping():
            source = await source
        if taken.over:
            return
    follow = _way_to_follow(source)
    taken.source = kind_of(source)
    await follow(source, taken)


def _is_plain_awaitable(source: Any) -> TypeGuard[Awaitable[Any]]:
    """Return True if awaiting a source gives the stream; awaiting a handler gives its result."""
    return inspect.isawaitable(source) and not hasattr(source, "stream_events")


def _way_to_follow(source: Any) -> Callable[[Any, _Taken], Awaitable[None]]:
    if log_of(source) is not None:
        return _follow_log
    if hasattr(source, "stream_events") and hasattr(source, "stop_event_result"):
        return _follow_upstream
    if _is_chat_of(source, "chat_stream", "achat_stream"):
        hint = _SYNC_HINT
    elif callable(getattr(source, "async_response_gen", None)) or hasattr(source, "__aiter__"):
        return _follow_items
    else:
        is_sync = hasattr(source, "response_gen") or hasattr(source, "__iter__")
        hint = _SYNC_HINT if is_sync and not isinstance(source, _NO_STREAMS) else ""
    raise TypeError(f"A {kind_of(source)} does not stream asynchronously.{hint}")


def _is_chat_of(source: Any, has: str, has_not: str) -> bool:
    """Return True if a chat engine's response streams in one way only; the other hangs."""
    return getattr(source, has, None) is not None and getattr(source, has_not, None) is None


def log_of(source: Any) -> EventStream | None:
    """The log of a source, None where it has none."""
    stream = source if isinstance(source, EventStream) else getattr(source, "stream", None)
    return stream if isinstance(stream, EventStream) else None


async def _follow_log(source: Any, taken: _Taken) -> None:
    stream = log_of(source)
    assert stream is not None
    taken.stream = stream
    taken.origin = "log"
    with taken.keeping():
        async with contextlib.aclosing(stream.read(internal=True)) as records:
            async for item in records:
                taken.add(item, item.ts - stream.started)
        taken.outcome = await stream.outcome()


async def _follow_items(source: Any, taken: _Taken) -> None:
    has_generator = callable(getattr(source, "async_response_gen", None))
    items: AsyncIterator[Any] = source.async_response_gen() if has_generator else aiter(source)
    async with contextlib.AsyncExitStack() as stack:
        if hasattr(items, "aclose"):
            stack.push_async_callback(cast("AsyncGenerator[Any]", items).aclose)
        with taken.keeping():
            async for item in items:
                taken.add(item)


async def _follow_upstream(handler: WorkflowHandler, taken: _Taken) -> None:
    taken.origin = "handler"
    # Waited for, not awaited: cancelling who awaits upstream's result cancels the run.
    result = asyncio.ensure_future(handler.stop_event_result())
    result.add_done_callback(_look_at)
    with taken.keeping():
        async with contextlib.aclosing(handler.stream_events(expose_internal=True)) as events:
            async for event in _until_over(events, result):
                taken.add(event)
    if taken.over:
        return
    await asyncio.wait({result})
    _end_of_upstream(result, taken)


async def _until_over(
    events: AsyncGenerator[Event], result: asyncio.Future[StopEvent]
) -> AsyncGenerator[Event]:
    """The events of a stream that may never end although the run has."""
    while True:
        event = asyncio.ensure_future(anext(events, None))
        try:
            await asyncio.wait({event, result}, return_when="FIRST_COMPLETED")
            if not event.done():
                await asyncio.wait({event}, timeout=_GRACE)
        finally:
            # Also where the recording is cancelled: a reader that stays would take events away.
            if not event.done():
                event.cancel()
                await asyncio.wait({event})
        if event.cancelled() or (came := event.result()) is None:
            return
        yield came


def _look_at(result: asyncio.Future[StopEvent]) -> None:
    """Retrieve an exception, so that asyncio does not say that nobody did."""
    if not result.cancelled():
        result.exception()


def _end_of_upstream(result: asyncio.Future[StopEvent], taken: _Taken) -> None:
    """Note how an upstream run ended, and which record says so."""
    last = taken.records[-1] if taken.records else None
    error = asyncio.CancelledError() if result.cancelled() else result.exception()
    if error is not None:
        status = _status_of(error, last.event if last is not None else None)
        ended = last is not None and _said_by(last.event) == status
        taken.ended(status, error=error)
    else:
        stop = result.result()
        ended = last is not None and _is_same(last.event, stop)
        said = _said_by(stop)
        taken.ended(said or "completed", result=stop.result if type(stop) is StopEvent else stop)
    if ended:
        taken.records[-1] = taken.records[-1]._replace(terminal=True)


def _status_of(error: BaseException, last: Any) -> Status:
    said = _said_by(last)
    if said is not None:
        return said
    if isinstance(error, WorkflowCancelledByUser | asyncio.CancelledError):
        return "cancelled"
    return "timed_out" if isinstance(error, WorkflowTimeoutError) else "failed"


def _said_by(event: Event | None) -> Status | None:
    """Return the status of a run whose last event is upstream's own report of its end."""
    return next((status for cls, status in _SAID.items() if isinstance(event, cls)), None)


def _is_same(event: Event, stop: StopEvent) -> bool:
    """Return True if a streamed event is the last of the run; some runtimes give copies."""
    return event is stop or (type(event) is type(stop) and event == stop)


def _ending_said(last: Any) -> tuple[Status, Any, BaseException | None]:
    """Return the status of a bare iterator, judged by its last event alone."""
    if isinstance(last, WorkflowFailedEvent):
        return "failed", None, last.exception
    if isinstance(last, WorkflowTimedOutEvent):
        return "timed_out", None, None
    if isinstance(last, WorkflowCancelledEvent):
        return "cancelled", None, None
    return "completed", last.result if isinstance(last, StopEvent) else None, None


def _iterable_of(source: Any) -> Iterable[Any]:
    is_async = (
        _is_chat_of(source, "achat_stream", "chat_stream")
        or log_of(source) is not None
        or hasattr(source, "stream_events")
        or inspect.isawaitable(source)
    )
    items: Any = None if is_async else getattr(source, "response_gen", source)
    if not isinstance(items, _NO_STREAMS) and hasattr(items, "__iter__"):
        return items
    hint = _ASYNC_HINT if is_async or hasattr(items, "__aiter__") else ""
    raise TypeError(f"A {kind_of(source)} does not stream synchronously.{hint}")


def _origin_of(item: Any) -> Origin:
    if isinstance(item, Event):
        return "events"
    return "chunks" if not isinstance(item, str) and hasattr(item, "delta") else "text"


def _now() -> float:
    """Seconds, by the running loop's clock, which tests may have set."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()
