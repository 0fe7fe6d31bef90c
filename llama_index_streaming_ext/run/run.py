"""A run of an upstream workflow, pumped into its log.

Upstream's stream may end early (U6), never (U5), or be read by somebody else (U1). A `Run` reads
it once, for everybody, and races it against the run's result, so that its log always ends.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import weakref
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import Any

from llama_index_instrumentation.dispatcher import active_instrument_tags
from workflows import Context
from workflows.handler import WorkflowHandler

from llama_index_streaming_ext.errors import RunCancelled, RunLost
from llama_index_streaming_ext.events import Event, StopEvent
from llama_index_streaming_ext.llm.observer import CallObserver, RunCalls, observed_by
from llama_index_streaming_ext.run.attempts import Attempts
from llama_index_streaming_ext.run.endings import (
    ending_of,
    ending_said,
    said_both_ways,
    says_status,
    terminal_event,
)
from llama_index_streaming_ext.run.pump import HOLD, Pump
from llama_index_streaming_ext.run.step_writer import writing_straight
from llama_index_streaming_ext.run.stream_events import PlainReaders
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.outcome import Status
from llama_index_streaming_ext.stream.record import Ending
from llama_index_streaming_ext.threads.loops import call_on_loop, on_loop

logger = logging.getLogger("llama_index_streaming_ext")

# Turns of the event loop in which all that was published before a result is certainly in the log.
_SETTLE_TURNS = 3

# Seconds that a run which is not complete waits with its end for `before_end`.
_BEFORE_END = 1.0

_runs: weakref.WeakValueDictionary[str, Run] = weakref.WeakValueDictionary()


@atexit.register
def _report_all() -> None:
    """Log the failures that nobody has asked for, now that the process ends."""
    for run in list(_runs.values()):
        run.report()


def current_run() -> Run | None:
    """Return the run whose step is being executed, None outside of one.

    It is found by the public tag that upstream sets, which also reaches executor threads. A bare
    ContextVar would make a nested child write into its parent's log.
    """
    run_id = active_instrument_tags.get().get("llamaindex.run_id")
    return find_run(run_id) if isinstance(run_id, str) else None


def find_run(run_id: str) -> Run | None:
    """Return the run with an id, None if this process has none (any more)."""
    return _runs.get(run_id)


class Run:
    """One run: upstream's handler, the log that it is pumped into, and how to end it.

    Args:
        upstream: the handler of a run that has just been started.
        keep_raw: as for `EventStream`.
        guarded: whether the steps of this run are ours, so that `kill` reaches them.
        direct: whether what its steps write may go straight into the log.

    Attributes:
        upstream: upstream's handler.
        stream: the log.
        loop: the event loop that the run lives on.
        handler: the handler that users have, weakly.
        guarded: as given.
        pump: the way of the events into the log.
        plain: the readers that `stream_events()` gives.
        llm_calls: the LLM calls that its steps make.
        attempts: how often its steps were begun with the same input.
        before_end: awaited before the terminal record of a run that is not complete is written,
            with the status that the record will say.
    """

    def __init__(
        self,
        upstream: WorkflowHandler,
        *,
        keep_raw: bool = False,
        guarded: bool = False,
        direct: bool = False,
    ) -> None:
        self.upstream = upstream
        self.stream = EventStream(upstream.run_id, keep_raw=keep_raw)
        self.loop = asyncio.get_running_loop()
        self.guarded = guarded
        self.handler: weakref.ref[Any] | None = None
        self._shutting_down = False
        self.pump = Pump(self.stream, direct=direct)
        self.pump.on_end = self._end_soon
        self.before_end: Callable[[Status], Awaitable[None]] | None = None
        self._preparing_end: asyncio.Task[None] | None = None
        self.plain = PlainReaders(self.stream)
        self.llm_calls = RunCalls()
        self.attempts = Attempts()
        self._steps: set[asyncio.Task[Any]] = set()
        self._children: weakref.WeakSet[Run] = weakref.WeakSet()
        self._parent: weakref.ref[Run] | None = None
        self._cancelling: set[asyncio.Task[Any]] = set()
        self.stream.written_on(self.loop, self._finish)
        self._join_parent()
        self.plain.stand_in_for(upstream.ctx)
        _runs[upstream.run_id] = self
        self._result: asyncio.Task[StopEvent] = asyncio.create_task(upstream.stop_event_result())
        self._supervisor = asyncio.create_task(self._supervise())

    # What the handler needs

    async def result(self) -> StopEvent:
        """Return upstream's stop event, or raise what upstream raises.

        Being cancelled here cancels the run, as upstream does, but at once and with all its steps.
        """
        self.stream.outcome_asked = True
        ended = self.loop.create_task(self.stream.ended())
        try:
            await asyncio.wait({self._result, ended}, return_when="FIRST_COMPLETED")
        except asyncio.CancelledError:
            if not self._result.done():
                self.kill()
                # The end is written before whoever has cancelled goes on.
                await asyncio.wait({self._supervisor}, timeout=_BEFORE_END)
            raise
        finally:
            ended.cancel()
            if self._result.done():
                # When this is over, nothing of the run is left that would keep its id.
                await asyncio.wait({self._supervisor})
        error = self.stream.error
        if not self._result.done() and error is not None:
            raise error  # a step does not obey its cancellation, so upstream has no result
        return await asyncio.shield(self._result)

    def kill(self) -> None:
        """Cancel the run hard: its task, and its steps, which upstream leaves running (U5)."""
        if not on_loop(self.loop):
            call_on_loop(self.loop, self.kill)
            return
        self._cancel_steps()
        self._result.cancel()
        # Cancelled hard, upstream forgets the task that waits for its mail; any mail ends it.
        self.upstream.ctx.send_event(Event())

    def _cancel_steps(self) -> None:
        for step in list(self._steps):
            # Cancelled once is enough: twice would break off a step's own cleaning up.
            if not step.cancelling():
                step.cancel()

    async def cancel(self, timeout: float) -> None:
        """Cancel the run as upstream does, and wait until its log has ended.

        Args:
            timeout: seconds to wait for steps that do not obey.
        """
        cancelling = self.loop.create_task(self.upstream.cancel_run(timeout=timeout))
        self._keep_until_done(cancelling)
        ended = self.loop.create_task(self.stream.ended())
        try:
            await asyncio.wait({cancelling}, timeout=timeout)
            if cancelling.done() and not self.upstream.is_done():
                return
            await asyncio.wait({ended}, timeout=HOLD + _BEFORE_END)
        finally:
            ended.cancel()
        if not self._result.done():
            logger.warning(
                "Run '%s' is cancelled, but a step of it goes on: it has swallowed its "
                "CancelledError. Steps and tools must raise it again.",
                self.upstream.run_id,
            )

    def detach(self) -> None:
        """Go on when the run in whose step this one was started is cancelled."""
        parent = self._parent() if self._parent is not None else None
        if parent is not None:
            parent._children.discard(self)
        self._parent = None

    @contextmanager
    def working(self) -> Generator[None, None, None]:
        """Register the current task as one that executes a step of this run.

        It is cancelled with the run, and the tokens that the step writes go straight into the log.
        """
        task = asyncio.current_task()
        if task is None or task in self._steps:
            # A step that calls the one it overrides.
            yield
            return
        self._steps.add(task)
        try:
            with self.writing():
                yield
        finally:
            self._steps.discard(task)

    @contextmanager
    def writing(self) -> Generator[None, None, None]:
        """Send the events and the LLM calls of the current step into the log."""
        ctx = Context.get_step_context()
        writing = writing_straight(ctx, self.pump, self.loop) if self.pump.direct else nullcontext()
        with writing:
            # Looked up now: while it is written straight, the context's method is another one.
            write, room = ctx.write_event_to_stream, self.stream.room
            with observed_by(CallObserver(self.upstream.run_id, write, self.llm_calls, room)):
                yield

    # The pump

    async def _supervise(self) -> None:
        """Pump until upstream has a result, and see that the log ends with it."""
        pumping = asyncio.create_task(self.pump.run(self.upstream.ctx))
        try:
            await asyncio.wait({self._result})
            await self._settle(pumping)
            await self._prepare_end()
            self._finish()
            pumping.cancel()
            await asyncio.wait({pumping})
        except asyncio.CancelledError:
            # The loop is being shut down (asyncio.run cancels every task).
            self._shutting_down = True
            self.kill()
            await self._prepare_end()
            raise
        finally:
            self._finish()
            # A lost run is cleaned up by the garbage collector, when its loop is long closed.
            if not self.loop.is_closed():
                pumping.cancel()
                pumping.add_done_callback(_report_a_broken_pump)

    async def _settle(self, pumping: asyncio.Task[None]) -> None:
        """Wait until all that was published before the result is in the log."""
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)
        stop_came = self.pump.stop_came
        if self._result.cancelled() or stop_came.is_set() or pumping.done():
            return
        # Runtimes that publish over a network may be late with the last event.
        waiting = asyncio.create_task(stop_came.wait())
        await asyncio.wait({waiting, pumping}, timeout=HOLD, return_when="FIRST_COMPLETED")
        waiting.cancel()

    # The end

    def _end_soon(self) -> None:
        """End a run whose result does not come, once what is due before the end is done."""
        if self.before_end is None:
            self._finish()
        else:
            ending = self.loop.create_task(self._prepare_end())
            ending.add_done_callback(lambda _: self._finish())
            self._keep_until_done(ending)

    async def _prepare_end(self) -> None:
        """Do what is due before the terminal record of a run that is not complete, once."""
        if self.before_end is None or self.stream.closed:
            return
        if self._preparing_end is None:
            status = self._ending().status
            if status == "completed":
                return
            # Nothing more is to be said behind what is written now.
            self._cancel_steps()
            self._preparing_end = self.loop.create_task(self._call_before_end(status))
        await asyncio.wait({self._preparing_end}, timeout=_BEFORE_END)

    async def _call_before_end(self, status: Status) -> None:
        assert self.before_end is not None
        try:
            await self.before_end(status)
        except Exception:
            logger.exception("Run '%s' has ended, but not as it should", self.upstream.run_id)

    def _keep_until_done(self, task: asyncio.Task[Any]) -> None:
        """Hold a task that nobody else holds, so that it is not collected."""
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    def _finish(self) -> None:
        """Write the terminal record, once."""
        if self.stream.closed:
            return
        self.pump.on_end = None
        ending = self._ending()
        last = self.pump.settle(lambda held: self._announces(held, ending))
        last = last or terminal_event(ending)
        self.pump.break_off_calls(self.llm_calls.broken_off())
        self.stream.close(said_both_ways(last), ending)
        self._after(ending)

    def _after(self, ending: Ending) -> None:
        """Stop everything that works for the log, which is closed now."""
        if ending.status == "lost":
            return
        self._cancel_steps()
        if ending.status != "completed":
            for child in list(self._children):
                child.cancel_soon()
        if self.handler is None or self.handler() is None:
            self.report()

    def cancel_soon(self) -> None:
        """Cancel the run from synchronous code: hard where its steps obey, else as users do."""
        if self.stream.done:
            return
        if not on_loop(self.loop):
            call_on_loop(self.loop, self.cancel_soon)
            return
        if self.guarded:
            self.kill()
            return
        self._keep_until_done(self.loop.create_task(self.upstream.cancel_run()))

    def report(self) -> None:
        """Log a failure that nobody has asked for, once (U4: upstream says nothing at all)."""
        error = self.stream.failure
        if error is None or self.stream.outcome_asked:
            return
        self.stream.outcome_asked = True
        logger.error(
            "Run '%s' failed, and nobody asked for its outcome: %r",
            self.upstream.run_id,
            error,
            exc_info=error,
        )

    def _ending(self) -> Ending:
        """Return how the run has ended, or ends now if upstream has no result."""
        result, said = self._result, self.pump.last_stop
        if result.done():
            return ending_of(result, said, self.upstream.run_id)
        if self.loop.is_closed():
            return Ending("lost", error=RunLost(self.upstream.run_id))
        if said is None or self._shutting_down:
            return Ending("cancelled", error=RunCancelled(self.upstream.run_id))
        return ending_said(said)

    def _announces(self, held: StopEvent, ending: Ending) -> bool:
        """Return True if a streamed StopEvent is the one that the run ended with."""
        if ending.status != "completed":
            return says_status(held, ending.status)
        # Other runtimes than the basic one hand out copies.
        if not self._result.done():
            return True
        stop = self._result.result()
        return held is stop or (type(held) is type(stop) and not self.pump.behind)

    def _join_parent(self) -> None:
        """Let a run that is started inside another run's step be cancelled with it."""
        parent = current_run()
        if parent is not None and not parent.stream.done:
            parent._children.add(self)
            self._parent = weakref.ref(parent)


def _report_a_broken_pump(pumping: asyncio.Task[None]) -> None:
    if not pumping.cancelled() and pumping.exception() is not None:
        logger.error("Upstream's stream cannot be read", exc_info=pumping.exception())
