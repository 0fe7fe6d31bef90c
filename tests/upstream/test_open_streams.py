"""What the OpenAI classes leave open when nobody reads them any more."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, text, wait
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.provider_llms import DIALECTS, real

ASK = [ChatMessage("Hi")]
STORY = [text("word "), wait(0.01)] * 30


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Generator[None]:
    """It would close them, some time."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_u58_an_async_stream_that_is_closed_stays_open(dialect: Dialect) -> None:
    """U58: the server sends the answer to its end."""
    fake = FakeOpenAI([Turn(*STORY)])
    with fake.serve():
        stream: Any = await real(fake, dialect).astream_chat(ASK)
        await anext(stream)
        await stream.aclose()
        assert await fake.requests[0].await_closed() is False
    assert fake.requests[0].ended_by == "finished"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_u58_so_does_a_sync_stream(dialect: Dialect) -> None:
    """U58: also where nothing has to be awaited."""
    fake = FakeOpenAI([Turn(*STORY)])
    with fake.serve():
        stream: Any = real(fake, dialect).stream_chat(ASK)
        next(stream)
        stream.close()
        assert fake.requests[0].wait_closed() is False
    assert fake.requests[0].ended_by == "finished"


async def test_u58_cancelling_who_waits_for_a_chunk_closes_it() -> None:
    """U58: the one way that there is upstream."""
    fake = FakeOpenAI([Turn(text("a"), gate("never"))])
    with fake.serve():
        stream: Any = await fake.llm().astream_chat(ASK)
        await anext(stream)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await read_on(stream)
        assert await fake.requests[0].await_closed() is True
        fake.open("never")


async def read_on(stream: Any) -> None:
    """Read to the end."""
    async for _ in stream:
        pass
