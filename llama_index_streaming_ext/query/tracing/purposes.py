"""What is put around the methods of parts that work, so that their LLM calls have a purpose."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, cast

from llama_index.core.response_synthesizers.base import BaseSynthesizer

from llama_index_streaming_ext.query.context.call_tree import Span, Work
from llama_index_streaming_ext.query.engine_copy.method_hooks import Advice, hook_method

_Ask = Callable[..., Any]
_Args = tuple[Any, ...]
_Named = dict[str, Any]

_ANSWERS = ("get_response", "get_response_from_messages")
_NOTHING = object()


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
        if not isinstance(answer, Generator):
            return answer
        return _begun_at(work, place, cast("Generator[Any]", answer))

    return around


def _aanswering(work: Work) -> Advice:
    async def around(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        with work.at_work("synthesize") as place:
            answer = await ask(*args, **kwargs)
        if not isinstance(answer, AsyncGenerator):
            return answer
        return _abegun_at(work, place, cast("AsyncGenerator[Any]", answer))

    return around


def _begun_at(work: Work, place: Span, tokens: Generator[Any]) -> Generator[Any]:
    # U51: the LLM is asked at the first next(), long after the synthesizer has returned.
    # A synthesizer that asks itself, as tree_summarize does, has it done already.
    return tokens if _code_of(tokens) is _at.__code__ else _at(work, place, tokens)


def _abegun_at(work: Work, place: Span, tokens: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
    return tokens if _code_of(tokens) is _aat.__code__ else _aat(work, place, tokens)


def _at(work: Work, place: Span, tokens: Generator[Any]) -> Generator[Any]:
    with work.at_work(place.purpose, place.call_id):
        first = next(tokens, _NOTHING)
    if first is not _NOTHING:
        yield first
        yield from tokens


async def _aat(work: Work, place: Span, tokens: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
    try:
        with work.at_work(place.purpose, place.call_id):
            first = await anext(tokens, _NOTHING)
        if first is not _NOTHING:
            yield first
            async for token in tokens:
                yield token
    finally:
        await tokens.aclose()


def _code_of(tokens: Any) -> object:
    return getattr(tokens, "gi_code", None) or getattr(tokens, "ag_code", None)
