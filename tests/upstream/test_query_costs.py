"""What is built on in how core's query engines stop, and what they keep (U62, U64)."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core import MockEmbedding, SummaryIndex
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import TextNode

from llama_index_streaming_ext.testing import FakeOpenAI, FakeStreamingLLM, Turn, gate, text


async def test_u62_cancelling_the_task_that_asks_closes_the_providers_stream() -> None:
    """Core's engine in a task of its own: the server sees the abort when that is cancelled."""
    fake = FakeOpenAI([Turn(text("It ", "is "), gate("never"))])
    with fake.serve():
        index: Any = SummaryIndex([TextNode(text="Paris")], embed_model=MockEmbedding(2))
        # U51: compact streams on newer cores only.
        made = index.as_query_engine(
            llm=fake.llm(), streaming=True, response_mode="simple_summarize"
        )
        came = asyncio.Event()

        async def ask() -> None:
            response = await made.aquery("?")
            async for _ in response.response_gen:
                came.set()

        asking = asyncio.create_task(ask())
        await asyncio.wait_for(came.wait(), 30)
        assert fake.requests[0].ended_by is None
        asking.cancel()
        await asyncio.wait({asking})
        assert await fake.requests[0].await_closed()
        fake.open("never")


async def test_u64_each_chunk_says_all_the_text_so_far() -> None:
    """The cumulative contract: what the chunks of n words say is quadratic in n."""
    words = ["word "] * 40
    llm = FakeStreamingLLM([Turn(text(*words))])
    said = 0
    async for chunk in await llm.astream_chat([ChatMessage(content="?")]):
        said += len(chunk.message.content or "")
    assert said >= 5 * 40 * 41 // 2
