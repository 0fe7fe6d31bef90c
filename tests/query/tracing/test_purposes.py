"""What LLMs are asked for, and that observing an engine changes nothing else."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.evaluation import RelevancyEvaluator
from llama_index.core.llms.llm import stream_completion_response_to_tokens
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.query_engine import (
    RetryQueryEngine,
)

from llama_index_streaming_ext.events import QueryStarted, SubAnswer, SubQuestion
from llama_index_streaming_ext.query.answer_stream.engines import stream_last_call
from llama_index_streaming_ext.query.context.call_tree import Span, Work
from llama_index_streaming_ext.query.execution.answer import is_by_core
from llama_index_streaming_ext.query.tracing.parts import observe
from llama_index_streaming_ext.query.tracing.purposes import AsyncPlacedAnswer, PlacedAnswer
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.looks import check_all
from tests.support.query.asking import BOTH, Log, copied, observed, read, streamed
from tests.support.query.core_engines import QUERY_ENGINES, answered, fake, plain, vectors


@pytest.fixture(autouse=True)
def _default_llm(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(Settings, "_llm", fake())


@pytest.fixture
def log() -> Log:
    """The log of a query."""
    return Log()


def _llm(log: Log) -> FakeStreamingLLM:
    """An LLM that notes where in the query it is asked."""
    return FakeStreamingLLM(log.seeing(answered))


@BOTH
@pytest.mark.parametrize(
    ("name", "purposes"),
    [
        ("router_single", ["select", "synthesize"]),
        ("sub_question", ["sub_questions", "synthesize", "synthesize", "synthesize"]),
        ("hyde", ["transform", "synthesize"]),
        ("multi_step", ["transform", "synthesize"] * 2 + ["synthesize"]),
        ("retry", ["synthesize", "evaluate"]),
        ("retry_guideline", ["synthesize", "evaluate"]),
        ("rerank", ["rerank", "synthesize"]),
        ("fusion", ["retrieve", "synthesize"]),
        ("router_retriever", ["retrieve", "synthesize"]),
        ("custom", ["call"]),
    ],
)
def test_llms_are_asked_for_a_purpose(
    log: Log, name: str, purposes: list[str], is_async: bool
) -> None:
    """By the part that asks; also the answer, whose LLM is asked when it is read (U51)."""
    observed(QUERY_ENGINES[name](_llm(log)), log, is_async)
    assert log.purposes == purposes


@BOTH
def test_the_call_of_an_answer_is_a_part_of_its_engine(log: Log, is_async: bool) -> None:
    """Though the engine has returned long before the LLM is asked."""
    observed(QUERY_ENGINES["hyde"](_llm(log)), log, is_async)
    (event,) = log.of(QueryStarted)
    assert log.places[-1] == Span(event.call_id, "synthesize")


@BOTH
@pytest.mark.parametrize("mode", ["refine", "accumulate", "tree_summarize"])
def test_all_calls_of_a_synthesizer_have_its_purpose(log: Log, mode: str, is_async: bool) -> None:
    """Also where core makes them in a loop of its own."""
    engine = plain(_llm(log), response_mode=mode, use_async=True)
    observed(engine, log, is_async)
    assert set(log.purposes) == {"synthesize"}


@BOTH
def test_an_evaluator_is_left(log: Log, is_async: bool) -> None:
    """Its holder has a stand-in, and the user's own object is as it was."""
    evaluator = RelevancyEvaluator(llm=fake())
    before = dict(vars(evaluator))
    observed(RetryQueryEngine(plain(fake()), evaluator), log, is_async)
    assert vars(evaluator) == before


# What is changed


def observing_changes_no_answer(name: str, is_async: bool) -> None:
    """The text is that of a copy that nobody observes."""
    expected = streamed(QUERY_ENGINES[name](fake()), is_async)
    answer = observed(QUERY_ENGINES[name](fake()), Log(), is_async)
    assert (answer.text, len(answer.pieces)) == (expected.text, len(expected.pieces))


def the_order_of_preparations_does_not_matter(name: str) -> None:
    """`observe` may come before `stream_last_call`, or after it."""
    log, other = Log(), Log()
    copy = copied(QUERY_ENGINES[name](fake()))
    stream_last_call(copy, is_async=False)
    observe(copy, other.work)
    read(copy, False)
    swapped = copied(QUERY_ENGINES[name](fake()))
    observe(swapped, log.work)
    stream_last_call(swapped, is_async=False)
    read(swapped, False)
    assert log.events == other.events


