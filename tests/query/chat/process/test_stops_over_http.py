"""A stop of a turn closes the provider's stream."""

from __future__ import annotations

import asyncio

import pytest

from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    gate,
)
from tests.support.query.chat_engines import (
    QUESTION,
    chatting,
    said,
)
from tests.support.query.half_read_turns import SAID, SO_FAR, aread_two, read_two
from tests.support.query.stopped_servers import CLOSED_WITHIN, aclosed_after, closed_after, served


@pytest.mark.parametrize("name", ["simple", "condense_question"])
def test_a_stop_closes_the_providers_stream(name: str) -> None:
    """Though the provider has nothing to send."""

    def one(fake: FakeOpenAI) -> float:
        engine = chatting(name, fake.llm())
        response = engine.stream_chat(QUESTION)
        read_two(response)
        seconds = closed_after(fake, response.close)
        assert said(engine.chat_history) == SO_FAR
        return seconds

    assert served(Turn(SAID, gate("never")), one) < CLOSED_WITHIN


@pytest.mark.parametrize("name", ["simple", "condense_question"])
def test_a_stop_closes_the_providers_stream_async(name: str) -> None:
    """Though the provider has nothing to send."""

    async def one(fake: FakeOpenAI) -> float:
        engine = chatting(name, fake.llm())
        response = await engine.astream_chat(QUESTION)
        await aread_two(response)
        seconds = await aclosed_after(fake, response.aclose)
        assert said(engine.chat_history) == SO_FAR
        return seconds

    turn = Turn(SAID, gate("never"))
    assert served(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN
