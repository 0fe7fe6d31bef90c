"""What is put around the methods of parts that work, so that their LLM calls have a purpose."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, cast

from llama_index.core.response_synthesizers.base import BaseSynthesizer

from llama_index_streaming_ext.query.context.call_tree import Span, Work
from llama_index_streaming_ext.query.engine_copy.method_hooks import Advice, hook_method

_Ask = Callable[..., Any]
_Args = tuple[Any, ...]
_Named = dict[str, Any]

_ANSWERS = ("get_response", "get_response_from_messages")


def working(work: Work, purpose: str) -> Advice:
    """Around a method: while it runs, LLMs are asked for that purpose."""

    def around(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        with work.at_work(purpose):
            return ask(*args, **kwargs)

    return around


def aworking(work: Work, purpose: str) -> Advice:
    """As `working`, around an async method."""

    async def around(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        with work.at_work(purpose):
            return await ask(*args, **kwargs)

    return around


def synthesizing(work: Work, synthesizer: BaseSynthesizer) -> None:
    """Around a synthesizer, which must be the query's own; also where its answer comes later."""
    for name in _ANSWERS:
        hook_method(synthesizer, name, _answering(work), by=work)
        hook_method(synthesizer, f"a{name}", _aanswering(work), by=work)
    # Users' synthesizers may answer there.
    hook_method(synthesizer, "synthesize", working(work, "synthesize"), by=work)
    hook_method(synthesizer, "asynthesize", aworking(work, "synthesize"), by=work)


def _answering(work: Work) -> Advice:
    def around(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        with work.at_work("synthesize") as place:
            answer = ask(*args, **kwargs)
        # A synthesizer that asks itself, as tree_summarize does, has placed it already.
        if not isinstance(answer, Generator) or isinstance(answer, PlacedAnswer):
            return cast("Any", answer)
        return PlacedAnswer(work, place, cast("Generator[Any]", answer))

    return around


def _aanswering(work: Work) -> Advice:
    async def around(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        with work.at_work("synthesize") as place:
            answer = await ask(*args, **kwargs)
        if not isinstance(answer, AsyncGenerator) or isinstance(answer, AsyncPlacedAnswer):
            return cast("Any", answer)
        return AsyncPlacedAnswer(work, place, cast("AsyncGenerator[Any]", answer))

    return around


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
