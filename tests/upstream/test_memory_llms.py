"""What memories that ask LLMs do when these fail."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemory, ChatSummaryMemoryBuffer

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, fail
from tests.support.query.listed_store import extracting_facts

SAID = [
    ChatMessage("Where is it, and how does one get there?"),
    ChatMessage("On Gull Rock, by boat.", role="assistant"),
    ChatMessage("Why?"),
]


def failing() -> FakeStreamingLLM:
    """An LLM that fails."""
    return FakeStreamingLLM([Turn(fail(OSError("gone")))], repeat_last=True)


def summing_up() -> Any:
    """A memory that has to sum up what it has."""
    made: Any = ChatSummaryMemoryBuffer
    return made.from_defaults(
        chat_history=list(SAID), llm=failing(), token_limit=6, tokenizer_fn=str.split
    )


def test_a_summary_that_fails_loses_messages() -> None:
    """Two of three, that it was to have kept, are gone, and their tokens still count."""
    memory = summing_up()
    with pytest.raises(OSError, match="gone"):
        memory.get()
    assert (len(memory.get_all()), memory.get_token_count()) == (1, 6)


def test_facts_that_fail_are_never_asked_for_again() -> None:
    """Messages are put away before the block is told: what it does not take is lost to it."""
    memory: Any = extracting_facts(failing(), SAID, limit=10)
    with pytest.raises(OSError, match="gone"):
        asyncio.run(memory.aput(ChatMessage("So?")))
    assert len(asyncio.run(memory.aget_all("archived"))) > 0
    assert memory.memory_blocks[0].facts == []


def test_an_async_summary_is_made_in_a_thread_that_goes_on() -> None:
    """To cancel the task does not end it."""
    assert ChatSummaryMemoryBuffer.aget is BaseMemory.aget
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    class Slow(ChatSummaryMemoryBuffer):
        def get(self, *args: Any, **kwargs: Any) -> list[ChatMessage]:
            began.set()
            go_on.wait(120)
            ended.set()
            return []

    async def cancelled() -> None:
        task = asyncio.create_task(Slow(token_limit=6).aget())
        await asyncio.to_thread(began.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not ended.is_set()
        go_on.set()

    asyncio.run(cancelled())
    assert ended.wait(120)
