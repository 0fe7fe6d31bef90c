"""A generator that was put in the place of a query's tokens is pulled once, and read by all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor

from llama_index_streaming_ext.query.response.answer import AnswerCursor
from llama_index_streaming_ext.query.response.replaced import AsyncReplaced, Replaced

PATIENCE = 120.0
TOKENS = [str(number) for number in range(50)]


def test_threads_that_read_at_once_get_every_token() -> None:
    """Threads that wait for the same token each get it, and it is pulled once."""
    gate, both = threading.Event(), threading.Barrier(3)

    def said() -> Generator[str, None, None]:
        assert gate.wait(PATIENCE)
        yield from TOKENS

    answer = Replaced(said())

    def read() -> list[str]:
        both.wait(PATIENCE)
        return list(answer.follow_sync(AnswerCursor(answer)))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        both.wait(PATIENCE)
        gate.set()
        assert [reader.result(PATIENCE) for reader in readers] == [TOKENS, TOKENS]


async def test_tasks_that_read_at_once_get_every_token() -> None:
    """Tasks that wait for the same token each get it, and it is pulled once."""
    gate = asyncio.Event()

    async def said() -> AsyncGenerator[str, None]:
        await gate.wait()
        for token in TOKENS:
            yield token

    answer = AsyncReplaced(said())

    async def read() -> list[str]:
        return [token async for token in answer.follow(AnswerCursor(answer))]

    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(read()) for _ in range(3)]
        await asyncio.wait(readers, timeout=0)
        gate.set()
    assert [reader.result() for reader in readers] == [TOKENS] * 3


def test_what_was_whole_is_not_stopped() -> None:
    """Stopping after the end changes nothing."""
    answer = Replaced(TOKENS)
    answer.wait_sync()
    answer.stop()
    assert (answer.error, answer.text) == (None, "".join(TOKENS))


def test_a_token_that_comes_after_the_stop_is_dropped() -> None:
    """Tokens that a generator yields after the stop are not part of the answer."""

    def said() -> Generator[str, None, None]:
        answer.stop()
        yield "late"

    answer = Replaced(said())
    answer.wait_sync()
    assert (answer.text, type(answer.error).__name__) == ("", "StreamStopped")
