"""Safe reads of a memory that asks an LLM to summarize the messages that it drops.

A `ChatSummaryMemoryBuffer` takes the messages out of its store, calls the LLM, and puts back those
that it keeps. If the LLM fails or is stopped, the messages are lost, but still counted.
Canary: `tests/upstream/test_memory_llms.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemory, ChatSummaryMemoryBuffer

from llama_index_streaming_ext.upstream.chat_engines import TOKEN_COUNT

_T = TypeVar("_T")


def get(memory: BaseMemory, *args: Any, **kwargs: Any) -> list[ChatMessage]:
    """Return the result of `memory.get`; if that fails, restore the memory's messages."""
    if not isinstance(memory, ChatSummaryMemoryBuffer):
        return memory.get(*args, **kwargs)
    with _unharmed(memory):
        return memory.get(*args, **kwargs)


async def aget(memory: BaseMemory, *args: Any, **kwargs: Any) -> list[ChatMessage]:
    """Return the result of `memory.aget`; if that fails, restore the memory's messages."""
    if not isinstance(memory, ChatSummaryMemoryBuffer):
        return await memory.aget(*args, **kwargs)
    if type(memory).aget is not BaseMemory.aget:
        with _unharmed(memory):
            return await memory.aget(*args, **kwargs)
    # A thread goes on when its task is cancelled: nobody else is to have the memory meanwhile.
    return await to_the_end(asyncio.to_thread(get, memory, *args, **kwargs))


@contextmanager
def _unharmed(memory: ChatSummaryMemoryBuffer) -> Generator[None]:
    before, counted = list(memory.get_all()), memory.get_token_count()
    try:
        yield
    except BaseException:
        memory.set(before)
        TOKEN_COUNT.set(memory, counted)
        raise


async def to_the_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Wait for the end of work, also if the caller is cancelled meanwhile, however often."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
