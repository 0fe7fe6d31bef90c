"""What the calls of an engine say is seen while they say it, not when the engine is done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from engines import KINDS, build
from llama_index.core import Settings

from llama_index_streaming_ext.events import AnswerDelta, LLMCallDelta
from llama_index_streaming_ext.query.engine import stream_query

SEEN = (LLMCallDelta, AnswerDelta)

AT_ONCE = 6
"""How many tokens may be said before the first one is seen: of calls that are made at once."""

WRITING = [name for name in KINDS if name not in {"no_text", "context_only"}]


def started(name: str, streaming: bool) -> tuple[Any, Any, str]:
    """An engine whose LLM takes its time, so that a reader in another thread keeps up."""
    engine, llm, question = build(name, streaming, pace=0.002)
    Settings.llm = llm
    return engine, llm, question


@pytest.fixture(autouse=True)
def default_llm() -> Any:
    """Retry engines of core ask the default LLM, whichever they were given."""
    yield
    Settings.llm = None  # pyright: ignore[reportAttributeAccessIssue] # as core documents


@pytest.mark.parametrize("name", WRITING)
def test_a_sync_query_is_seen_at_once(name: str) -> None:
    """A reader of a sync query gets the first token of the first call when it is said."""
    engine, llm, question = started(name, KINDS[name].both)
    response: Any = stream_query(engine, question, show="calls")
    seen = [llm.produced for event in response.events(SEEN) if event.delta]
    assert seen[0] <= AT_ONCE


@pytest.mark.parametrize(
    "name",
    WRITING,
)
def test_an_async_query_is_seen_at_once(name: str) -> None:
    """A reader of an async query gets the first token of the first call when it is said."""
    engine, llm, question = started(name, KINDS[name].both)

    async def first() -> int:
        response: Any = stream_query(engine, question, show="calls")
        async with asyncio.timeout(30):
            seen = [llm.produced async for event in response.events(SEEN) if event.delta]
            return seen[0]

    assert asyncio.run(first()) <= AT_ONCE
