"""L8 holds for a StreamingLLM that is read by itself: who leaves its stream closes the LLM's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage

from llama_index_streaming_ext import StreamingLLM
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, scripts
from tests.support.laws.laws import examples, turns
from tests.support.laws.stopped import SETTLED, no_thread_left, run_alone

METHODS = st.sampled_from(["stream_chat", "stream_complete", "stream_chat_with_tools"])
NOTHING: st.SearchStrategy[dict[str, Any]] = st.just({})
SCRIPTS = scripts({"now": NOTHING})
COUNTS = st.integers(0, 12)
ASKED_AT_MOST = 2
"""Chunks more than were read: the next one, and the one that is cancelled when it is awaited."""


def asked(llm: Any, method: str) -> Any:
    """What a method gives."""
    if method.endswith("complete"):
        return getattr(llm, method)("?")
    if method.endswith("tools"):
        return getattr(llm, method)([], user_msg="?", chat_history=[])
    return getattr(llm, method)([ChatMessage("?")])


def check_closed(llm: FakeStreamingLLM, read: int) -> None:
    """The fake's answer is closed, and was asked for no more than was read."""
    for call in llm.calls:
        assert call.closed_by is not None
        assert call.chunks <= read + ASKED_AT_MOST


async def closing(chunks: AsyncGenerator[Any, None], count: int) -> int:
    """Read some chunks, and close."""
    read = 0
    with suppress(Exception):
        while read < count:
            await anext(chunks)
            read += 1
    await chunks.aclose()
    return read


async def cancelled(chunks: AsyncGenerator[Any, None], count: int) -> int:
    """Read some chunks, and be cancelled while the next one is awaited."""
    read = 0
    came = asyncio.Event()

    async def reads() -> None:
        nonlocal read
        try:
            async for _ in chunks:
                read += 1
                if read >= count:
                    came.set()
        finally:
            came.set()

    reading = asyncio.create_task(reads())
    if count:
        await came.wait()
    else:
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    if not reading.cancelled():
        reading.exception()
    return read


async def raising(chunks: AsyncGenerator[Any, None], count: int) -> int:
    """Read some chunks, and throw an error into the stream."""
    read = 0
    with suppress(Exception):
        while read < count:
            await anext(chunks)
            read += 1
    with suppress(ZeroDivisionError, StopAsyncIteration):
        await chunks.athrow(ZeroDivisionError())
    return read


@examples(25)
@given(
    script=SCRIPTS,
    dialect=st.sampled_from(["chat", "responses"]),
    method=METHODS,
    count=COUNTS,
    leave=st.sampled_from([closing, cancelled, raising]),
)
def test_a_task_that_leaves(
    script: list[Turn],
    dialect: Any,
    method: str,
    count: int,
    leave: Callable[[AsyncGenerator[Any, None], int], Any],
) -> None:
    """It closes the stream, is cancelled, or throws, after any number of chunks."""
    llm = FakeStreamingLLM(script, dialect=dialect)

    async def main() -> None:
        chunks = await asked(StreamingLLM(llm), f"a{method}")
        read = await leave(chunks, count)
        check_closed(llm, read)
        await turns(SETTLED)
        check_closed(llm, read)

    run_alone(main)


def drop(chunks: list[Generator[Any, None, None]]) -> None:
    """Forget a stream."""
    chunks.clear()


def close(chunks: list[Generator[Any, None, None]]) -> None:
    """Close a stream."""
    chunks[0].close()


def throw(chunks: list[Generator[Any, None, None]]) -> None:
    """Throw an error into a stream."""
    with suppress(ZeroDivisionError, StopIteration):
        chunks[0].throw(ZeroDivisionError())


@examples(25)
@given(
    script=SCRIPTS,
    dialect=st.sampled_from(["chat", "responses"]),
    method=METHODS,
    count=COUNTS,
    leave=st.sampled_from([drop, close, throw]),
)
def test_a_thread_that_leaves(
    script: list[Turn],
    dialect: Any,
    method: str,
    count: int,
    leave: Callable[[list[Generator[Any, None, None]]], None],
) -> None:
    """It closes the stream, forgets it, or throws, after any number of chunks."""
    llm = FakeStreamingLLM(script, dialect=dialect)
    with no_thread_left():
        chunks = [asked(StreamingLLM(llm), method)]
        read = 0
        with suppress(Exception):
            while read < count:
                next(chunks[0])
                read += 1
        leave(chunks)
        check_closed(llm, read)
