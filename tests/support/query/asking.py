"""Asking a query's own copy of an engine, sync or async, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import pytest

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.answer_stream.engines import stream_last_call
from llama_index_streaming_ext.query.context.call_tree import Span, Work
from llama_index_streaming_ext.query.engine_copy.copy import copy_of
from llama_index_streaming_ext.query.response.complete import acomplete, complete, text_of_chunk
from llama_index_streaming_ext.query.tracing.instrumentation import tracking
from llama_index_streaming_ext.query.tracing.parts import observe
from llama_index_streaming_ext.testing import FakeStreamingLLM

_E = TypeVar("_E", bound=Event)

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
"""A fact of both faces of an engine."""


@dataclass
class Answer:
    """What came of a question."""

    response: Any
    pieces: list[str]
    text: str


@dataclass
class Log:
    """The events of one query, and where in it the LLMs were asked."""

    events: list[Event] = field(default_factory=list[Event])
    places: list[Span] = field(default_factory=list[Span])

    def __post_init__(self) -> None:
        self.work = Work(self.events.append, "q")

    def of(self, kind: type[_E]) -> list[_E]:
        """The events of a class."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def purposes(self) -> list[str]:
        """What the LLMs were asked for, in order."""
        return [place.purpose for place in self.places]

    def seeing(self, answered: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A script that notes where it is asked."""

        def script(request: Any) -> Any:
            self.places.append(self.work.current())
            return answered(request)

        return script


def copied(engine: Any) -> Any:
    """A query's own copy of an engine, over the same LLMs."""
    return copy_of(engine, lambda llm: llm)


def streamed(engine: Any, is_async: bool) -> Answer:
    """Ask a copy of an engine whose last call streams."""
    copy = copied(engine)
    stream_last_call(copy, is_async=is_async)
    return read(copy, is_async)


def observed(engine: Any, log: Log, is_async: bool = False, *, streaming: bool = True) -> Answer:
    """Ask a copy of an engine whose work is written into a log."""
    copy = copied(engine)
    observe(copy, log.work, prepare=copied)
    if streaming:
        stream_last_call(copy, is_async=is_async)
    if not is_async:
        with tracking(log.work):
            return read(copy, is_async)

    async def ask() -> Answer:
        with tracking(log.work):
            return await _aread(await copy.aquery("why"))

    return asyncio.run(ask())


def read(engine: Any, is_async: bool) -> Answer:
    """Ask an engine, and read what it gives, piece by piece."""
    if not is_async:
        _without_loop()
        response = engine.query("why")
        live = getattr(response, "response_gen", None)
        pieces = [complete(response)] if live is None else list(map(text_of_chunk, live))
        return Answer(response, pieces, "".join(pieces))

    async def ask() -> Answer:
        return await _aread(await engine.aquery("why"))

    return asyncio.run(ask())


def upstream_text(engine: Any, is_async: bool) -> str:
    """What an engine says by itself."""
    if not is_async:
        _without_loop()
        return complete(engine.query("why"))

    async def ask() -> str:
        return await acomplete(await engine.aquery("why"))

    return asyncio.run(ask())


def _without_loop() -> None:
    """Evaluators make an event loop and leave it open, where a thread was never told of one."""
    asyncio.set_event_loop(None)


async def _aread(response: Any) -> Answer:
    live = getattr(response, "response_gen", None)
    if live is None:
        pieces = [await acomplete(response)]
    elif isinstance(live, AsyncGenerator):
        stream = cast("AsyncGenerator[Any]", live)
        pieces = [text_of_chunk(chunk) async for chunk in stream]
    else:
        pieces = list(map(text_of_chunk, live))
    return Answer(response, pieces, "".join(pieces))


def streams_of(llm: FakeStreamingLLM) -> list[bool]:
    """Of each call that an LLM was asked, whether it was a stream."""
    return [call.chunks > 1 for call in llm.calls]
