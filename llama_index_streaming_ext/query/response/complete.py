"""The whole text of whatever an engine gives back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from pydantic import BaseModel

from llama_index_streaming_ext.threads.loops import running_loop


def complete(response: Any) -> str:
    """The text of a response, all of it; one that streams is read to its end.

    The text of one that somebody has read already is not lost (U54), and an answer that is empty is
    empty, not `'None'`.

    Args:
        response: a str, one of core's responses, a generator, or None.

    Raises:
        TypeError: it is no response; or it streams asynchronously, and an event loop is running in
            this thread, which would wait for itself (U57).
    """
    if isinstance(response, StreamingResponse):
        return _read(response)
    if isinstance(response, Iterator):
        return "".join(map(text_of_chunk, cast("Iterator[Any]", response)))
    if isinstance(response, AsyncStreamingResponse | AsyncIterator):
        _check_no_loop(cast("Any", response))
        return asyncio.run(acomplete(cast("Any", response)))
    return _whole(response)


async def acomplete(response: Any) -> str:
    """Return the result of `complete` without blocking the event loop.

    Raises:
        TypeError: it is no response.
    """
    if isinstance(response, AsyncStreamingResponse):
        return await _aread(response)
    if isinstance(response, AsyncIterator):
        return await _joined(cast("AsyncIterator[Any]", response))
    if isinstance(response, StreamingResponse | Iterator):
        # U54: some engines give a sync stream to async callers.
        return await asyncio.to_thread(complete, response)
    return _whole(response)


def finished(response: Any) -> Any:
    """The response, as a complete one if it streams. It has the same sources and metadata."""
    return _replaced(response, complete(response)) if streams(response) else response


async def afinished(response: Any) -> Any:
    """Return the result of `finished` without blocking the event loop."""
    return _replaced(response, await acomplete(response)) if streams(response) else response


def streams(response: object) -> bool:
    """Return True if a response streams, or did until it was read."""
    return isinstance(
        response, StreamingResponse | AsyncStreamingResponse | Iterator | AsyncIterator
    )


def text_of_chunk(chunk: Any) -> str:
    """The text of one element of a generator: users' engines give those of their LLM, too."""
    return chunk if isinstance(chunk, str) else getattr(chunk, "delta", None) or ""


def _whole(response: Any) -> str:
    if response is None or isinstance(response, str):
        return response or ""
    if isinstance(response, PydanticResponse | Response):
        # Not str(): it says 'None' where there is nothing to say.
        return _whole(cast("Any", response.response))
    if isinstance(response, BaseModel):
        return response.model_dump_json()
    raise TypeError(
        f"{type(response).__name__} is no response: a query engine is to give a str, a Response, "
        "a StreamingResponse, an AsyncStreamingResponse, a PydanticResponse or a generator."
    )


def _read(response: StreamingResponse) -> str:
    if type(response) is not StreamingResponse:
        return _whole(response.get_response())
    if response.response_txt is None and cast("Any", response.response_gen) is not None:
        response.response_txt = "".join(map(text_of_chunk, response.response_gen))
    return response.response_txt or ""


async def _aread(response: AsyncStreamingResponse) -> str:
    if type(response) is not AsyncStreamingResponse:
        return _whole(await response.get_response())
    # Core's own text grows while it is read, and stays where the reader has stopped (U55). Its lock
    # is not taken: a reader that has left its loop may hold it for good.
    if cast("Any", response.response_gen) is not None:
        rest = await _joined(response.response_gen)
        response.response_txt = (response.response_txt or "") + rest
    return response.response_txt or ""


async def _joined(chunks: AsyncIterator[Any]) -> str:
    return "".join([text_of_chunk(chunk) async for chunk in chunks])


def _replaced(response: Any, text: str) -> Response:
    sources = list(getattr(response, "source_nodes", None) or [])
    return Response(text, source_nodes=sources, metadata=getattr(response, "metadata", None))


def _check_no_loop(response: object) -> None:
    if running_loop() is None:
        return
    raise TypeError(
        f"This {type(response).__name__} streams asynchronously, and the event loop of this thread "
        "cannot wait for itself: use aquery() of the engine, or await acomplete(response)."
    )
