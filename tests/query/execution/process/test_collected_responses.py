"""A response that is collected unread stops its query at the server."""

from __future__ import annotations

import asyncio
import gc

from llama_index_streaming_ext.query.engine import StreamingQueryEngine
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, text
from tests.support.query.engines import QUESTION, page
from tests.support.query.openai_on_loops import LONG

STALLED = Turn(text("word "), gate("never"))


def test_one_that_is_collected_unread_is_stopped() -> None:
    """Nobody can ask for it any more."""
    fake = FakeOpenAI([STALLED])
    with fake.serve():
        response = StreamingQueryEngine(page(fake.llm(), False)).query(QUESTION)
        fake.wait_requests(1, LONG)
        assert not response.stream.closed
        del response
        gc.collect()
        assert fake.requests[0].wait_closed(LONG)


def test_an_async_one_that_is_collected_unread_is_stopped() -> None:
    """Nobody can ask for it any more."""

    async def main() -> None:
        fake = FakeOpenAI([STALLED])
        with fake.serve():
            engine = StreamingQueryEngine(page(fake.llm(), False))
            response = await engine.aquery(QUESTION)
            await asyncio.to_thread(fake.wait_requests, 1, LONG)
            assert not response.stream.closed
            del response
            gc.collect()
            assert await fake.requests[0].await_closed(LONG)

    asyncio.run(main())
