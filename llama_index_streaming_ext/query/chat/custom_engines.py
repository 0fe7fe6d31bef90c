"""Answers of users' own chat engines, read as soon as their writer puts them into the queue.

Such engines build core's `StreamingAgentChatResponse`, as the documentation shows. Its own readers
poll, are late by up to 100 ms, and hang if the writer died (U60). Here the queue is read directly,
and the writer's thread or task tells its end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    StreamingResponse,
)
from llama_index.core.chat_engine.types import StreamingAgentChatResponse

from llama_index_streaming_ext.errors import StreamingError

Ask = Callable[..., Any]
"""Calls a method of the engine, by its name."""


class _Spoken(StreamingResponse):
    """The streamed answer of a user's engine, with its sources."""

    sources: Any = ()


class _AsyncSpoken(AsyncStreamingResponse):
    """The streamed answer of a user's async engine, with its sources."""

    sources: Any = ()


def ask_own(ask: Ask, *, strict: bool) -> Any:
    """Return the answer of a user's engine: streamed, or whole if the engine cannot stream.

    Args:
        ask: calls a method of the engine by its name.
        strict: True to raise NotImplementedError if the engine cannot stream.
    """
    try:
        response = ask("stream_chat")
    except NotImplementedError:
        if strict:
            raise
        return ask("chat")
    if not _is_cores(response):
        return response
    live = _written(response) if _has_writer(response) else response.response_gen
    return _with_sources(_Spoken(live), response)


async def aask_own(ask: Callable[[str], Awaitable[Any]], *, strict: bool) -> Any:
    """Return the answer as `ask_own` does, by the engine's async methods."""
    try:
        response = await ask("astream_chat")
    except NotImplementedError:
        if strict:
            raise
        return await ask("achat")
    if not _is_cores(response):
        return response
    if response.awrite_response_to_history_task is not None:
        live = _awritten(response, response.awrite_response_to_history_task)
    elif _has_writer(response):
        # This engine streams in a thread also for async callers.
        return _with_sources(_Spoken(_written(response)), response)
    else:
        live = response.async_response_gen()
    return _with_sources(_AsyncSpoken(live), response)


def _with_sources(spoken: Any, response: StreamingAgentChatResponse) -> Any:
    """Return `spoken` with the sources of core's response."""
    spoken.source_nodes, spoken.sources = response.source_nodes, response.sources
    return spoken


def _is_cores(response: object) -> bool:
    # Ours is one of those as well, and reads better by itself.
    return isinstance(response, StreamingAgentChatResponse) and not isinstance(
        response, StreamingResponse | AsyncStreamingResponse
    )


def _has_writer(response: StreamingAgentChatResponse) -> bool:
    return response.write_response_to_history_thread is not None


_ENDED = object()


def _written(response: StreamingAgentChatResponse) -> Generator[str, None, None]:
    """Yield the deltas that a thread writes."""
    writer: Any = response.write_response_to_history_thread
    queue: Any = vars(response)["queue"]

    def tell() -> None:
        writer.join()
        queue.put(_ENDED)

    threading.Thread(target=tell, name="chat-writer-ended", daemon=True).start()
    while (delta := queue.get()) is not _ENDED:
        if delta:
            yield delta
    _check(response)


async def _awritten(
    response: StreamingAgentChatResponse, writer: asyncio.Task[Any]
) -> AsyncGenerator[str, None]:
    """Yield the deltas that a task writes."""
    # The writer would make the queue when it starts.
    fields = vars(response)
    queue: asyncio.Queue[Any] = fields["aqueue"] or asyncio.Queue()
    fields["aqueue"] = queue
    writer.add_done_callback(lambda _: queue.put_nowait(_ENDED))
    try:
        while (delta := await queue.get()) is not _ENDED:
            if delta:
                yield delta
    finally:
        writer.cancel()
        await asyncio.wait({writer})
    if writer.cancelled():
        raise StreamingError("What wrote the chat engine's answer was cancelled (U60).")
    error = writer.exception()
    if error is not None:
        raise error


def _check(response: StreamingAgentChatResponse) -> None:
    if response.exception is not None:
        raise response.exception
    if not response.is_done:
        raise StreamingError(
            "The thread that wrote the chat engine's answer was broken off: what its LLM raised "
            "is no Exception (U60), and was reported by threading.excepthook."
        )
