"""LLM calls that stop with their query, in the task or the thread that makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

from llama_index_streaming_ext.query.context.current_query import (
    current_query,
    enter_llm_call,
    leave_llm_call,
)
from llama_index_streaming_ext.query.context.options import Stop
from llama_index_streaming_ext.threads.loops import call_on_loop
from llama_index_streaming_ext.threads.stop_signal import StopSignal


async def stoppable(chunks: AsyncGenerator[Any, None], stop: Stop) -> AsyncGenerator[Any, None]:
    """The chunks, until the query is stopped: then the reading task is cancelled.

    The engine of a synchronous query may run parts of itself on event loops of its own, and so may
    threads of an asynchronous one.
    """
    remove, query = _cancel_with(stop), current_query()
    try:
        # An LLM may ask another one as late as between two chunks.
        while True:
            before = enter_llm_call(query)
            try:
                chunk = await chunks.__anext__()
            except StopAsyncIteration:
                return
            finally:
                leave_llm_call(before)
            yield chunk
    finally:
        remove()
        await chunks.aclose()


async def or_stopped(answering: Awaitable[Any], stop: Stop) -> Any:
    """Wait for an awaitable; cancel the waiting task if the query is stopped."""
    remove = _cancel_with(stop)
    try:
        return await answering
    finally:
        remove()


def _cancel_with(stop: Stop) -> Callable[[], None]:
    """Cancel the running task when the query is stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if stop.signal is None or loop is stop.loop:
        return lambda: None

    def cancel() -> None:
        if task is not None:
            call_on_loop(loop, task.cancel)

    return stop.signal.on_stop(cancel)


def until_stopped(
    chunks: Generator[Any, None, None], stop: StopSignal | None
) -> Generator[Any, None, None]:
    """The chunks of an LLM that must be asked in this thread: a stop shows with the next one."""
    query = current_query()
    try:
        while True:
            before = enter_llm_call(query)
            try:
                chunk = next(chunks, None)
            finally:
                leave_llm_call(before)
            if chunk is None:
                return
            if stop is not None:
                stop.check()
            yield chunk
    finally:
        chunks.close()
