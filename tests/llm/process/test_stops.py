"""Leaving a stream of `StreamingLLM` closes the provider's HTTP stream with it (U58)."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import MockLLM

from llama_index_streaming_ext import StreamingLLM
from llama_index_streaming_ext.llm.closing import aclose, close
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    ReceivedRequest,
    Turn,
    gate,
    text,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from llama_index_streaming_ext.threads.to_thread import pumped
from tests.support.provider_llms import DIALECTS, real
from tests.support.stopped_requests import STALLED, STORY, BeingAnswered

ASK = [ChatMessage("Hi")]
METHODS = ["chat", "complete"]


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Generator[None]:
    """What closes a stream is not the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def asked(method: str) -> Any:
    """What a method takes."""
    return ASK if method == "chat" else "Hi"


@contextmanager
def closes(request: ReceivedRequest) -> Generator[None]:
    """Checks that what is done in the block closes the HTTP stream of a request."""
    being_answered = BeingAnswered(request)
    yield
    request.wait_closed()
    being_answered.check_closed_soon()


def sends(request: ReceivedRequest, count: int) -> None:
    """Waits until the server has sent so many bytes."""
    while request.bytes_sent < count:
        time.sleep(0)


class Reader:
    """Reads a stream in a task of its own, up to a point."""

    def __init__(self, llm: Any, method: str) -> None:
        self.there = asyncio.Event()
        self.stream: Any = None
        self._llm = llm
        self._method = method

    async def read(self, chunks: int) -> None:
        """Read so many chunks, and wait for more if there are none."""
        self.stream = await getattr(self._llm, f"astream_{self._method}")(asked(self._method))
        seen = 0
        async for _ in self.stream:
            seen += 1
            if seen == chunks:
                self.there.set()

    async def until(self, chunks: int) -> None:
        """Read so many chunks, and leave the stream as it is."""
        self.stream = await getattr(self._llm, f"astream_{self._method}")(asked(self._method))
        for _ in range(chunks):
            await anext(self.stream)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("way", ["aclose", "break"])
async def test_leaving_an_async_stream_closes_it(way: str, method: str, dialect: Dialect) -> None:
    """Between two chunks: by `aclose()`, and by breaking out of a loop that alone has it."""
    fake = FakeOpenAI([Turn(*STORY)])
    with fake.serve():
        reader = Reader(StreamingLLM(real(fake, dialect)), method)
        await reader.until(3)
        with closes(fake.requests[0]):
            if way == "aclose":
                await reader.stream.aclose()
            else:
                reader.stream = None
                await fake.requests[0].await_closed()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stalled", [False, True])
async def test_cancelling_the_reader_closes_it(
    method: str, dialect: Dialect, stalled: bool
) -> None:
    """Also where the provider has gone silent."""
    parts: list[Any] = STALLED if stalled else STORY
    fake = FakeOpenAI([Turn(*parts)])
    with fake.serve():
        reader = Reader(StreamingLLM(real(fake, dialect)), method)
        task = asyncio.create_task(reader.read(3))
        await reader.there.wait()
        with closes(fake.requests[0]):
            task.cancel()
            await asyncio.wait([task])
        fake.open("never")
    assert task.cancelled()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_closing_a_sync_stream_closes_it(method: str, dialect: Dialect) -> None:
    """Also without an event loop."""
    fake = FakeOpenAI([Turn(*STORY)])
    with fake.serve():
        llm = StreamingLLM(real(fake, dialect))
        stream = getattr(llm, f"stream_{method}")(asked(method))
        for _ in range(3):
            next(stream)
        with closes(fake.requests[0]):
            stream.close()


async def test_what_was_read_ahead_is_not_asked_for_again() -> None:
    """Many chunks in one network read: closing goes past them, to the socket."""
    fake = FakeOpenAI([Turn(text(*["word "] * 100), gate("never"))], split="random:1")
    with fake.serve():
        reader = Reader(StreamingLLM(fake.llm()), "chat")
        await reader.until(2)
        await asyncio.to_thread(sends, fake.requests[0], 21_000)  # all, up to the gate
        with closes(fake.requests[0]):
            await reader.stream.aclose()
        fake.open("never")


async def test_closing_pulls_no_chunk() -> None:
    """The LLM's generator is ended where it waits."""
    llm = FakeStreamingLLM([Turn(text("a", "b", "c"))])
    reader = Reader(StreamingLLM(llm), "chat")
    await reader.until(2)
    await reader.stream.aclose()
    assert llm.calls[0].chunks == 2
    assert llm.calls[0].closed_by is not None


async def test_a_stream_that_was_never_read_makes_no_request() -> None:
    """U76: closing it does not begin it."""
    llm = FakeStreamingLLM([Turn(text("a"))])
    stream = await StreamingLLM(llm).astream_chat(ASK)
    await stream.aclose()
    assert not llm.calls


async def test_closing_does_not_cancel_who_closes() -> None:
    """The task goes on as if nothing had been."""
    reader = Reader(StreamingLLM(FakeStreamingLLM([Turn(text("a", "b"))])), "chat")
    await reader.until(1)
    await reader.stream.aclose()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


class Breaks(MockLLM):
    """Breaks when it is asked for a second chunk."""

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        """One chunk."""

        async def chunks() -> Any:
            message = ChatMessage(role="assistant", content="a")
            yield ChatResponse(message=message, delta="a")
            raise OSError("gone")

        return chunks()


async def test_what_breaks_when_nobody_reads_breaks_nobody() -> None:
    """The reader has left before the error came."""
    reader = Reader(StreamingLLM(Breaks(max_tokens=None)), "chat")
    await reader.until(1)
    await reader.stream.aclose()


async def test_a_generator_that_never_waits_is_closed_all_the_same() -> None:
    """However many chunks it has ready."""
    made = 0

    async def endless() -> AsyncGenerator[int]:
        nonlocal made
        while True:
            made += 1
            yield made

    chunks = endless()
    await anext(chunks)
    await aclose(chunks, begun=True)
    assert made < 1_000
    assert [chunk async for chunk in chunks] == []


async def test_a_pumped_generator_is_not_asked_for_more() -> None:
    """Its thread is told to end it."""
    closed = threading.Event()

    def tokens() -> Any:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    chunks = pumped(tokens)
    await anext(chunks)
    await aclose(chunks, begun=True)
    assert await asyncio.to_thread(closed.wait, 5)


def test_a_generator_that_somebody_else_has_stays_open() -> None:
    """Only what a loop iterates over, and nobody can name, is closed with it."""
    shared = iter([1, 2, 3])

    def other() -> Any:
        yield from shared

    mine = other()

    def reads() -> Any:
        held = mine
        for item in held:
            yield -item

    outer = reads()
    assert next(outer) == -1
    close(outer)
    assert next(mine) == 2


async def test_on_demand_a_thread_makes_no_item_ahead() -> None:
    """What is not waited for is not made."""
    made: list[int] = []

    def tokens() -> Any:
        for number in range(10):
            made.append(number)
            yield number

    chunks = pumped(tokens, on_demand=True)
    for number in range(3):
        assert await anext(chunks) == number
        await asyncio.to_thread(lambda: None)
        assert made == list(range(number + 1))
    await chunks.aclose()
