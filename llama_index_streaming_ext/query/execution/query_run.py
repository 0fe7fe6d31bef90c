"""One query: its log, the engine at work on it, and how it is stopped."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.events import Event, Incomplete, LLMCallFinished, QueryStarted
from llama_index_streaming_ext.llm.call import incomplete_error
from llama_index_streaming_ext.llm.observer import RunCalls
from llama_index_streaming_ext.query.context.call_tree import Work
from llama_index_streaming_ext.query.execution.answer import (
    CoreAnswer,
    deltas,
    deltas_sync,
    is_by_core,
    object_of,
    text_of,
)
from llama_index_streaming_ext.query.execution.endings import failed, finished, lost, stopped
from llama_index_streaming_ext.query.execution.engine_task import EngineTask
from llama_index_streaming_ext.query.tracing.instrumentation import tracking
from llama_index_streaming_ext.stream.deltas import AnswerText, DeltaSeries
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.record import Ending
from llama_index_streaming_ext.stream.usage_totals import UsageTotals
from llama_index_streaming_ext.threads.background_loop import refuse_on_background_loop
from llama_index_streaming_ext.threads.gate import Gate
from llama_index_streaming_ext.threads.stop_signal import StopSignal

# How long a stopped query is waited for, seconds: what its engine does in user code cannot be
# broken off, and its log is closed anyway.
_PATIENCE = 5.0


class QueryRun:
    """One query.

    Args:
        question: what is asked.
        engine: the class of the engine that is asked.
        max_lead: how many records the answer may be ahead of the reader that has come furthest.
        on_incomplete: `"raise"` to fail on an answer that is not whole, `"event"` to say so only.
        verbatim: whether the engine is known to give what the LLM says as its answer, so that it
            can be written as the LLM says it.

    Attributes:
        stream: its log.
        answer: the deltas of the answer in it.
        work: the tree of its work.
        calls: its LLM calls.
        stop_signal: stops its LLM calls.
        answering: whether the engine has given back its response, whose text is still to come.
        said_by_call: whether an LLM call that begins then is known to say that text.
        sources: what the answer is drawn from, known before its first token.
        metadata: what the engine says besides.
        object: the structured answer, None where there is none.
        error: what it failed with, or that it was stopped; None if it has finished, and before.
    """

    def __init__(
        self,
        question: str,
        engine: str,
        *,
        max_lead: int = 64,
        on_incomplete: str = "raise",
        verbatim: bool = False,
    ) -> None:
        self.id = f"query-{uuid.uuid4().hex[:12]}"
        self.stream = EventStream(self.id)
        self.stop_signal = StopSignal()
        self.work = Work(self.write, self.id)
        self.calls = RunCalls()
        self.answering = False
        self.sources: list[NodeWithScore] = []
        self.metadata: dict[str, Any] | None = None
        self.object: Any = None
        self.error: BaseException | None = None
        self._question = question
        self._engine = engine
        self.max_lead = max_lead
        self._verbatim = verbatim
        self._taken = False
        self._core_answer = CoreAnswer()
        self._tally = UsageTotals()
        self._began = False
        self._on_incomplete = on_incomplete
        self._incomplete: Incomplete | None = None
        self.said_by_call = verbatim
        self.answer = AnswerText(self.id)
        # Several threads may write: the engine's, and those that its LLM calls are made in.
        self._writing = threading.Lock()
        self._ready = Gate()
        self._over = Gate()
        self._task: EngineTask | None = None
        self._allowed = 0

    # Starting

    def start_in_task(self, ask: Callable[[], Awaitable[Any]]) -> None:
        """Let an async engine work, in a task of its own on the running loop."""
        self._task = EngineTask(self._run(ask), self.id, self._task_over)
        # Who waits in the loop's own thread, or for a loop that was closed, is told.
        self.stream.written_on(self._task.loop, self._lost)

    def start_in_thread(self, ask: Callable[[], Any]) -> None:
        """Let a sync engine work, in a thread of its own, in a copy of this context."""
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._run_sync, ask), name=self.id, daemon=True
        ).start()

    async def ready(self) -> None:
        """Wait until the answer's LLM call has begun. Raises what the query failed with before."""
        try:
            await self._ready.wait()
        except asyncio.CancelledError:
            self.stop()
            await self.stopped()
            raise
        self._raise_if_nothing_came()

    def ready_sync(self) -> None:
        """Wait until the answer begins, in a thread that may block; Ctrl-C stops the query."""
        try:
            self._ready.wait_sync()
        except BaseException:
            self.stop()
            self.stopped_sync()
            raise
        self._raise_if_nothing_came()

    def _raise_if_nothing_came(self) -> None:
        if self.error is not None and not self.answer.deltas:
            raise self.error

    # Reading

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(list(self.answer.deltas))

    @property
    def done(self) -> bool:
        """True if the query has ended, in whatever way."""
        return self.stream.closed

    async def wait(self) -> None:
        """Wait until it has ended, however much is unread."""
        self.stream.backpressure.lift()
        await self.stream.ended()

    def wait_sync(self) -> None:
        """Wait for the end, in a thread that may block."""
        if not self.done:
            refuse_on_background_loop()
        self.stream.backpressure.lift()
        self.stream.ended_sync()

    # Stopping

    def stop(self) -> None:
        """Stop it at once, from any thread. Whoever reads it is told."""
        self._close(*stopped(self.id, self.text))
        self.stop_signal.stop()
        self.stream.backpressure.lift()
        if self._task is not None:
            self._task.cancel()

    async def stopped(self) -> None:
        """Wait until its engine has stopped working, for a few seconds at most."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._over.wait()
        except TimeoutError:
            return

    def stopped_sync(self, timeout: float = _PATIENCE) -> None:
        """Wait until a stopped query is at rest, in a thread that may block.

        Args:
            timeout: seconds to wait at most.
        """
        self._over.wait_sync(timeout)

    def abandon(self) -> None:
        """Nobody holds the response any more: stop it if nobody reads it either."""
        # When the interpreter goes, no thread can be started any more, and none is needed.
        if self.done or self.stream.backpressure.cursors or sys.is_finalizing():
            return
        # It is the garbage collector that calls, perhaps in a thread that is just writing to the
        # log and holds its lock: so it is stopped elsewhere.
        with suppress(RuntimeError):  # the loop, or the interpreter, may be shutting down
            if self._task is not None:
                self._task.loop.call_soon_threadsafe(self.stop)
            else:
                threading.Thread(target=self.stop, daemon=True).start()

    # What the LLM calls tell

    def write(self, event: Event) -> None:
        """Write an event into the log."""
        with self._writing:
            self.stream.append(event)
            if isinstance(event, LLMCallFinished):
                # A snapshot would go through all tokens for it.
                self._tally.finished(event)

    def write_delta(self, series: DeltaSeries, delta: str) -> None:
        """Write a delta into the log."""
        with self._writing:
            self.stream.append_delta(series, delta)

    def takes_answer(self, call_id: str, parent_id: str | None) -> bool:
        """Return True, once, if a call that begins now writes the answer word for word."""
        with self._writing:
            if not self.said_by_call or self._taken or self.answer.deltas:
                return False
            # Also where it is the engine that hands on what the call says.
            self.answer.call_id, self.answer.parent_id = call_id, parent_id
            self._taken = self._verbatim
            return self._taken

    def write_answer(self, delta: str) -> None:
        """Write a delta of the answer into the log."""
        with self._writing:
            self.stream.append_delta(self.answer, delta)
        if not self._began:
            self._began = True
            self._ready.open()

    def has_room(self) -> bool:
        """Return True if the answer's readers are certainly near enough."""
        return self.stream.last_seq < self._allowed and not self.stop_signal.stopped

    async def room(self) -> int:
        """Wait until the answer's readers have come near enough, and say for how many more."""
        lead, seq = self.stream.backpressure, self.stream.last_seq
        if seq < self._allowed:
            # Readers who let tokens come together are told before the writer must wait for them.
            lead.wake_here()
            return self._allowed - seq - 1
        self._allowed = await lead.wait_for_fastest(self.max_lead)
        left = self._allowed - seq
        return left - left // 4 - 1

    def room_sync(self) -> None:
        """Wait for room, in a thread that may block."""
        self.stop_signal.check()
        if self.stream.last_seq >= self._allowed:
            self._allowed = self.stream.backpressure.wait_for_fastest_sync(self.max_lead)

    def answer_began(self) -> None:
        """The LLM that writes the answer has taken the call."""
        self._ready.open()

    def answer_incomplete(self, event: Incomplete) -> None:
        """The answer is not whole."""
        self._incomplete = event

    # The engine at work

    async def _run(self, ask: Callable[[], Awaitable[Any]]) -> None:
        try:
            self._started()
            with tracking(self.work):
                response = await ask()
                await self._show(response)
            self._finish(response)
        except BaseException as error:
            self._failed(error)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise

    def _task_over(self, cancelled: bool) -> None:
        if cancelled:
            self._failed(asyncio.CancelledError())
        self._ready.open()
        self._over.open()

    def _lost(self) -> None:
        """The event loop was closed while the engine was at work on it."""
        self._close(*lost(self.id))
        self._over.open()

    def _run_sync(self, ask: Callable[[], Any]) -> None:
        try:
            self._started()
            with tracking(self.work):
                response = ask()
                self._show_sync(response)
            self._finish(response)
        except BaseException as error:
            # The thread ends with the query; whoever reads it is told.
            self._failed(error)
        finally:
            self._ready.open()
            self._over.open()

    def _started(self) -> None:
        self.write(QueryStarted(call_id=self.id, query=self._question, engine=self._engine))

    async def _show(self, response: Any) -> None:
        """Write what a response says, as it comes."""
        self._answered(response)
        reading = deltas(response)
        try:
            async for delta in reading:
                self._token(delta)
                if not self.has_room():
                    await self.room()
        finally:
            await reading.aclose()

    def _show_sync(self, response: Any) -> None:
        """Write the answer of a sync engine, in its thread."""
        self._answered(response)
        reading = deltas_sync(response)
        try:
            for delta in reading:
                self._token(delta)
                self.room_sync()
        finally:
            reading.close()

    def _answered(self, response: Any) -> None:
        """The engine has given back its response, whose text may still be to come."""
        self.sources = list(getattr(response, "source_nodes", None) or [])
        self.metadata = getattr(response, "metadata", None)
        self.object = object_of(response)
        if self._verbatim and not is_by_core(response):
            self._verbatim = self.said_by_call = False
        self.answering = True
        if text_of(response) is not None:
            self._ready.open()

    def _token(self, delta: str) -> None:
        """The engine gives a piece of the answer, of which some may be written already."""
        if self._taken:
            delta = self._core_answer.unwritten(delta, self.text)
        if delta:
            self.write_answer(delta)

    def _finish(self, response: Any) -> None:
        incomplete = self._incomplete
        if incomplete is not None and self._on_incomplete == "raise":
            raise incomplete_error(incomplete)
        self.sources = list(getattr(response, "source_nodes", None) or []) or self.sources
        if not self.answer.deltas:
            # An answer without text (no_text) is an answer all the same.
            self.write_answer("")
        text = self.text
        self._core_answer.compare(self.id, text)
        usage = self._tally.usage(done=False)
        self._close(*finished(self.id, text, self.sources, usage))

    def _failed(self, error: BaseException) -> None:
        self._close(*failed(self.id, self.text, error))

    def _close(self, event: Event, ending: Ending) -> None:
        with self._writing:
            if not self.stream.closed:
                self.error = ending.error
                for broken_off in self.calls.broken_off():
                    self.stream.append(broken_off)
                self.stream.close(event, ending)
        self._ready.open()
