"""What `response.response_gen` is: an iterator that any task and thread can begin anew."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import Any

from llama_index_streaming_ext.query.response.base import AwaitableAnswer, BlockingAnswer
from llama_index_streaming_ext.query.response.position import (
    AsyncPosition,
    Position,
    Positions,
    reader_here,
)


class ResponseGen(Generator[str, None, None]):
    """The tokens of an answer, read on from where this task or thread has stopped.

    It belongs to the task or thread that took it from the response; `for` in another one is begun
    from the start. What `iter()` gives there is read on by whoever has it: web servers ask for
    each token in any thread of a pool.

    Args:
        answer: the answer.
        places: who has read how far.
        handed_on: whether it stays what it is, whoever iterates it.
    """

    def __init__(
        self, answer: BlockingAnswer, places: Positions[Position], *, handed_on: bool = False
    ) -> None:
        self.answer = answer
        self._places = places
        self._place = places.here()
        self._reader = weakref.ref(reader_here())
        self._handed_on = handed_on

    def __iter__(self) -> ResponseGen:
        if self._handed_on or self._reader() is reader_here():
            return self
        return ResponseGen(self.answer, self._places, handed_on=True)

    def __next__(self) -> str:
        return self._place.next()

    def send(self, value: Any, /) -> str:
        """The next token, as a generator gives it that makes nothing of what it is sent."""
        return self._place.next()

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> str:
        """Close it and raise an error, as a generator does that catches none."""
        self._place.close()
        return super().throw(typ, val, tb)  # pyright: ignore[reportAbstractUsage] # raises

    def __deepcopy__(self, memo: dict[int, Any]) -> ResponseGen:
        # What is live cannot be doubled; `dataclasses.asdict` copies every field.
        return self

    def close(self) -> None:
        """Read no further. The answer goes on; `response.close()` stops it."""
        self._place.close()


class AsyncResponseGen(AsyncGenerator[str, None]):
    """The tokens of an answer, read on from where this task has stopped.

    It belongs to the task that took it from the response; `async for` in another one is begun
    from the start. What `aiter()` gives there is read on by whoever has it.

    Args:
        answer: the answer.
        places: who has read how far.
        handed_on: whether it stays what it is, whoever iterates it.
    """

    def __init__(
        self, answer: AwaitableAnswer, places: Positions[AsyncPosition], *, handed_on: bool = False
    ) -> None:
        self.answer = answer
        self._places = places
        self._place = places.here()
        self._reader = weakref.ref(reader_here())
        self._handed_on = handed_on

    def __aiter__(self) -> AsyncResponseGen:
        if self._handed_on or self._reader() is reader_here():
            return self
        return AsyncResponseGen(self.answer, self._places, handed_on=True)

    async def __anext__(self) -> str:
        return await self._place.next()

    async def asend(self, value: Any, /) -> str:
        """The next token, as a generator gives it that makes nothing of what it is sent."""
        return await self._place.next()

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None, /) -> str:
        """Close it and raise an error, as a generator does that catches none."""
        await self._place.close()
        return await super().athrow(typ, val, tb)  # pyright: ignore[reportAbstractUsage] # raises

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncResponseGen:
        # What is live cannot be doubled; `dataclasses.asdict` copies every field.
        return self

    async def aclose(self) -> None:
        """Read no further. The answer goes on; `await response.aclose()` stops it."""
        await self._place.close()


def places_in(answer: BlockingAnswer) -> Positions[Position]:
    """Everybody at the start of an answer."""
    return Positions(partial(Position, answer))


def async_places_in(answer: AwaitableAnswer) -> Positions[AsyncPosition]:
    """Everybody at the start of an answer."""
    return Positions(partial(AsyncPosition, answer))
