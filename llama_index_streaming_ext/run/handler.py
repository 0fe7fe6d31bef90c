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
        """Wait for the end and say how it was. Never raises, but for your own cancellation."""
        return await self.stream.outcome()

    async def text_stream(self) -> AsyncGenerator[str, None]:
        """The deltas of the answer, as they come; always from the start.

        What was forwarded from inner runs (`forward`) is not in it.
        """
        async for record in self.stream.read(types=AgentStream):
            delta = record.event.delta
            if delta and record.origin.run_id is None:
                yield delta

    def detach(self) -> Self:
        """Let the run go on when the scope that started it is left.

        That is: when the `async with` block of this handler ends, and when the run in whose step
        this one was started is cancelled.
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
        """The stop event of the run, None before it has ended."""
        return self.upstream.get_stop_event()

    def is_done(self) -> bool:
        """Whether the workflow has completed."""
        return self.upstream.is_done()

    def stream_events(self, expose_internal: bool = False) -> AsyncGenerator[Event, None]:
        """The events of the run, as they come.

        All that works with upstream's works the same: one reader gets everything, also late; after
        a `break` the next call goes on where the last one stopped. Where upstream's raises, splits
        or hangs (a second reader beside the first, another pass after the end), each reader gets
        the whole stream. For a reader that starts at a point of your choice: `stream.read()`.

        Args:
            expose_internal: also upstream's internal events (`StepStateChanged`, ...).
        """
        return self._run.plain.open(expose_internal)

    async def cancel_run(self, *, timeout: float = 5.0) -> None:
        """Cancel the run and wait until it has ended.

        A step or tool that swallows its cancellation is waited for no longer than `timeout`: the
        stream ends all the same, and a warning in the log says so.

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
        """Deprecated, as upstream's: what the run raised. Prefer `await handler.outcome()`."""
        self.stream.outcome_asked = True
        return self.upstream.exception()

    def cancelled(self) -> bool:
        """Deprecated, as upstream's: whether the run was cancelled."""
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
    is gone. A run whose step raises CancelledError on its own account hangs, as it does upstream
    (U5); and a step of a run that is cancelled hard goes on upstream. Runs of this package's
    classes have neither limit.

    Args:
        handler: what `workflow.run()` returned.
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
    """The streaming handler of a run that has just been started."""
    return StreamingHandler(Run(upstream, keep_raw=keep_raw, guarded=guarded, direct=direct))


def _handler_of(run: Run) -> StreamingHandler:
    handler = run.handler() if run.handler is not None else None
    return handler if isinstance(handler, StreamingHandler) else StreamingHandler(run)
