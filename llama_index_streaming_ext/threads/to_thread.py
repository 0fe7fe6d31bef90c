"""A sync generator, read from an event loop: it runs in a thread of its own.

Each has a daemon thread, and not a worker of the loop's default executor: that one has few, so
that some slow streams would hold up all others (and everybody else's `to_thread`), and
`asyncio.run` waits for its workers before it returns, for as long as a provider keeps silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from types import AsyncGeneratorType
from typing import Any, Generic, TypeVar

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
    """Reads a sync generator without blocking the event loop.

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
    """Whether it is a generator that `pumped` gave."""
    return isinstance(chunks, AsyncGeneratorType) and chunks.ag_code is _read.__code__


async def _read(pump: _Pump[T], context: contextvars.Context) -> AsyncGenerator[T, None]:
    pump.begin()
    name = f"llama-index-stream-{next(_numbers)}"
    threading.Thread(target=context.run, args=(pump.work,), name=name, daemon=True).start()
    try:
        while await pump.has_item():
            yield pump.take()
    finally:
        pump.stop()


class _Pump(Generic[T]):
    """What the thread of a generator and its reader share."""

    def __init__(self, make: Callable[[], Iterator[T]], lead: int) -> None:
        self._make = make
        self._lead = lead
        # A thread that waits for room goes on when half of it is free, not at every item.
        self._low = lead // 2
        # Its lock is reentrant: garbage may be collected under it, and close another generator.
        self._room = threading.Condition()
        self._items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._left = False
        self._in_a_row = 0

    def begin(self) -> None:
        """Is read on this loop."""
        self._loop = asyncio.get_running_loop()

    # In the thread

    def work(self) -> None:
        """Makes the generator, runs it for as long as somebody reads, and closes it."""
        try:
            items = self._make()
            try:
                self._advance(items)
            finally:
                self._close(items)
        except BaseException as error:
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        with self._room:
            self._ended = True
            self._error = None if self._left else error
        self._wake()

    def _advance(self, items: Iterator[T]) -> None:
        while self._has_room():
            try:
                item = next(items)
            except StopIteration:
                return
            with self._room:
                if not self._left:
                    self._items.append(item)
            self._wake()

    def _has_room(self) -> bool:
        """Waits until another item may be made; False where nobody wants it."""
        with self._room:
            if not self._lead:
                while self._waiter is None and not self._is_left():
                    self._room.wait(_LOOK_AGAIN)
            elif len(self._items) >= self._lead:
                while len(self._items) > self._low and not self._is_left():
                    self._room.wait(_LOOK_AGAIN)
            return not self._is_left()

    def _is_left(self) -> bool:
        self._left = self._left or self._loop.is_closed()
        return self._left

    def _close(self, items: Iterator[T]) -> None:
        # Iterators that are no generators need not have it.
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            if not self._left:
                raise
            _report(error)

    def _wake(self) -> None:
        """Wakes the reader if it waits: once, however many items come before it runs."""
        with self._room:
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            # A closed loop needs no telling; the thread sees it before the next item.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_resume, waiter)

    # In the loop

    async def has_item(self) -> bool:
        """Waits for an item; False at the end.

        Raises:
            BaseException: what the generator has raised.
        """
        if self._in_a_row >= _TURN:
            self._in_a_row = 0
            await asyncio.sleep(0)
        while (waiter := self._wait()) is not None:
            self._in_a_row = 0
            await waiter
        if self._items:
            return True
        error, self._error = self._error, None
        if error is None:
            return False
        try:
            raise error
        finally:
            # Its traceback has this frame: no cycle.
            del error

    def _wait(self) -> asyncio.Future[None] | None:
        with self._room:
            if self._items or self._ended:
                return None
            self._waiter = self._loop.create_future()
            if not self._lead:
                self._room.notify()
            return self._waiter

    def take(self) -> T:
        """The next item, which is there."""
        with self._room:
            self._in_a_row += 1
            item = self._items.popleft()
            if len(self._items) == self._low:
                self._room.notify()
            return item

    def stop(self) -> None:
        """Lets the thread end, for nobody reads any more."""
        with self._room:
            self._left = True
            self._items.clear()
            self._waiter = self._error = None
            self._room.notify()


def _resume(waiter: asyncio.Future[Any]) -> None:
    # Cancelled, if its task was, in the meantime.
    if not waiter.done():
        waiter.set_result(None)


def _report(error: BaseException) -> None:
    """Says what no reader is left to hear."""
    hook = threading.ExceptHookArgs(
        (type(error), error, error.__traceback__, threading.current_thread())
    )
    threading.excepthook(hook)
