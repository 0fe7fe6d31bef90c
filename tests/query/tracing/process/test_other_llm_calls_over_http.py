"""Calls of real OpenAI classes that only instrumentation sees."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.query_engine import CustomQueryEngine

from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    text,
    wait,
)
from tests.support.query.asking import BOTH
from tests.support.query.lookers import TOKENS, Looking, ask
from tests.support.query.openai_on_loops import LONG


@BOTH
def test_the_real_class_is_seen(is_async: bool) -> None:
    """With the finish reason that is in its chunks only."""
    fake = FakeOpenAI([Turn(text(*TOKENS))])
    with fake.serve():
        seen = ask(Looking(look=fake.llm, way="chat"), is_async=is_async)
    assert seen.calls == [("call", "stop")]


async def test_a_stop_reaches_a_loop_in_a_thread() -> None:
    """An LLM that is a field of a user's engine is stopped in every thread."""

    class InThread(CustomQueryEngine):
        llm: Any

        def custom_query(self, query_str: str) -> str:
            return ""

        async def acustom_query(self, query_str: str) -> str:
            return await asyncio.to_thread(asyncio.run, self.in_loop())

        async def in_loop(self) -> str:
            return (await self.llm.acomplete("why")).text

    fake = FakeOpenAI([Turn(text("It"), wait(60), text(" is."))])
    with fake.serve():
        run = StreamingQueryEngine(InThread(llm=fake.llm())).start("why", is_async=True)
        await asyncio.to_thread(fake.wait_requests, 1, LONG)
        run.stop()
        await run.stopped()
        try:
            assert await asyncio.to_thread(fake.requests[0].wait_closed, LONG)
        finally:
            fake.open("never")
