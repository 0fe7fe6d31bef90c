"""Stopping a run closes the provider's HTTP stream, with the real OpenAI class over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llama_index_streaming_ext import FunctionAgent, StreamingHandler
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, text, wait

STORY = [text("word "), wait(0.01)] * 6000


async def first_word(handler: StreamingHandler) -> None:
    """Return when the first text was streamed."""
    async for _ in handler.text_stream():
        return


async def stop(way: str, handler: StreamingHandler) -> None:
    """Stop a run in one of the ways there are."""
    if way == "cancel_run":
        await handler.cancel_run()
    elif way == "cancel":
        handler.cancel()
    else:
        async with handler:
            pass


@pytest.mark.filterwarnings("ignore:WorkflowHandler.cancel:DeprecationWarning")
@pytest.mark.parametrize("way", ["cancel_run", "cancel", "leave the block"])
@pytest.mark.parametrize("stalled", [False, True])
async def test_stopping_closes_the_http_stream(way: str, stalled: bool) -> None:
    """The server sees the client go, also while it has nothing to send (L8)."""
    parts: list[Any] = [text("word "), gate("never")] if stalled else STORY
    fake = FakeOpenAI([Turn(*parts)])
    with fake.serve():
        handler = FunctionAgent(llm=fake.llm()).run(user_msg="a story")
        await first_word(handler)
        await stop(way, handler)
        assert (await handler.outcome()).status == "cancelled"
        await fake.requests[0].await_closed(timeout=120)
        assert fake.requests[0].ended_by == "client"
        fake.open("never") if stalled else None


async def test_breaking_out_stops_nothing() -> None:
    """A reader that leaves is not the owner: the run goes on, as upstream (U12)."""
    fake = FakeOpenAI([Turn(text(*["word "] * 20))])
    with fake.serve():
        handler = FunctionAgent(llm=fake.llm()).run(user_msg="a story")
        await first_word(handler)
        await asyncio.wait_for(handler.stream.ended(), 120)
    assert (await handler.outcome()).text == "word " * 20
