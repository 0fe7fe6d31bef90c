"""Reading an LLM's stream to its end, through an `LLMCall`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

from llama_index_streaming_ext.llm.call import LLMCall
from llama_index_streaming_ext.llm.fallbacks import open_stream, open_stream_sync
from llama_index_streaming_ext.llm.options import Options


async def read(
    call: LLMCall,
    llm: Any,
    method: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    strict: bool,
) -> AsyncGenerator[Any, None]:
    """Ask an LLM and read its chunks; a caller that needs only the last one gets only that."""
    take, end = _ways_of(call, method)
    lead, left, chunks = call.max_lead, 0, None
    try:
        with call:
            await call.begin()
            chunks = await open_stream(
                llm, method, args, kwargs, strict=strict, on_demand=lead is not None
            )
            call.opened()
            async for chunk in chunks:
                given = take(chunk)
                if chunks.streamed is False:
                    call.not_streamed()
                if given is not None:
                    yield given
                if lead is not None:
                    left -= 1
                    if left < 0:
                        left = await call.room(lead)
            last = end()
            if last is not None:
                yield last
    finally:
        if chunks is not None:
            await chunks.aclose()


def read_sync(
    call: LLMCall,
    llm: Any,
    method: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    strict: bool,
) -> Generator[Any, None, None]:
    """Do what `read` does, by the LLM's sync face."""
    take, end = _ways_of(call, method)
    lead, chunks = call.max_lead, None
    try:
        with call:
            call.begin_sync()
            chunks = open_stream_sync(llm, method, args, kwargs, strict=strict)
            call.opened()
            for chunk in chunks:
                given = take(chunk)
                if chunks.streamed is False:
                    call.not_streamed()
                if given is not None:
                    yield given
                if lead is not None and not call.has_room():
                    call.room_sync(lead)
            last = end()
            if last is not None:
                yield last
    finally:
        if chunks is not None:
            chunks.close()


async def answer(llm: Any, options: Options, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask an LLM for its whole answer."""
    with LLMCall(llm, options) as call:
        await call.begin()
        response = call.take_whole(await ask())
        call.end_whole()
        return response


def answer_sync(llm: Any, options: Options, ask: Callable[[], Any]) -> Any:
    """Ask an LLM for its whole answer."""
    with LLMCall(llm, options) as call:
        call.begin_sync()
        response = call.take_whole(ask())
        call.end_whole()
        return response


def _ways_of(call: LLMCall, method: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """Return how a call takes the chunks of a method, and its end."""
    if method.endswith("complete"):
        return call.take_completion, call.end_completion
    return call.take, call.end
