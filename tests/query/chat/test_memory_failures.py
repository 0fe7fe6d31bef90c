"""A memory that fails in what it does besides, while a turn is written into it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_streaming_ext import StreamingChatEngine
from llama_index_streaming_ext.testing import fail
from tests.support.query.asking import BOTH
from tests.support.query.chat_engines import ANSWER, answering
from tests.support.query.listed_store import extracting_facts
from tests.support.query.lookers import saying

LONG_AGO = [
    ChatMessage("Where is it, and how does one get there?"),
    ChatMessage("On Gull Rock, by boat.", role="assistant"),
]


def turn(memory: Any, is_async: bool) -> None:
    """One turn of a chat, to its end."""
    core: Any = SimpleChatEngine(answering(), memory, prefix_messages=[])
    chat = StreamingChatEngine(core)
    if is_async:
        asyncio.run(_aturn(chat))
    else:
        list(chat.stream_chat("why").read())


async def _aturn(chat: StreamingChatEngine) -> None:
    async for _ in (await chat.astream_chat("why")).read():
        pass


@BOTH
def test_question_and_answer_stay_together(is_async: bool) -> None:
    """An LLM of the memory fails when the question is put: the answer is put all the same."""
    memory = extracting_facts(saying(fail(ConnectionError("gone"))), LONG_AGO, limit=12)
    with pytest.raises(ConnectionError, match="gone"):
        turn(memory, is_async)
    remembered = [message.content for message in asyncio.run(memory.aget_all())]
    assert remembered[-2:] == ["why", ANSWER]


class Closed(ChatMemoryBuffer):
    """A memory that takes no questions."""

    def put(self, message: ChatMessage) -> None:
        """Take what is no question."""
        if message.role == "user":
            raise OSError("the store is closed")
        super().put(message)

    async def aput(self, message: ChatMessage) -> None:
        """Take what is no question."""
        self.put(message)


@BOTH
def test_an_answer_without_its_question_is_not_put(is_async: bool) -> None:
    """Nothing of a turn is put if its question could not be put."""
    memory = Closed(token_limit=3000, tokenizer_fn=str.split)
    with pytest.raises(OSError, match="the store is closed"):
        turn(memory, is_async)
    assert memory.get_all() == []
