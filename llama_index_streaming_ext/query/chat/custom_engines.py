"""Users' own chat engines: what their `stream_chat` gives, read without waiting for nothing.

They build core's `StreamingAgentChatResponse`, as the documents show it. Its own readers poll, are
late by up to 100 ms, and hang where the writer was broken off (U60): so what the writer puts into
the queue is read here, and that it has ended is told by its thread or task.
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
    """What a user's engine says, with what it asked for it."""

    sources: Any = ()


class _AsyncSpoken(AsyncStreamingResponse):
    """What a user's engine says to async callers, with what it asked for it."""

    sources: Any = ()


def ask_own(ask: Ask, *, strict: bool) -> Any:
    """What a user's engine answers: streamed, or whole if it cannot stream.

    Args:
        ask: calls a method of the engine.
        strict: raise NotImplementedError where it cannot.
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
    spoken = _Spoken(live, source_nodes=response.source_nodes)
    spoken.sources = response.sources
    return spoken


async def aask_own(ask: Callable[[str], Awaitable[Any]], *, strict: bool) -> Any:
    """What `ask_own` gives, of the engine's async face."""
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
        # One that streams in a thread also for async callers.
        spoken = _Spoken(_written(response), source_nodes=response.source_nodes)
        spoken.sources = response.sources
        return spoken
    else:
        live = response.async_response_gen()
    aspoken = _AsyncSpoken(live, source_nodes=response.source_nodes)
    aspoken.sources = response.sources
    return aspoken


def _is_cores(response: object) -> bool:
    # Ours is one of those as well, and reads better by itself.
    return isinstance(response, StreamingAgentChatResponse) and not isinstance(
        response, StreamingResponse | AsyncStreamingResponse
    )


def _has_writer(response: StreamingAgentChatResponse) -> bool:
    return response.write_response_to_history_thread is not None


_ENDED = object()


def _written(response: StreamingAgentChatResponse) -> Generator[str, None, None]:
    """The deltas that a thread writes."""
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
    """The deltas that a task writes."""
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
