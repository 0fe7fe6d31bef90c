"""How far each task and each thread has read an answer."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from llama_index_streaming_ext.query.response.base import AwaitableAnswer, BlockingAnswer


def reader_here() -> Any:
    """Who is reading: the current task, or the current thread where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task if task is not None else threading.current_thread()


class Ends(Protocol):
    """A place that may have been read to the end."""

    over: bool


P = TypeVar("P", bound=Ends)


class Positions(Generic[P]):
    """The place of each task and thread. One whose place is at the end starts over.

    Args:
        make: makes a place at the start.
    """

    def __init__(self, make: Callable[[], P]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._of: weakref.WeakKeyDictionary[Any, P] = weakref.WeakKeyDictionary()

    def here(self) -> P:
        """The place of the current task or thread."""
        reader = reader_here()
        with self._lock:
            place = self._of.get(reader)
            if place is None or place.over:
                place = self._of[reader] = self._make()
            return place


class Position:
    """A place in an answer that threads read.

    Args:
        answer: the answer.

    Attributes:
        over: whether the end has been read, or the reader was closed.
    """

    def __init__(self, answer: BlockingAnswer) -> None:
        self._answer = answer
        self._seen = 0
        self._closed = False
        self._reading: Generator[str, None, None] | None = None
        # An iterator that was handed on may be asked by several threads, one after the other.
        self._lock = threading.Lock()
        self.over = False

    def next(self) -> str:
        """The next token.

        Raises:
            StopIteration: there is none; also the next time it is asked for.
            BaseException: what the answer failed with; also the next time.
        """
        with self._lock:
            if self._closed:
                raise StopIteration
            if self._reading is None:
                self._reading = self._answer.tokens_sync(self._seen)
            try:
                token = next(self._reading)
            except BaseException as error:
                # Ctrl-C ends the generator, not the answer: the next one goes on from here.
                self._reading = None
                self.over = isinstance(error, StopIteration) or error is self._answer.error
                raise
            self._seen += 1
            return token

    def close(self) -> None:
        """Read no further.

        Raises:
            ValueError: another thread is waiting for a token, as a generator says it.
        """
        if not self._lock.acquire(blocking=False):
            raise ValueError("generator already executing")
        try:
            reading, self._reading = self._reading, None
            self._closed = self.over = True
        finally:
            self._lock.release()
        if reading is not None:
            reading.close()


class AsyncPosition:
    """A place in an answer that tasks read.

    Args:
        answer: the answer.

    Attributes:
        over: whether the end has been read, or the reader was closed.
    """

    def __init__(self, answer: AwaitableAnswer) -> None:
        self._answer = answer
        self._seen = 0
        self._closed = False
        self._busy = False
        self._reading: AsyncGenerator[str, None] | None = None
        self.over = False

    async def next(self) -> str:
        """The next token.

        Raises:
            StopAsyncIteration: there is none; also the next time it is asked for.
            BaseException: what the answer failed with; also the next time.
            RuntimeError: another task waits for the next token, as an async generator says it.
        """
        self._refuse_two()
        if self._closed:
            raise StopAsyncIteration
        if self._reading is None:
            self._reading = self._answer.tokens(self._seen)
        self._busy = True
        try:
            token = await anext(self._reading)
        except BaseException as error:
            # Being cancelled ends the generator, not the answer: the next one goes on from here.
            self._reading = None
            self.over = isinstance(error, StopAsyncIteration) or error is self._answer.error
            raise
        finally:
            self._busy = False
        self._seen += 1
        return token

    async def close(self) -> None:
        """Read no further.

        Raises:
            RuntimeError: another task waits for the next token, as an async generator says it.
        """
        self._refuse_two()
        reading, self._reading = self._reading, None
        self._closed = self.over = True
        if reading is not None:
            await reading.aclose()

    def _refuse_two(self) -> None:
        if self._busy:
            raise RuntimeError("asynchronous generator is already running")
