"""The default LLM is a real OpenAI class."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core import Settings

from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.events import (
    LLMCallFinished,
)
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text, wait
from tests.support.query.asking import BOTH
from tests.support.query.lookers import TOKENS, Looking, ask
from tests.support.query.openai_on_loops import LONG


@BOTH
def test_the_real_class_is_seen(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    """Also with the usage that the provider says."""
    fake = FakeOpenAI([Turn(text(*TOKENS))])
    with fake.serve():
        monkeypatch.setattr(Settings, "_llm", fake.llm())
        seen = ask(Looking(way="chat"), is_async=is_async, show="calls")
    (end,) = seen.of(LLMCallFinished)
    assert (seen.shown, end.finish_reason, end.usage is not None) == ("It is so.", "stop", True)


async def test_a_stop_reaches_the_server_from_the_querys_own_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its call is cancelled with the task; one in a thread comes to its end."""
    fake = FakeOpenAI([Turn(text("It"), wait(60), text(" is."))])
    with fake.serve():
        monkeypatch.setattr(Settings, "_llm", fake.llm())
        run = StreamingQueryEngine(Looking()).start("why", is_async=True)
        await asyncio.to_thread(fake.wait_requests, 1, LONG)
        run.stop()
        await run.stopped()
        assert await asyncio.to_thread(fake.requests[0].wait_closed, LONG)
        fake.open("never")
