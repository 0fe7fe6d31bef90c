"""Many queries at once, in tasks and in threads: every event belongs to its own query."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llama_index_streaming_ext.events import LLMCallStarted, QueryFinished, SourcesRetrieved
from llama_index_streaming_ext.query.engine import StreamingQueryEngine
from tests.support.query.engines import of_mode
from tests.support.query.scripted import ScriptedLLM

MODES = ["compact", "tree_summarize", "refine", "simple_summarize"]
QUESTIONS = [f"How high is the tower of lighthouse {number}?" for number in range(16)]


def shape(events: list[Any]) -> list[str]:
    """What has happened, but for the order of what is done at once."""
    return sorted(type(event).__name__ for event in events)


def check(question: str, events: list[Any], alone: list[str]) -> None:
    """All of one query's events are its own, and there are as many as if it were asked alone."""
    query_id = events[0].call_id
    assert events[0].query == question
    assert {event.call_id.rpartition("-")[0] for event in events if called(event)} <= {query_id}
    assert shape(events) == alone
    assert isinstance(events[-1], QueryFinished)


def called(event: Any) -> bool:
    """Whether an event is of a piece of work within a query."""
    return isinstance(event, LLMCallStarted | SourcesRetrieved)


def engine_of(mode: str) -> StreamingQueryEngine:
    """One engine, with one LLM, for all of them."""
    return StreamingQueryEngine(of_mode(mode)(ScriptedLLM(), False), show="calls")


@pytest.mark.parametrize("mode", MODES)
def test_queries_in_threads_are_not_crossed(mode: str) -> None:
    """One engine is asked by all."""
    engine = engine_of(mode)

    def ask(question: str) -> list[Any]:
        response = engine.query(question)
        events = list(response.events())
        assert str(response) == events[-1].text
        return events

    alone = [shape(ask(question)) for question in QUESTIONS]
    with ThreadPoolExecutor(len(QUESTIONS)) as threads:
        for question, events, one in zip(
            QUESTIONS, threads.map(ask, QUESTIONS), alone, strict=True
        ):
            check(question, events, one)


@pytest.mark.parametrize("mode", MODES)
def test_queries_in_tasks_are_not_crossed(mode: str) -> None:
    """One engine is asked by all."""
    engine = engine_of(mode)

    async def ask(question: str) -> list[Any]:
        response = await engine.aquery(question)
        return [event async for event in response.events()]

    async def main() -> None:
        alone = [shape(await ask(question)) for question in QUESTIONS]
        together = await asyncio.gather(*map(ask, QUESTIONS))
        for question, events, one in zip(QUESTIONS, together, alone, strict=True):
            check(question, events, one)

    asyncio.run(main())
