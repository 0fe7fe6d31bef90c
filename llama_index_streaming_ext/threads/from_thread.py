"""Async streams and calls, made on the background loop and waited for in a sync thread.

The stream is made and read in one task. So stopping is cancelling it, which closes the provider's
HTTP stream at once, also while that has nothing to send (U58, U62); and what is recorded by
context is whole (U61). Items are handed over in batches: waking a thread costs more than a token.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
)
from concurrent.futures import CancelledError
from functools import partial
from typing import Any, TypeVar, cast

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.threads.background_loop import (
    LoopTask,
    background,
    on_background_loop,
    refuse_on_background_loop,
)
from llama_index_streaming_ext.threads.hand_off import HandOff
from llama_index_streaming_ext.threads.stop_signal import StopSignal

T = TypeVar("T")

# How long an item may wait for others to be handed over with, in seconds.
_BATCH = 0.002
# After how many items in a row the loop gets its turn: a stream that always has the next item
# never lets go of the loop by itself.
_TURN = 64
# How long who leaves a stream waits until it is closed, in seconds.
_CLOSED_WITHIN = 1.0
# On Windows, Ctrl-C shows only between two waits, which are cut into pieces of so many seconds.
_PIECE = 0.2 if sys.platform == "win32" else None


def iterate(
    make: Callable[[], AsyncIterator[T] | Awaitable[AsyncIterator[T]]],
    stop: StopSignal,
    *,
    lead: int = 64,
) -> Generator[T, None, None]:
    """Read an async stream in a thread that has no event loop, or may block the one it has.

    The stream is made, read and closed in one task on the background loop, and in a copy of the
    context in which this is called. Its first item is handed over at once, later ones within 2 ms.
    What it raises is raised here, after its items. Whoever leaves (`close()`, garbage collection,
    Ctrl-C) cancels the task, and waits, for a second at most, until the stream is closed; what it
    raises then goes to the exception handler of the loop.

    Args:
        make: makes the stream. It is called on the loop when the first item is asked for.
        stop: stops it: the task is cancelled, and who reads gets StreamStopped, at once.
        lead: how many items may be ready before they are read.

    Raises:
        ValueError: `lead` is less than 1.
        WouldDeadlock: this is called on the background loop itself.
        LoopClosed: raised to the reader, because the interpreter is ending.
        StreamStopped: raised to the reader, because of `stop`.
        CancelledError: that of `concurrent.futures`: what the stream waits for was cancelled.

    Example:
        >>> for chunk in iterate(lambda: llm.astream_complete("Hello"), StopSignal()):
        ...     print(chunk.delta)
    """
    if lead < 1:
        raise ValueError(f"lead is {lead}, but at least 1 item must be let ready")
    refuse_on_background_loop()
    return _read(_Reading(make, lead), stop, contextvars.copy_context())


def call(make: Callable[[], Awaitable[T]], stop: StopSignal) -> T:
    """Wait for a result as `iterate` does for items.

    Args:
        make: makes what is awaited. It is called on the background loop.
        stop: stops it.

    Raises:
        WouldDeadlock: this is called on the background loop itself.
        StreamStopped: it was stopped.
        BaseException: what `make`, or what it made, has raised.
    """

    async def only() -> AsyncGenerator[T, None]:
        yield await make()

    (result,) = iterate(only, stop)
    return result


def _read(
    reading: _Reading[T], stop: StopSignal, context: contextvars.Context
) -> Generator[T, None, None]:
    stop.check()
    # Again: it may be read in another thread than the one that has asked for it.
    refuse_on_background_loop()
    task = background().task(reading.work)
    remove: Callable[[], None] = _noop
    try:
        # Ctrl-C may come as soon as it has begun.
        task.begin(context)
        task.on_done(reading.end)
        remove = stop.on_stop(partial(reading.stop, task))
        while reading.wait():
            while reading.items and not reading.stopped:
                yield reading.take()
        if reading.stopped:
            raise StreamStopped
        _check(task)
    finally:
        remove()
        reading.leave(task)
        # An error has this frame in its traceback, and the task has the error.
        del task


def _check(task: LoopTask[None]) -> None:
    """Raise what the stream raised."""
    try:
        task.result()
    except asyncio.CancelledError as error:
        # U5: nobody has cancelled it, and in a thread it would be no Exception.
        raise CancelledError("The stream was cancelled, but not by its reader.") from error
    finally:
        del task


def _noop() -> None:
    """Take nothing out."""


class _Reading(HandOff[T]):
    """The state that a task that reads a stream shares with the thread that takes the items."""

    def __init__(
        self, make: Callable[[], AsyncIterator[T] | Awaitable[AsyncIterator[T]]], lead: int
    ) -> None:
        super().__init__(lead)
        self.stopped = False
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_batch = 0.0

    # In the thread

    def wait(self) -> bool:
        """Wait for items; return False when there will be none, or when it was stopped."""
        self.wait_in_thread(self._has_news, _PIECE)
        return bool(self.items) and not self.stopped

    def _has_news(self) -> bool:
        return bool(self.items) or self.ended or self.stopped

    def take(self) -> T:
        """Return the next item, which is there."""
        item = self.items.popleft()
        if len(self.items) <= self.low:
            self.wake_task()
        return item

    def leave(self, task: LoopTask[None]) -> None:
        """Has the stream closed, and waits until it is."""
        self.left = True
        self.items.clear()
        if task.done or not task.begun:
            return
        task.cancel()
        # Garbage may be collected on the loop, which would wait for itself.
        if not on_background_loop():
            task.wait(_CLOSED_WITHIN)

    # In any thread

    def stop(self, task: LoopTask[None]) -> None:
        """Cancel the task, and wake the thread."""
        self.stopped = True
        task.cancel()
        self.wake_thread()

    def end(self, error: BaseException | None) -> None:
        """Wake the thread for the last time."""
        self.ended = True
        self.wake_thread()
        if self.left or self.stopped:
            self._report(error)

    def _report(self, error: BaseException | None) -> None:
        """Report an error that no reader is left to get."""
        if self._loop is None or error is None or isinstance(error, asyncio.CancelledError):
            return
        self._loop.call_exception_handler(
            {"message": "A stream raised an error when it was closed.", "exception": error}
        )

    # In the task

    async def work(self) -> None:
        """Make the stream, read it to its end, and close it."""
        self._loop = asyncio.get_running_loop()
        made = self._make()
        # U80: some are async generator functions, with nothing to await.
        if inspect.isawaitable(made) and not isinstance(made, AsyncIterable):
            made = await made
        stream = aiter(cast("AsyncIterable[T]", made))
        try:
            await self._hand_over(stream, self._loop)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            # Where it was cancelled while the stream had nothing to do, that is not closed yet.
            close: Callable[[], Awaitable[Any]] | None = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    async def _hand_over(self, stream: AsyncIterator[T], loop: asyncio.AbstractEventLoop) -> None:
        items, lead, in_a_row = self.items, self.lead, 0
        async for item in stream:
            # Some streams swallow a cancellation.
            if self.left or self.stopped:
                return
            items.append(item)
            if self.thread_waits:
                self._tell(loop)
            in_a_row += 1
            if len(items) >= lead:
                await self._wait_for_room(loop)
                in_a_row = 0
            elif in_a_row >= _TURN:
                await asyncio.sleep(0)
                in_a_row = 0

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the thread: at once, but not more often than every 2 ms."""
        if loop.time() >= self._next_batch:
            self._tell_now(loop)
        elif self._timer is None:
            self._timer = loop.call_at(self._next_batch, self._tell_now, loop)

    def _tell_now(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.thread_waits and self.items:
            self._next_batch = loop.time() + _BATCH
            self.wake_thread()

    async def _wait_for_room(self, loop: asyncio.AbstractEventLoop) -> None:
        self._tell_now(loop)
        await self.wait_in_task(self.has_room)
