"""One event loop per process, in a thread of its own, for the LLM calls of sync queries.

What a task waits for can be cancelled; what a thread waits for cannot. So a sync query lives in a
thread, and only the I/O of its LLM calls is done here.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from functools import partial
from typing import Any, Generic, TypeVar

from llama_index_streaming_ext.errors import LoopClosed, StreamingError
from llama_index_streaming_ext.threads.loops import call_on_loop

T = TypeVar("T")

# How long the end of the interpreter waits for tasks that do not end when cancelled, in seconds.
_PATIENCE = 2.0


class WouldDeadlock(StreamingError, RuntimeError):
    """The background loop was asked to wait for itself."""

    def __init__(self) -> None:
        super().__init__(
            "A sync call of an LLM was made on the event loop that such calls run on, so it would "
            "wait for itself for ever. Await the async method (achat, aquery, ...) there."
        )


class LoopTask(Generic[T]):
    """A coroutine that runs on the background loop, as other threads see it.

    It is made by a LoopThread.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Coroutine[Any, Any, T]],
        running: set[LoopTask[Any]],
    ) -> None:
        self._loop = loop
        self._make: Callable[[], Coroutine[Any, Any, T]] | None = make
        self._running = running
        self._task: asyncio.Task[None] | None = None
        self._begun = False
        self._cancelled = False
        self._outcome: Future[T] = Future()
        # Running, or else cancelling one who waits for it would cancel it for all.
        self._outcome.set_running_or_notify_cancel()

    @property
    def done(self) -> bool:
        """True if it has ended."""
        return self._outcome.done()

    @property
    def begun(self) -> bool:
        """True if `begin` was called."""
        return self._begun

    def begin(self, context: Context) -> None:
        """Run it; from any thread.

        Args:
            context: the context to run it in, which nothing else may be running in: a copy.

        Raises:
            LoopClosed: the loop is closed.
        """
        self._begun = True
        # Before it is scheduled: what is scheduled on a loop that ends is never run.
        self._running.add(self)
        try:
            self._loop.call_soon_threadsafe(self._start, context)
        except RuntimeError as error:
            self.abandon()
            raise _gone() from error

    def cancel(self) -> None:
        """Cancel it at once, from any thread. Do not wait until it has ended.

        Doing so again does nothing: a second cancellation would break off what the first has
        begun. HTTP clients would leave the connection open then, for nothing shields them.
        """
        if not self.done:
            call_on_loop(self._loop, self._cancel)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; False if it has not in that time.

        Args:
            timeout: the longest time to wait, in seconds.
        """
        try:
            self._outcome.exception(timeout)
        except TimeoutError:
            return False
        return True

    def result(self, timeout: float | None = None) -> T:
        """Wait for its result.

        Args:
            timeout: the longest time to wait, in seconds.

        Raises:
            TimeoutError: it has not ended in that time.
            asyncio.CancelledError: it was cancelled.
            BaseException: what it raised.
        """
        try:
            return self._outcome.result(timeout)
        finally:
            # An error has this frame in its traceback: no cycle.
            del self

    def on_done(self, callback: Callable[[BaseException | None], object]) -> None:
        """Has `callback` called when it has ended, in whatever thread; at once if it has.

        Args:
            callback: it gets what the task has raised, or None.
        """
        self._outcome.add_done_callback(lambda ended: callback(ended.exception()))

    def abandon(self) -> None:
        """End it without having run it to its end. For a loop that is no more."""
        self._end(partial(self._outcome.set_exception, _gone()))

    # In the loop

    def _start(self, context: Context) -> None:
        self._task = self._loop.create_task(self._run(), context=context)
        self._task.add_done_callback(self._settle)

    def _cancel(self) -> None:
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    async def _run(self) -> None:
        assert self._make is not None
        try:
            result = await self._make()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Not through the task: KeyboardInterrupt and SystemExit would end the loop, and with
            # it what everybody else runs there.
            self._end(partial(self._outcome.set_exception, error))
        else:
            self._end(partial(self._outcome.set_result, result))
        finally:
            # The error has this frame in its traceback: no cycle.
            del self

    def _settle(self, task: asyncio.Task[None]) -> None:
        # Also of one that was cancelled before it began to run.
        if task.cancelled():
            self._end(partial(self._outcome.set_exception, asyncio.CancelledError()))
        self._task = None

    def _end(self, end: Callable[[], None]) -> None:
        # What it was made of is let go: an engine, its documents.
        self._make = None
        self._running.discard(self)
        if not self._outcome.done():
            end()


class LoopThread:
    """An event loop that runs in a daemon thread until it is closed."""

    def __init__(self) -> None:
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._closing = asyncio.Event()
        self._tasks: set[LoopTask[Any]] = set()
        # In an empty context: the loop outlives whoever happened to start it.
        self._thread = threading.Thread(
            target=Context().run,
            args=(self._work,),
            name="llama-index-streaming-loop",
            daemon=True,
        )
        self._thread.start()
        self.loop = self._ready.result()

    @property
    def runs(self) -> bool:
        """True if the loop is there to run something."""
        return self._thread.is_alive() and not self.loop.is_closed()

    def is_here(self) -> bool:
        """Return True if this is called in the loop's own thread."""
        return threading.get_ident() == self._thread.ident

    def task(self, make: Callable[[], Coroutine[Any, Any, T]]) -> LoopTask[T]:
        """A task that is to be begun: who must cancel it, whatever happens, has it before.

        Args:
            make: makes the coroutine. It is called in the task.
        """
        return LoopTask(self.loop, make, self._tasks)

    def submit(self, make: Callable[[], Coroutine[Any, Any, T]], context: Context) -> LoopTask[T]:
        """Run a coroutine on the loop; from any thread.

        Args:
            make: makes the coroutine. It is called in the task.
            context: the context to run it in, which nothing else may be running in: a copy.

        Raises:
            LoopClosed: the loop is closed.
        """
        task = self.task(make)
        task.begin(context)
        return task

    def close(self) -> None:
        """Cancel all tasks, let them end, and close the loop."""
        call_on_loop(self.loop, self._closing.set)
        if not self.is_here():
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        try:
            # A runner cancels what is left, and closes async generators, before it closes the loop.
            with asyncio.Runner() as runner:
                self._ready.set_result(runner.get_loop())
                while not self._closing.is_set():
                    self._run(runner)
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)
        finally:
            for task in list(self._tasks):
                task.abandon()

    def _run(self, runner: asyncio.Runner) -> None:
        try:
            runner.run(self._until_closed())
        except (KeyboardInterrupt, SystemExit) as error:
            # These a loop lets through, from tasks that somebody has started on it. What else runs
            # there has no part in them, and goes on.
            message = "A task on the event loop for sync queries tried to end it."
            runner.get_loop().call_exception_handler({"message": message, "exception": error})

    async def _until_closed(self) -> None:
        await self._closing.wait()


