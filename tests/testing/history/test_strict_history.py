"""The fakes refuse the conversations that OpenAI refuses."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from llama_index_streaming_ext.testing import FakeOpenAI, FakeStreamingLLM, Turn, text

ORPHAN = [
    ChatMessage("hi"),
    ChatMessage(
        role="assistant", blocks=[ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs="{}")]
    ),
    ChatMessage("go on"),
]


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_the_fake_provider_answers_400(dialect: str) -> None:
    """A tool call without a result is a bad request, in both dialects, and takes no turn."""
    fake = FakeOpenAI([Turn(text("hello"))])
    with fake.mock():
        llm: Any = fake.llm() if dialect == "chat" else fake.responses_llm()
        with pytest.raises(openai.BadRequestError, match=r"has none|No tool output"):
            await llm.achat(ORPHAN)
    assert len(fake.left) == 1


async def test_the_fake_llm_raises_the_same() -> None:
    """The fake LLM raises the error of the real class when its stream is read."""
    llm = FakeStreamingLLM([Turn(text("hello"))])
    stream = await llm.astream_chat(ORPHAN)
    with pytest.raises(openai.BadRequestError, match="has none"):
        await anext(stream)
    with pytest.raises(openai.BadRequestError, match="has none"):
        llm.chat(ORPHAN)


async def test_strict_history_can_be_switched_off() -> None:
    """Without it any conversation is answered."""
    fake = FakeOpenAI([Turn(text("hello"))], strict_history=False)
    with fake.mock():
        assert str((await fake.llm().achat(ORPHAN)).message.content) == "hello"
    llm = FakeStreamingLLM([Turn(text("hello"))], strict_history=False)
    assert str((await llm.achat(ORPHAN)).message.content) == "hello"
