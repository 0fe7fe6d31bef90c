"""What the calls of an engine say is seen while they say it, not when the engine is done."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from llama_index.core import Settings

from llama_index_streaming_ext.events import AnswerDelta, LLMCallDelta
from llama_index_streaming_ext.query.engine import stream_query
from tests.support.looks import check_all
from tests.support.query.engines import KINDS, build

SEEN = (LLMCallDelta, AnswerDelta)

PATIENCE = 120.0
"""Seconds after which an LLM goes on that nobody has heard."""

WRITING = [name for name in KINDS if name not in {"no_text", "context_only"}]


class Held:
    """An engine whose LLM says no second token before somebody has seen the first one.

    Args:
        name: the kind of engine.
    """

    def __init__(self, name: str) -> None:
        self.engine, self._llm, self.question = build(name, KINDS[name].both, held="seen")
        Settings.llm = self._llm
        self.was_seen = False
        self._unseen = threading.Timer(PATIENCE, self._llm.open, ["seen"])
        self._unseen.daemon = True
        self._unseen.start()

    def sees(self, event: Any) -> None:
        """A reader gets an event."""
        if event.delta and not self._unseen.finished.is_set():
            self.was_seen = True
            self._unseen.cancel()
            self._llm.open("seen")


@pytest.fixture(autouse=True)
def default_llm() -> Any:
    """Retry engines of core ask the default LLM, whichever they were given."""
    yield
    Settings.llm = None  # pyright: ignore[reportAttributeAccessIssue] # as core documents


def a_sync_query_is_seen_at_once(name: str) -> None:
    """A reader of a sync query gets the first token of the first call when it is said."""
    held = Held(name)
    response: Any = stream_query(held.engine, held.question, show="calls")
    for event in response.events(SEEN):
        held.sees(event)
    assert held.was_seen


async def an_async_query_is_seen_at_once(name: str) -> None:
    """A reader of an async query gets the first token of the first call when it is said."""
    held = Held(name)
    response: Any = stream_query(held.engine, held.question, show="calls")
    async for event in response.events(SEEN):
        held.sees(event)
    assert held.was_seen


@pytest.mark.parametrize("name", WRITING)
def test_first_tokens(name: str) -> None:
    """The first token is seen before the LLM says a second one, sync and async."""
    check_all(
        [
            ("sync", lambda: a_sync_query_is_seen_at_once(name)),
            ("async", lambda: asyncio.run(an_async_query_is_seen_at_once(name))),
        ]
    )
