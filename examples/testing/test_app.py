"""The chatbot, tested in five ways. No key, no network, no waiting.

pip install 'llama-index-streaming-ext[openai,testing]' pytest-asyncio
pytest examples/testing
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from app import Chatbot
from llama_index.core.llms import LLM
from llama_index.llms.openai import OpenAI

from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    VirtualClock,
    disconnect,
    gate,
    http,
    text,
    tool_call,
    wait,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_llm_network")]

CHECKS = Turn(text("Let me", " check. "), tool_call("weather", city="Paris"))
ANSWERS = Turn(text("It is", " sunny", " in Paris."))
SHOWN = [
    *("Let me", " check. "),
    "[weather]",
    *("It is", " sunny", " in Paris."),
]


async def test_script(fake_llm: Callable[..., FakeStreamingLLM]) -> None:
    """A script: what you write is what streams. Calls too many or too few fail the test."""
    llm = fake_llm([CHECKS, ANSWERS])
    assert [piece async for piece in Chatbot(llm).answer("How is Paris?")] == SHOWN
    assert llm.calls[1].messages[-1].content == "It is sunny in Paris."


async def test_failure_mid_stream(fake_llm: Callable[..., FakeStreamingLLM]) -> None:
    """The connection breaks in the middle of a word: the text so far stays, and it is said."""
    llm = fake_llm([Turn(text("It is", " sun"), disconnect())])
    shown = [piece async for piece in Chatbot(llm).answer("How is Paris?")]
    assert shown == ["It is", " sun", "(Sorry, something went wrong.)"]


async def test_timeout(
    fake_llm: Callable[..., FakeStreamingLLM], virtual_clock: VirtualClock
) -> None:
    """The LLM hangs: after 45 s, which take milliseconds here, the user is told."""
    llm = fake_llm([Turn(text("It is"), wait(60.0), text(" sunny."))])
    bot = Chatbot(llm)
    assert [piece async for piece in bot.answer("?")] == ["It is", "(Sorry, that took too long.)"]


async def test_stop_button(fake_llm: Callable[..., FakeStreamingLLM]) -> None:
    """The stop button stops the LLM, too."""
    llm = fake_llm([Turn(text("Once", " upon"), gate("never opened"), text(" a time"))])
    bot = Chatbot(llm)
    shown: list[str] = []
    async for piece in bot.answer("A story, please"):
        shown.append(piece)
        if piece == " upon":
            await bot.stop()
    assert shown == ["Once", " upon", "(Stopped.)"]
    assert await llm.calls[0].ended() == "CancelledError"


@pytest.mark.llm_cassette("cassettes/paris.jsonl")
async def test_cassette(llm_cassette: Callable[[Callable[[], LLM]], LLM]) -> None:
    """A recording, chunk by chunk. With a key, record your own: pytest --llm-record=all."""
    llm = llm_cassette(lambda: OpenAI(model="gpt-4o-mini"))
    shown = [piece async for piece in Chatbot(llm).answer("How is the weather in Paris?")]
    assert "[weather]" in shown
    assert shown[-1] == "."


async def test_wire(fake_openai: Callable[..., FakeOpenAI], virtual_clock: VirtualClock) -> None:
    """The real OpenAI class against a fake wire: a rate limit, then bytes that come one by one."""
    fake = fake_openai([Turn(http(429, retry_after=8.0)), CHECKS, ANSWERS], split="byte")
    bot = Chatbot(OpenAI(model="gpt-4o-mini"))
    assert [piece async for piece in bot.answer("How is Paris?")] == SHOWN
    assert virtual_clock.elapsed == 8.0
    assert fake.requests[0].json["tools"][0]["function"]["name"] == "weather"
