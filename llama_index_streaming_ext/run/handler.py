"""`StreamingHandler`: upstream's handler, with a log that any number of readers can follow."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Awaitable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from workflows import Context
from workflows.handler import WorkflowHandler

from llama_index_streaming_ext.events import AgentStream, Event, StopEvent
from llama_index_streaming_ext.run.run import Run, find_run
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.outcome import Outcome

if TYPE_CHECKING:
    # For type checkers it is one of upstream's, so that typed code need not change either.
    _Handler = WorkflowHandler
else:
    _Handler = Awaitable


class StreamingHandler(_Handler):
    """A running workflow: awaitable, stoppable, and readable as often as you like.

    It is what `run()` of this package's workflows and agents returns, and what `stream_run` makes
    of the handler of any upstream workflow. `isinstance(handler, WorkflowHandler)` holds, and
    every public member of upstream's handler is here and does what upstream's does.

        async with agent.run(user_msg="Hi") as handler:
            async for text in handler.text_stream():
                print(text, end="")
        print(await handler.outcome())

    Used with `async with`, the block owns the run: leaving it cancels a run that still goes on.
    Without it nothing is cancelled, as upstream does.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._owned = True
        run.handler = weakref.ref(self)

    def __del__(self) -> None:
        # A finalizer of weakref's would hold the run, whose error holds this handler.
        run = getattr(self, "_run", None)
        if run is not None:
            run.report()

    # Ours

    @property
    def upstream(self) -> WorkflowHandler:
        """Upstream's handler of this run."""
        return self._run.upstream

    @property
    def stream(self) -> EventStream:
        """The log of the run."""
        return self._run.stream

    async def outcome(self) -> Outcome:
        """Wait for the end of the run and return how it ended.

        The error of a failed run is returned, never raised.
        """
        return await self.stream.outcome()

    async def text_stream(self) -> AsyncGenerator[str, None]:
        """Read the text of the answer delta by delta, always from the start.

        The text of forwarded inner runs (`forward`) is left out.
        """
        async for record in self.stream.read(types=AgentStream):
            delta = record.event.delta
            if delta and record.origin.run_id is None:
                yield delta

    def detach(self) -> Self:
        """Let the run go on when the scope that started it is left.

        The scope is the `async with` block of this handler, and the run in whose step this one was
        started: the end of the block and the cancellation of that run no longer cancel this one.
        """
        self._owned = False
        self._run.detach()
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.stream.done or not self._owned:
            return
        try:
            await self.cancel_run()
        finally:
            if not self.stream.done:
                self._run.kill()
        await self.stream.ended()

    # Upstream's, one by one: WorkflowHandler.register() inherits nothing

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.upstream.run_id

    @property
    def ctx(self) -> Context[Any]:
        """The workflow context of the run."""
        return self.upstream.ctx

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        stop = await self._run.result()
        return stop.result if type(stop) is StopEvent else stop

    async def stop_event_result(self) -> StopEvent:
        """The stop event of the run; waits for it, and raises what the run raised."""
        return await self._run.result()

    def get_stop_event(self) -> StopEvent | None:
        """Return the stop event of the run, None before it has ended."""
        return self.upstream.get_stop_event()

    def is_done(self) -> bool:
        """Return True if the workflow has ended."""
        return self.upstream.is_done()

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """Read the events of the run as they come.

        As with upstream's handler, one reader gets all events, also late; after a `break` the next
        call goes on after the last event that was read. A second reader beside the first, and
        another pass after the end, get the whole stream; upstream's handler raises, splits the
        events or hangs there. To start at a point of your choice, use `stream.read()`.

        Args:
            expose_internal: also upstream's internal events (`StepStateChanged`, ...).
        """
        return self._run.plain.open(expose_internal)

    async def cancel_run(self, *, timeout: float = 5.0) -> None:
        """Cancel the run and wait until it has ended.

        A step or tool that swallows its cancellation delays the end by no more than `timeout`: the
        stream ends all the same, and a warning is logged.

        Args:
            timeout: seconds to wait for steps that do not obey.
        """
        await self._run.cancel(timeout)

    async def send_event(self, event: Event, step: str | None = None) -> None:
        """Send an event into the workflow.

        Args:
            event: the event.
            step: the step that is to get it; None for every step that accepts it.
        """
        await self.upstream.send_event(event, step)

    def cancel(self) -> None:
        """Deprecated, as upstream's: cancel the run hard. Prefer `await handler.cancel_run()`."""
        self.upstream.cancel()
        self._run.kill()

    def done(self) -> bool:
        """Deprecated, as upstream's: use `is_done()`."""
        return self.upstream.done()

    def exception(self) -> BaseException | None:
        """Deprecated, as upstream's: return the run's error. Prefer `await handler.outcome()`."""
        self.stream.outcome_asked = True
        return self.upstream.exception()

    def cancelled(self) -> bool:
        """Deprecated, as upstream's: return True if the run was cancelled."""
        return self.upstream.cancelled()

    def __str__(self) -> str:
        return str(self.upstream).replace("WorkflowHandler", type(self).__name__, 1)

    __repr__ = __str__


# isinstance(handler, WorkflowHandler) holds, with no private name (U10).
WorkflowHandler.register(StreamingHandler)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue] # ABCMeta's


def stream_run(
    handler: WorkflowHandler | StreamingHandler, *, keep_raw: bool = False
) -> StreamingHandler:
    """Make the run of any upstream workflow readable by many.

    Call it right after `run()`, before anybody reads the handler's events: what was read already
    is gone. A run whose step raises CancelledError on its own account hangs, as it does upstream;
    and a step of a run that is cancelled hard goes on. Runs of this package's classes have neither
    limit.

    Args:
        handler: the handler that `workflow.run()` returned.
        keep_raw: keep the provider's raw chunk of every token, not only of the last one of each
            LLM call.

    Returns:
        The streaming handler of that run; the same one for the same run.

    Raises:
        TypeError: it is no handler.
    """
    if isinstance(handler, StreamingHandler):
        return handler
    if not isinstance(handler, WorkflowHandler):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"stream_run takes what workflow.run(...) returned, not {type(handler).__name__}."
        )
    known = find_run(handler.run_id)
    if known is not None and known.upstream is handler:
        return _handler_of(known)
    return start(handler, keep_raw=keep_raw)


def start(
    upstream: WorkflowHandler,
    *,
    keep_raw: bool = False,
    guarded: bool = False,
    direct: bool = False,
) -> StreamingHandler:
    """Return the streaming handler of a run that has just been started."""
    return StreamingHandler(Run(upstream, keep_raw=keep_raw, guarded=guarded, direct=direct))


def _handler_of(run: Run) -> StreamingHandler:
    handler = run.handler() if run.handler is not None else None
    return handler if isinstance(handler, StreamingHandler) else StreamingHandler(run)
