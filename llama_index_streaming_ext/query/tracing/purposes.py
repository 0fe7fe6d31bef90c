"""Purposes of LLM calls: advice around the methods of the parts that make the calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, cast

from llama_index.core.response_synthesizers.base import BaseSynthesizer

from llama_index_streaming_ext.query.context.call_tree import Span, Work
from llama_index_streaming_ext.query.engine_copy.method_hooks import Advice, enclosing, hook_method

_ANSWERS = ("get_response", "get_response_from_messages")


def with_purpose(work: Work, purpose: str) -> tuple[Advice, Advice]:
    """Return advice, sync and async, that gives a purpose to the LLM calls made by a method."""

    @contextmanager
    def enclose(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[None]:
        with work.at_work(purpose):
            yield

    return enclosing(enclose)


def trace_synthesizer(work: Work, synthesizer: BaseSynthesizer) -> None:
    """Give a purpose to a synthesizer's LLM calls, also to those made after it has returned.

    Args:
        work: the tree of the query's work.
        synthesizer: one that belongs to the query.
    """

    @contextmanager
    def enclose(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Callable[[Any], Any]]:
        with work.at_work("synthesize") as place:
            yield lambda answer: _placed(work, place, answer)

    # Users' synthesizers may answer in `synthesize`.
    hooks: dict[str, tuple[Advice, Advice]] = {name: enclosing(enclose) for name in _ANSWERS}
    hooks["synthesize"] = with_purpose(work, "synthesize")
    for name, (advice, async_advice) in hooks.items():
        hook_method(synthesizer, name, advice, by=work)
        hook_method(synthesizer, f"a{name}", async_advice, by=work)


def _placed(work: Work, place: Span, answer: Any) -> Any:
    """Return an answer whose LLM is asked at a place, even if it is asked only later."""
    # A synthesizer that asks itself, as tree_summarize does, has placed it already.
    if isinstance(answer, PlacedAnswer | AsyncPlacedAnswer):
        return answer
    if isinstance(answer, Generator):
        return PlacedAnswer(work, place, cast("Generator[Any]", answer))
    if isinstance(answer, AsyncGenerator):
        return AsyncPlacedAnswer(work, place, cast("AsyncGenerator[Any]", answer))
    return answer


class PlacedAnswer(Generator[Any, None, None]):
    """Generator of an answer whose LLM is asked at a known place in the tree of work.

    U51: the LLM is asked at the first `next()`, long after the synthesizer has returned.

    Args:
        work: the tree of the query's work.
        place: the place at which the LLM is asked.
        source: the generator of the synthesizer.

    Attributes:
        source: the generator of the synthesizer.
    """

    def __init__(self, work: Work, place: Span, source: Generator[Any]) -> None:
        self.source = source
        self._work: Work | None = work
        self._place = place

    def __next__(self) -> Any:
        """Return the next token."""
        return self.send(None)

    def send(self, value: Any, /) -> Any:
        """Return the next token; what is sent goes nowhere."""
        work, self._work = self._work, None
        if work is None:
            return next(self.source)
        with work.at_work(self._place.purpose, self._place.call_id):
            return next(self.source)

    def throw(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Raise an error in the synthesizer's generator."""
        return self.source.throw(val if val is not None else typ)

    def close(self) -> None:
        """Close the synthesizer's generator."""
        self.source.close()


class AsyncPlacedAnswer(AsyncGenerator[Any, None]):
    """Async generator of an answer whose LLM is asked at a known place, as `PlacedAnswer`.

    Args:
        work: the tree of the query's work.
        place: the place at which the LLM is asked.
        source: the generator of the synthesizer.

    Attributes:
        source: the generator of the synthesizer.
    """

    def __init__(self, work: Work, place: Span, source: AsyncGenerator[Any]) -> None:
        self.source = source
        self._work: Work | None = work
        self._place = place

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        """Return the next token."""
        return self.asend(None)

    def asend(self, value: Any, /) -> Coroutine[Any, Any, Any]:
        """Return the next token; what is sent goes nowhere."""
        work, self._work = self._work, None
        if work is None:
            return self.source.__anext__()
        return self._first(work)

    async def _first(self, work: Work) -> Any:
        with work.at_work(self._place.purpose, self._place.call_id):
            return await anext(self.source)

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None, /) -> Any:
        """Raise an error in the synthesizer's generator."""
        return await self.source.athrow(val if val is not None else typ)

    async def aclose(self) -> None:
        """Close the synthesizer's generator."""
        await self.source.aclose()
