"""Tokens that were put in the place of a query's own: `response.response_gen = generator`.

A generator can be read once. The tokens that were pulled out of it are kept, so that a response
over it can be read as often as any other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import contextmanager, suppress

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.query.response.answer import AnswerCursor
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import DeltaSeries
from llama_index_streaming_ext.threads.to_thread import pumped


class KeptTokens:
    """The tokens that were pulled so far.

    Attributes:
        series: None, because they are in no log.
        done: True once there are no more.
        error: the error that the generator raised, StreamStopped after a stop.
    """

    def __init__(self) -> None:
        self.series: DeltaSeries | None = None
        self.done = False
        self.error: BaseException | None = None
        self._tokens: list[str] = []
        self._ending = threading.Lock()

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._tokens)

    def stop(self) -> None:
        """Pull no further. Readers get StreamStopped, if that was not all."""
        self._end(StreamStopped(self.text))

    def _keep(self, token: str) -> None:
        with self._ending:
            if not self.done:
                self._tokens.append(token)

    def _end(self, error: BaseException | None) -> None:
        with self._ending:
            if not self.done:
                self.error = error
                self.done = True

    def _has(self, seen: int) -> bool:
        return self.done or len(self._tokens) > seen

    def _kept_behind(self, cursor: Cursor[str]) -> Generator[str, None, None]:
        while cursor.seq < len(self._tokens):
            cursor.seq += 1
            yield self._tokens[cursor.seq - 1]

    @contextmanager
    def _pulled(self) -> Generator[None]:
        """Take note of the end of the generator, and of its error."""
        try:
            yield
        except (StopIteration, StopAsyncIteration):
            self._end(None)
        except Exception as error:
            self._end(error)
        except BaseException:
            # Ctrl-C and a cancelled reader end it, too. They are for who was reading; others are
            # told that it was stopped.
            self.stop()
            raise


class Replaced(KeptTokens):
    """Tokens that are pulled out of an iterable.

    Args:
        tokens: the tokens; None is upstream's word for none.

    Raises:
        TypeError: they cannot be iterated.
    """

    def __init__(self, tokens: Iterable[str] | None) -> None:
        super().__init__()
        self._source = iter(() if tokens is None else tokens)
        # A generator that reads the response that it was given to gets an error, not a deadlock.
        self._pulling = threading.RLock()

    def follow_sync(self, cursor: Cursor[str]) -> Generator[str, None, None]:
        """Return the tokens behind a cursor, then raise what the generator raised."""
        cursor.opened()
        try:
            while True:
                yield from self._kept_behind(cursor)
                if self.done and cursor.seq >= len(self._tokens):
                    break
                with self._pulling:
                    if not self._has(cursor.seq):
                        with self._pulled():
                            self._keep(next(self._source))
            cursor.ended()
        finally:
            cursor.closed()

    def follow(self, cursor: Cursor[str]) -> AsyncGenerator[str, None]:
        """Return the same, pulled in a thread, for a task."""
        return pumped(lambda: self.follow_sync(cursor), on_demand=True)

    def wait_sync(self) -> None:
        """Pull all of them."""
        with suppress(Exception):  # kept as `error`
            for _ in self.follow_sync(AnswerCursor(self)):
                pass

    async def wait(self) -> None:
        """Pull all of them, in a thread."""
        await asyncio.to_thread(self.wait_sync)


class AsyncReplaced(KeptTokens):
    """Tokens that are pulled out of an async iterable.

    Args:
        tokens: the tokens; None is upstream's word for none.

    Raises:
        TypeError: they cannot be iterated.
    """

    def __init__(self, tokens: AsyncIterable[str] | Iterable[str] | None) -> None:
        super().__init__()
        self._source = _async_iterator(() if tokens is None else tokens)
        self._pulling = asyncio.Lock()

    async def follow(self, cursor: Cursor[str]) -> AsyncGenerator[str, None]:
        """Return the tokens behind a cursor, then raise what the generator raised."""
        cursor.opened()
        try:
            while True:
                for token in self._kept_behind(cursor):
                    yield token
                if self.done and cursor.seq >= len(self._tokens):
                    break
                async with self._pulling:
                    if not self._has(cursor.seq):
                        with self._pulled():
                            self._keep(await anext(self._source))
            cursor.ended()
        finally:
            cursor.closed()

    def follow_sync(self, cursor: Cursor[str]) -> Generator[str, None, None]:
        """Return the tokens that were pulled; the others can be pulled by tasks only.

        Raises:
            RuntimeError: not all of them were pulled.
        """
        cursor.opened()
        yield from self._kept_behind(cursor)
        self.wait_sync()
        yield from self._kept_behind(cursor)
        cursor.ended()

    async def wait(self) -> None:
        """Pull all of them."""
        with suppress(Exception):  # kept as `error`
            async for _ in self.follow(AnswerCursor(self)):
                pass

    def wait_sync(self) -> None:
        """Do nothing if all were pulled.

        Raises:
            RuntimeError: not all of them were pulled.
        """
        if not self.done:
            raise RuntimeError("These tokens come asynchronously: read them with `async for`.")


def _async_iterator(tokens: AsyncIterable[str] | Iterable[str]) -> AsyncIterator[str]:
    if isinstance(tokens, AsyncIterable):
        return aiter(tokens)
    return _one_by_one(iter(tokens))


async def _one_by_one(tokens: Iterable[str]) -> AsyncGenerator[str, None]:
    for token in tokens:
        yield token