class _Process:
    """The loop of this process, which there is once somebody needs it."""

    def __init__(self) -> None:
        # Reentrant: a signal's handler may start a query, too.
        self._lock = threading.RLock()
        self._thread: LoopThread | None = None
        self._of_parents: list[LoopThread] = []
        self._exits = False
        atexit.register(self._exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def thread(self) -> LoopThread:
        with self._lock:
            if self._exits:
                raise _gone()
            if self._thread is None or not self._thread.runs:
                self._thread = LoopThread()
            return self._thread

    def running(self) -> LoopThread | None:
        return self._thread

    def _exit(self) -> None:
        with self._lock:
            self._exits = True
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()

    def _after_fork(self) -> None:
        # Threads are not inherited, and the lock may be held by one of them. The parent's loop is
        # kept: collecting it would warn of a loop that is not closed, and closing it is not ours.
        self._lock = threading.RLock()
        if self._thread is not None:
            self._of_parents.append(self._thread)
        self._thread = None


def background() -> LoopThread:
    """The background loop of this process, which is started if it does not run.

    A forked child has one of its own.

    Raises:
        LoopClosed: the interpreter is ending.
    """
    return _process.thread()


def on_background_loop() -> bool:
    """Return True if this is called in the thread of the background loop."""
    thread = _process.running()
    return thread is not None and thread.is_here()


def refuse_on_background_loop() -> None:
    """Raise where waiting for the background loop would wait for ever.

    Raises:
        WouldDeadlock: this is called in the thread of the background loop.
    """
    if on_background_loop():
        raise WouldDeadlock


def _gone() -> LoopClosed:
    return LoopClosed(
        "The event loop for the LLM calls of sync queries is closed, because the interpreter is "
        "ending. Start queries before that, and end them."
    )


_process = _Process()