@pytest.mark.parametrize("name", QUERY_ENGINES)
def test_engine(name: str) -> None:
    """Each engine answers as if nobody observed it."""
    check_all(
        [
            ("sync", partial(observing_changes_no_answer, name, False)),
            ("async", partial(observing_changes_no_answer, name, True)),
            ("order", partial(the_order_of_preparations_does_not_matter, name)),
        ]
    )


def test_to_observe_twice_changes_nothing(log: Log) -> None:
    """For the same query."""
    copy = copied(QUERY_ENGINES["sub_question"](fake()))
    observe(copy, log.work)
    observe(copy, log.work)
    read(copy, False)
    assert [len(log.of(SubQuestion)), len(log.of(SubAnswer)), len(log.of(QueryStarted))] == [2] * 3


def test_the_users_engine_is_not_observed(log: Log) -> None:
    """Only the copy is."""
    engine = QUERY_ENGINES["router_single"](fake())
    observe(copied(engine), log.work)
    engine.query("why")
    assert log.events == []


@pytest.mark.parametrize("name", ["sub_question", "router_multi", "tool_router"])
def test_queries_at_once_do_not_mix(name: str) -> None:
    """Each log has what a query alone has."""

    async def ask(engine: Any, log: Log) -> None:
        copy = copied(engine)
        observe(copy, log.work)
        stream_last_call(copy, is_async=True)
        response = await copy.aquery("why")
        async for _ in response.response_gen:
            pass

    async def together(count: int) -> list[Log]:
        engine, logs = QUERY_ENGINES[name](fake()), [Log() for _ in range(count)]
        await asyncio.gather(*(ask(engine, log) for log in logs))
        return logs

    alone = asyncio.run(together(1))[0]
    assert all(log.events == alone.events for log in asyncio.run(together(5)))


@BOTH
def test_a_stream_has_its_type(log: Log, is_async: bool) -> None:
    """What is put around the tokens leaves core's types alone."""
    answer = observed(plain(fake()), log, is_async)
    expected = AsyncStreamingResponse if is_async else StreamingResponse
    assert isinstance(answer.response, expected)


def test_an_engine_without_llm_is_observed(log: Log) -> None:
    """The retriever's events, and nothing else."""
    engine = vectors().as_query_engine(llm=fake(), response_mode="no_text")
    observed(engine, log)
    assert [type(event).__name__ for event in log.events] == [
        "RetrievalStarted",
        "SourcesRetrieved",
    ]


def test_postprocessors_in_lists_are_seen(log: Log) -> None:
    """Engines hold them in a list, which is the user's."""
    ranker = LLMRerank(llm=_llm(log), top_n=1)
    engine = plain(fake(), node_postprocessors=[ranker])
    observed(engine, log)
    assert (log.purposes, engine._node_postprocessors) == (["rerank"], [ranker])


def _users() -> Generator[str]:
    yield "a"
    yield "b"


def test_a_placed_answer_of_users_is_not_cores() -> None:
    """The generator around an answer says by its `source` whose answer it is, also when begun."""
    work = Work(lambda event: None, "query")
    with work.at_work("synthesize") as place:
        placed = PlacedAnswer(work, place, PlacedAnswer(work, place, _users()))
    assert not is_by_core(StreamingResponse(placed))
    assert next(placed) == "a"
    assert not is_by_core(StreamingResponse(placed))
    assert list(placed) == ["b"]


async def test_a_placed_async_answer_of_users_is_not_cores() -> None:
    """The async generator around an answer says by its `source` whose answer it is."""

    async def users() -> AsyncGenerator[str]:
        yield "a"
        yield "b"

    work = Work(lambda event: None, "query")
    with work.at_work("synthesize") as place:
        placed = AsyncPlacedAnswer(work, place, users())
    assert not is_by_core(AsyncStreamingResponse(placed))
    assert [token async for token in placed] == ["a", "b"]


def _no_chunks() -> Generator[CompletionResponse]:
    yield from ()


def test_a_placed_answer_of_core_is_cores() -> None:
    """Core's generator around an LLM's stream is core's, also behind ours."""
    core = stream_completion_response_to_tokens(_no_chunks())
    work = Work(lambda event: None, "query")
    with work.at_work("synthesize") as place:
        placed = PlacedAnswer(work, place, core)
    assert is_by_core(StreamingResponse(placed))
