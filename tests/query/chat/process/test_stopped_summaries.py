"""A stop ends the call that summarises a memory."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import (
    ChatSummaryMemoryBuffer,
)

from llama_index_streaming_ext import StreamingChatEngine
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text, wait
from tests.support.query.chat_engines import answering
from tests.support.query.openai_on_loops import LONG
from tests.support.query.stopped_servers import CLOSED_WITHIN, closed_after, served
from tests.support.query.summaries import LONG_AGO, summaries


def test_a_stop_breaks_a_summary_off_at_the_server() -> None:
    """And the memory has all that it had."""
    memories: list[ChatSummaryMemoryBuffer] = []

    def one(fake: FakeOpenAI) -> float:
        memory = summaries(fake.llm())
        memories.append(memory)
        core: Any = SimpleChatEngine(answering(), memory, prefix_messages=[])
        run = StreamingChatEngine(core).start("why")
        took = closed_after(fake, run.stop)
        run.stopped_sync(LONG)
        return took

    assert served(Turn(text("It"), wait(60), text(" is.")), one) < CLOSED_WITHIN
    assert [memory.get_all() for memory in memories] == [LONG_AGO] * len(memories)


async def test_a_stop_breaks_a_summary_off_in_a_task() -> None:
    """The thread that core makes for it ends, and the memory has all that it had."""
    fake = FakeOpenAI([Turn(text("It"), wait(60), text(" is."))])
    with fake.serve():
        memory = summaries(fake.llm())
        core: Any = SimpleChatEngine(answering(), memory, prefix_messages=[])
        run = StreamingChatEngine(core).start("why", is_async=True)
        await asyncio.to_thread(fake.wait_requests, 1, LONG)
        run.stop()
        await run.stopped()
        assert await asyncio.to_thread(fake.requests[0].wait_closed, LONG)
        fake.open("never")
    assert memory.get_all() == LONG_AGO
