"""Streams that note what becomes of them, and threads that read them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

LONG = 120.0


class Source:
    """A stream of numbers that notes what becomes of it; it stalls after the last one."""

    def __init__(self, size: int, *, stalls: bool = True) -> None:
        self.made = 0
        self.threads = set[str]()
        self.tasks = set[object]()
        self.stalled = threading.Event()
        self.closed = threading.Event()
        self._size, self._stalls = size, stalls

    async def __call__(self) -> AsyncGenerator[int]:
        """The stream."""
        try:
            for number in range(self._size):
                self._note()
                self.made += 1
                yield number
            if self._stalls:
                self.stalled.set()
                await asyncio.Event().wait()
        finally:
            self._note()
            self.closed.set()

    def _note(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.tasks.add(asyncio.current_task())


class Reader(threading.Thread):
    """A thread that reads a stream to its end."""

    def __init__(self, items: Iterator[Any]) -> None:
        super().__init__(daemon=True)
        self.got: list[Any] = []
        self.error: BaseException | None = None
        self._items = items
        self.start()

    def run(self) -> None:
        """Reads."""
        try:
            self.got.extend(self._items)
        except BaseException as error:
            self.error = error

    def ended(self) -> BaseException | None:
        """Waits for its end, and returns its error."""
        self.join(LONG)
        assert not self.is_alive()
        return self.error


def raising(error: BaseException, *before: int) -> Callable[[], AsyncIterator[int]]:
    """A stream that fails after some items."""

    async def stream() -> AsyncGenerator[int]:
        for number in before:
            yield number
        raise error

    return stream


async def soon(value: str) -> str:
    """A value, after a turn of the loop."""
    await asyncio.sleep(0)
    return value
