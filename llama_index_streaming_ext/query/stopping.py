"""LLM calls that stop with their query, in the task or the thread that makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

from .bridge import StopSignal
from .within import asking


async def stoppable(
    chunks: AsyncGenerator[Any, None], stop: StopSignal | None
) -> AsyncGenerator[Any, None]:
    """The chunks, until the query is stopped: then the reading task is cancelled.

    The engine of a synchronous query may run parts of itself on event loops of its own.
    """
    remove = _cancel_with(stop)
    try:
        with asking():
            first = await anext(chunks, None)
        if first is not None:
            yield first
        async for chunk in chunks:
            yield chunk
    finally:
        remove()
        await chunks.aclose()


async def or_stopped(answering: Awaitable[Any], stop: StopSignal | None) -> Any:
    """What is awaited, unless the query is stopped: then the waiting task is cancelled."""
    remove = _cancel_with(stop)
    try:
        return await answering
    finally:
        remove()


def _cancel_with(stop: StopSignal | None) -> Callable[[], None]:
    """Cancel the running task when the query is stopped."""
    if stop is None:
        return lambda: None
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        if task is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    return stop.on_stop(cancel)


def until_stopped(
    chunks: Generator[Any, None, None], stop: StopSignal | None
) -> Generator[Any, None, None]:
    """The chunks of an LLM that must be asked in this thread: a stop shows with the next one."""
    try:
        with asking():
            chunk = next(chunks, None)
        while chunk is not None:
            if stop is not None:
                stop.check()
            yield chunk
            chunk = next(chunks, None)
    finally:
        chunks.close()
