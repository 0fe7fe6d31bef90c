"""Tokens that were put in the place of a query's own: `response.response_gen = generator`.

A generator can be read once. What is pulled out of it is kept here, so that a response over it can
be read as often as any other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import suppress

from llama_index_streaming_ext.errors import StreamStopped


class Kept:
    """The tokens that were pulled so far.

    Attributes:
        done: whether there are no more.
        error: what the generator raised, or that it was stopped.
    """

    def __init__(self) -> None:
        self.done = False
        self.error: BaseException | None = None
        self._tokens: list[str] = []
        self._ending = threading.Lock()

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._tokens)

    def stop(self) -> None:
        """Pull no further. Whoever reads is told, if that was not all."""
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

    def _broken_off(self, error: BaseException) -> None:
        """The generator is over, and it was not its end.

        Ctrl-C and a cancelled reader end it too. They are for who was reading; others are told
        that it was stopped.
        """
        self._end(error if isinstance(error, Exception) else StreamStopped(self.text))


class Replaced(Kept):
    """Tokens for threads to read.

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

    def tokens_sync(self, after: int = 0) -> Generator[str, None, None]:
        """The tokens; then raises what the generator raised."""
        while True:
            while after < len(self._tokens):
                after += 1
                yield self._tokens[after - 1]
            if self.done:
                break
            self._pull(after)
        if self.error is not None:
            raise self.error

    def wait_sync(self) -> None:
        """Pull all of them."""
        with suppress(Exception):  # kept as `error`
            for _ in self.tokens_sync(len(self._tokens)):
                pass

    def _pull(self, seen: int) -> None:
        with self._pulling:
            if self.done or len(self._tokens) > seen:
                return
            try:
                token = next(self._source)
            except StopIteration:
                self._end(None)
            except BaseException as error:
                self._broken_off(error)
                if not isinstance(error, Exception):
                    raise
            else:
                self._keep(token)


class AsyncReplaced(Kept):
    """Tokens for tasks to read.

    Args:
        tokens: the tokens; None is upstream's word for none.

    Raises:
        TypeError: they cannot be iterated.
    """

    def __init__(self, tokens: AsyncIterable[str] | Iterable[str] | None) -> None:
        super().__init__()
        self._source = _async_iterator(() if tokens is None else tokens)
        self._pulling = asyncio.Lock()

    async def tokens(self, after: int = 0) -> AsyncGenerator[str, None]:
        """The tokens; then raises what the generator raised."""
        while True:
            while after < len(self._tokens):
                after += 1
                yield self._tokens[after - 1]
            if self.done:
                break
            await self._pull(after)
        if self.error is not None:
            raise self.error

    async def wait(self) -> None:
        """Pull all of them."""
        with suppress(Exception):  # kept as `error`
            async for _ in self.tokens(len(self._tokens)):
                pass

    async def _pull(self, seen: int) -> None:
        async with self._pulling:
            if self.done or len(self._tokens) > seen:
                return
            try:
                token = await anext(self._source)
            except StopAsyncIteration:
                self._end(None)
            except BaseException as error:
                self._broken_off(error)
                if not isinstance(error, Exception):
                    raise
            else:
                self._keep(token)


def _async_iterator(tokens: AsyncIterable[str] | Iterable[str]) -> AsyncIterator[str]:
    if isinstance(tokens, AsyncIterable):
        return aiter(tokens)
    return _one_by_one(iter(tokens))


async def _one_by_one(tokens: Iterable[str]) -> AsyncGenerator[str, None]:
    for token in tokens:
        yield token
