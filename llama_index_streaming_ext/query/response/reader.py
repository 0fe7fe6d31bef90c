"""Readers that both `for` and `async for` can iterate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Generic, Protocol, TypeVar

from llama_index_streaming_ext.stream.cursor import Cursor

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Followed(Protocol[T]):
    """A log, or something like it, that cursors follow."""

    def follow(self, cursor: Cursor[T], /) -> AsyncGenerator[T, None]:
        """Return what a cursor makes of the log, live, for a task."""
        ...

    def follow_sync(self, cursor: Cursor[T], /) -> Generator[T, None, None]:
        """Return what a cursor makes of the log, live, for a thread that may block."""
        ...


class Reader(ABC, Generic[T_co]):
    """Something to read while it is written, with `for` in a thread or `async for` in a task.

    It is also an iterator: of `next()` where a sync call gave it, of `anext()` where an async one
    did. A `for` on the event loop that the writer needs raises RuntimeError instead of waiting for
    ever.
    """

    @abstractmethod
    def __iter__(self) -> Iterator[T_co]: ...

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[T_co]: ...


class SyncReader(Generator[T, None, None], Reader[T]):
    """A reader that `next()` advances, as a generator.

    Args:
        source: the log that it follows.
        cursor: makes the cursor of a reader.
    """

    def __init__(self, source: Followed[T], cursor: Callable[[object], Cursor[T]]) -> None:
        self._source = source
        self._make = cursor
        self._cursor = cursor(self)
        self._items: GeneratorType[T, None, None] | None = None
        self._closed = False

    def __iter__(self) -> SyncReader[T]:
        return self

    def __aiter__(self) -> AsyncReader[T]:
        return AsyncReader(self._source, self._make)

    def __next__(self) -> T:
        items = self._items
        if items is None or items.gi_frame is None:
            # Ctrl-C ends the generator, not the log: the next one goes on with the same cursor.
            items = self._items = self._begun()
        return next(items)

    def _begun(self) -> Any:
        if self._closed:
            raise StopIteration
        return self._source.follow_sync(self._cursor)

    def send(self, value: Any, /) -> T:
        """Return the next item, as a generator does that makes nothing of what it is sent."""
        return self.__next__()

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> T:
        """Close it and raise an error, as a generator does that catches none."""
        self.close()
        return super().throw(typ, val, tb)  # pyright: ignore[reportAbstractUsage] # raises

    def close(self) -> None:
        """Read no further. The query goes on; `response.close()` stops it.

        Raises:
            ValueError: another thread is waiting for an item.
        """
        if self._items is not None:
            self._items.close()
        self._closed, self._items = True, None


class AsyncReader(AsyncGenerator[T, None], Reader[T]):
    """A reader that `anext()` advances, as an async generator.

    Args:
        source: the log that it follows.
        cursor: makes the cursor of a reader.
    """

    def __init__(self, source: Followed[T], cursor: Callable[[object], Cursor[T]]) -> None:
        self._source = source
        self._make = cursor
        self._cursor = cursor(self)
        self._items: AsyncGeneratorType[T, None] | None = None
        self._closed = False

    def __iter__(self) -> SyncReader[T]:
        return SyncReader(self._source, self._make)

    def __aiter__(self) -> AsyncReader[T]:
        return self

    # No coroutine of its own: a token passes one frame less.
    def __anext__(self) -> Coroutine[Any, Any, T]:
        items = self._items
        if items is None or items.ag_frame is None:
            # A cancelled reader ends the generator, not the log: the next one goes on.
            items = self._items = self._begun()
        return items.__anext__()

    def _begun(self) -> Any:
        return _nothing() if self._closed else self._source.follow(self._cursor)

    def asend(self, value: Any, /) -> Coroutine[Any, Any, T]:
        """Return the next item, as a generator does that makes nothing of what it is sent."""
        return self.__anext__()

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None, /) -> T:
        """Close it and raise an error, as a generator does that catches none."""
        await self.aclose()
        return await super().athrow(typ, val, tb)  # pyright: ignore[reportAbstractUsage] # raises

    async def aclose(self) -> None:
        """Read no further. The query goes on; `await response.aclose()` stops it.

        Raises:
            RuntimeError: another task is waiting for an item.
        """
        if self._items is not None:
            await self._items.aclose()
        self._closed, self._items = True, None


async def _nothing() -> AsyncGenerator[Any, None]:
    for item in ():
        yield item
