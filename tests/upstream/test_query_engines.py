"""What core's query engines do when they are built to stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)

from tests.support.query import engines, scripted

TOKENS = scripted.ANSWER_TOKENS


@pytest.fixture(autouse=True)
def default_llm() -> Iterator[None]:
    """What core asks for by itself: of the retry engines, and of no_text (U53)."""
    Settings.llm = scripted.ScriptedLLM()
    yield
    Settings.llm = None  # pyright: ignore[reportAttributeAccessIssue] # as core documents


def asked(name: str) -> tuple[Any, scripted.ScriptedLLM]:
    """What a kind of engine gives that is built to stream, and its LLM."""
    engine, llm, question = engines.build(name, streaming=True)
    return engines.query(engine, question), llm


async def asked_async(name: str) -> tuple[Any, scripted.ScriptedLLM]:
    """What a kind of engine gives that is built to stream, and its LLM."""
    engine, llm, question = engines.build(name, streaming=True)
    return await engine.aquery(question), llm


def before_first(live: Iterator[str], llm: scripted.ScriptedLLM) -> int:
    """How many tokens the calls of the LLM had handed out before the first one was read."""
    next(token for token in live if token)
    return llm.produced - 1


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("as_query_engine", 0),
        ("hyde", TOKENS),
        ("compact", 2 * TOKENS),
        ("tree_summarize", 3 * TOKENS),
        ("sub_question", 47),
        ("router_multi", 32),
        ("multi_step", 4 * TOKENS),
    ],
)
def test_u52_nothing_is_read_before_the_last_call(name: str, before: int) -> None:
    """U52: the first token is read after all the tokens of all the calls but the last."""
    response, llm = asked(name)
    assert before_first(response.response_gen, llm) == before


@pytest.mark.parametrize(("name", "before"), [("tree_summarize", 36), ("sub_question", 47)])
async def test_u52_nothing_is_read_before_the_last_call_async(name: str, before: int) -> None:
    """U52: and so it is with `aquery`."""
    response, llm = await asked_async(name)
    live: AsyncIterator[str] = response.async_response_gen()
    async for token in live:
        if token:
            break
    assert llm.produced - 1 == before


@pytest.mark.parametrize("name", ["retry", "retry_twice", "retry_source", "retry_guideline"])
def test_u54_retry_engines_give_a_drained_stream(name: str) -> None:
    """U54: Retry, RetrySource and RetryGuideline read the answer to judge it, and hand it out."""
    response, _ = asked(name)
    assert isinstance(response, StreamingResponse)
    assert list(response.response_gen) == []


@pytest.mark.parametrize(
    "name", ["sql_join", "retry", "retry_twice", "retry_source", "retry_guideline"]
)
async def test_u54_some_async_engines_give_the_sync_type(name: str) -> None:
    """U54: `aquery` of some engines runs the sync path, and gives a StreamingResponse."""
    response, _ = await asked_async(name)
    assert isinstance(response, StreamingResponse)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("sub_question", StreamingResponse),
        ("output_cls_tree", StreamingResponse),
        ("sql_auto_vector", Response),
        ("no_text", Response),
        ("own_text", Response),
        ("own_response", Response),
        ("own_streaming", StreamingResponse),
    ],
)
def test_u54_the_type_depends_on_the_engine(name: str, given: type) -> None:
    """U54: what an engine gives that is built to stream is of this type or of that."""
    response, _ = asked(name)
    assert type(response) is given


def test_u54_a_generator_is_handed_through() -> None:
    """U54: a custom engine whose method is a generator gives that, and no response."""
    response, _ = asked("own_generator")
    assert not isinstance(response, Response | StreamingResponse | PydanticResponse)


async def test_u54_an_async_generator_is_an_error() -> None:
    """U54: and where the async method is a generator, `aquery` cannot be awaited."""
    with pytest.raises(TypeError, match="can't be used in 'await' expression"):
        await asked_async("own_async_generator")


@pytest.mark.parametrize("name", ["accumulate", "compact_accumulate"])
async def test_u53_accumulate_cannot_stream_async(name: str) -> None:
    """U53: accumulate and compact_accumulate raise ValueError in `aquery`, too."""
    with pytest.raises(ValueError, match="Unable to stream in Accumulate response mode"):
        await asked_async(name)


async def test_u54_a_streaming_aquery_gives_the_async_type_elsewhere() -> None:
    """U54: where `aquery` has a path of its own it gives an AsyncStreamingResponse."""
    response, _ = await asked_async("sub_question")
    assert isinstance(response, AsyncStreamingResponse)


def test_u63_tree_summarize_forgets_its_output_cls() -> None:
    """U63: a tree_summarize that streams gives text, whatever class it was to fill in."""
    response, _ = asked("output_cls_tree")
    assert "".join(response.response_gen).endswith("metres high, people say.")
