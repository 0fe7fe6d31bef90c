"""A sync generator, read from an event loop: it runs in a thread of its own.

Each has a daemon thread, and not a worker of the loop's default executor: that one has few, so
that some slow streams would hold up all others (and everybody else's `to_thread`), and
`asyncio.run` waits for its workers before it returns, for as long as a provider keeps silent.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from types import AsyncGeneratorType
from typing import TypeVar

from llama_index_streaming_ext.threads.hand_off import HandOff

T = TypeVar("T")

_numbers = itertools.count(1)
# How many items are handed out in a row before the loop gets its turn: an async generator that
# always has the next item never lets go of the loop by itself.
_TURN = 16
# How often a thread that waits for its reader looks whether the loop is closed, in seconds:
# nobody is told of that.
_LOOK_AGAIN = 0.2


def pumped(
    make: Callable[[], Iterator[T]], *, lead: int = 64, on_demand: bool = False
) -> AsyncGenerator[T, None]:
    """Read a sync generator without blocking the event loop.

    The generator is made, advanced and closed in one thread, and in one copy of the context in
    which this is called. Its items are handed over as they come; what it raises is raised to the
    reader, after them. When the reader leaves (`aclose()`, cancellation, garbage collection, a
    closed loop), the generator is closed and the thread ends, as soon as the `next()` that runs
    then returns; the reader does not wait for that. An error of closing then goes to
    `threading.excepthook`; what the generator raises otherwise once nobody reads is dropped, as
    its items are.

    Args:
        make: makes the generator. It is called when the first item is asked for.
        lead: how many items may be ready before they are read.
        on_demand: make an item only when the reader waits for it.

    Raises:
        ValueError: `lead` is less than 1.

    Example:
        >>> async for chunk in pumped(lambda: llm.stream_complete("Hello")):
        ...     print(chunk.delta)
    """
    if lead < 1:
        raise ValueError(f"lead is {lead}, but at least 1 item must be let ready")
    return _read(_Pump(make, 0 if on_demand else lead), contextvars.copy_context())


def is_pumped(chunks: object) -> bool:
    """Return True if `pumped` gave it."""
    return isinstance(chunks, AsyncGeneratorType) and chunks.ag_code is _read.__code__


async def _read(pump: _Pump[T], context: contextvars.Context) -> AsyncGenerator[T, None]:
    pump.begin()
    name = f"llama-index-stream-{next(_numbers)}"
    threading.Thread(target=context.run, args=(pump.work,), name=name, daemon=True).start()
    in_a_row = 0
    try:
        while True:
            if in_a_row >= _TURN:
                in_a_row = 0
                await asyncio.sleep(0)
            if not pump.items:
                in_a_row = 0
                await pump.wait_in_task(pump.has_news)
                if not pump.items:
                    pump.raise_error()
                    return
            in_a_row += 1
            yield pump.take()
    finally:
        pump.stop()


class _Pump(HandOff[T]):
    """The state that the thread of a generator and its reader share."""

    def __init__(self, make: Callable[[], Iterator[T]], lead: int) -> None:
        super().__init__(lead)
        self._make = make
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Note the loop that it is read on."""
        self._loop = asyncio.get_running_loop()

    # In the thread

    def work(self) -> None:
        """Make the generator, run it for as long as somebody reads, and close it."""
        error: BaseException | None = None
        try:
            items = self._make()
            try:
                self._advance(items)
            finally:
                self._close(items)
        except BaseException as raised:
            error = raised
        self._error = None if self.left else error
        self.ended = True
        self.wake_task()
        # Its traceback has this frame: no cycle.
        del error

    def _advance(self, items: Iterator[T]) -> None:
        while self._has_reader():
            try:
                item = next(items)
            except StopIteration:
                return
            if not self.left:
                self.items.append(item)
            self.wake_task()

    def _has_reader(self) -> bool:
        """Wait until another item may be made; return False if nobody wants it."""
        if self.is_full():
            self.wait_in_thread(lambda: self.has_room() or self._is_left(), _LOOK_AGAIN)
        return not self._is_left()

    def _is_left(self) -> bool:
        self.left = self.left or self._loop.is_closed()
        return self.left

    def _close(self, items: Iterator[T]) -> None:
        # Iterators that are no generators need not have it.
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            if not self.left:
                raise
            _report(error)

    # In the loop

    def has_news(self) -> bool:
        """Return True if there is an item or the end."""
        return bool(self.items) or self.ended

    def raise_error(self) -> None:
        """Raise what the generator has raised, if it has."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            # Its traceback has this frame: no cycle.
            del error

    def take(self) -> T:
        """Return the next item, which is there."""
        item = self.items.popleft()
        if self.thread_waits and self.lead and len(self.items) <= self.low:
            self.wake_thread()
        return item

    def stop(self) -> None:
        """Let the thread end, for nobody reads any more."""
        self.left = True
        self.items.clear()
        self._error = None
        self.wake_thread()


def _report(error: BaseException) -> None:
    """Report an error that no reader is left to get."""
    hook = threading.ExceptHookArgs(
        (type(error), error, error.__traceback__, threading.current_thread())
    )
    threading.excepthook(hook)
