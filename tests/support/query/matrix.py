"""Every kind of engine, asked in every way: by our adapter, and as upstream is asked."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from llama_index.core import Settings
from llama_index.core.base.response.schema import AsyncStreamingResponse
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.engine import Show, StreamingQueryEngine
from llama_index_streaming_ext.testing import LawReport, check_stream
from tests.support.query.engines import KINDS, WAYS, build, query
from tests.support.query.scripted import ScriptedLLM
from tests.support.query.untouched import parts


class Case(NamedTuple):
    """An engine, and how it is asked."""

    name: str
    streaming: bool
    is_async: bool
    show: Show

    def __str__(self) -> str:
        built = "-streaming" if self.streaming else ""
        return f"{self.name}{built}-{'async' if self.is_async else 'sync'}-{self.show}"


CASES = [
    Case(name, streaming, is_async, show)
    for name, streaming in WAYS
    for is_async in (False, True)
    for show in ("answer", "calls")
]
"""All cases."""


@dataclass(frozen=True)
class Asked:
    """What came of a question.

    Attributes:
        response: what was given.
        deltas: what a reader has read.
        sources: the texts of the sources.
        calls: how many calls the LLM got.
        counted: what core's own token counter has counted, of prompts and of answers.
        said: the text of every call.
    """

    response: Any
    deltas: list[str]
    sources: list[str]
    calls: int
    counted: tuple[int, int]
    said: list[str]

    @property
    def text(self) -> str:
        """What a reader has read."""
        return "".join(self.deltas)


@dataclass(frozen=True)
class OursAsked(Asked):
    """What came of a question to our adapter.

    Attributes:
        events: the whole log.
        report: whether it keeps the laws.
        before: what the user's engine consisted of.
        after: what it consists of now.
    """

    events: list[Event]
    report: LawReport
    before: dict[str, Any]
    after: dict[str, Any]


@functools.cache
def ours(case: Case) -> OursAsked:
    """What comes of the question when our adapter is asked. It is asked once."""
    counter = TokenCountingHandler(tokenizer=str.split)
    engine, llm, question = _built(case.name, case.streaming, counter)
    before = parts(engine)
    adapter = StreamingQueryEngine(engine, show=case.show)
    with _default(llm):
        if case.is_async:
            response, deltas, events, report = asyncio.run(_ask(adapter, question))
        else:
            response = adapter.query(question)
            deltas, events = list(response.read()), list(response.events())
            report = asyncio.run(check_stream(response.stream))
    asked = _asked_of(response, deltas, llm, counter)
    return OursAsked(
        **vars(asked), events=events, report=report, before=before, after=parts(engine)
    )


async def _ask(adapter: StreamingQueryEngine, question: str) -> tuple[Any, ...]:
    async with asyncio.timeout(120):
        response = await adapter.aquery(question)
        deltas = [delta async for delta in response.read()]
        events = [event async for event in response.events()]
        return response, deltas, events, await check_stream(response.stream)


def upstream(case: Case) -> Asked:
    """What comes of it when upstream's engine is asked itself, built to stream if that works."""
    kind = KINDS[case.name]
    streaming = case.streaming and kind.streamed_upstream
    return _upstream(kind.truth or case.name, streaming, case.is_async)


@functools.cache
def _upstream(name: str, streaming: bool, is_async: bool) -> Asked:
    counter = TokenCountingHandler(tokenizer=str.split)
    engine, llm, question = _built(name, streaming, counter)
    with _default(llm):
        if is_async:
            response, deltas = asyncio.run(_read_async(engine, question))
        else:
            response = query(engine, question)
            deltas = list(_read(response))
    return _asked_of(response, deltas, llm, counter)


def _built(name: str, streaming: bool, counter: TokenCountingHandler) -> Any:
    # U53: no_text asks for the default LLM when it is built.
    with _default(ScriptedLLM()):
        return build(name, streaming, callback_manager=CallbackManager([counter]))


def _asked_of(
    response: Any, deltas: list[str], llm: ScriptedLLM, counter: TokenCountingHandler
) -> Asked:
    return Asked(
        response,
        deltas,
        sources=[node.node.get_content() for node in response.source_nodes],
        calls=len(llm.calls),
        counted=(counter.prompt_llm_token_count, counter.completion_llm_token_count),
        said=llm.said,
    )


def _read(response: Any) -> Generator[str, None, None]:
    live = getattr(response, "response_gen", None)
    if live is None:
        # str() of a response without an answer is 'None'.
        yield str(response) if response.response else ""
        return
    yield from live


async def _read_async(engine: Any, question: str) -> tuple[Any, list[str]]:
    response = await engine.aquery(question)
    if not isinstance(response, AsyncStreamingResponse):
        return response, list(_read(response))
    live: AsyncIterator[str] = response.async_response_gen()
    return response, [delta async for delta in live]


@contextmanager
def _default(llm: ScriptedLLM) -> Generator[None]:
    """Retry engines of core ask the default LLM, whichever they were given."""
    Settings.llm = llm
    try:
        yield
    finally:
        Settings.llm = None  # pyright: ignore[reportAttributeAccessIssue] # as core documents
