"""Closing an LLM's stream, with the generators beneath it and the HTTP stream beneath those.

U58: closing a generator leaves open what it iterates over, and the streams of the SDKs stand in
reference cycles, so that HTTP stays open until the garbage collector runs.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import AsyncGeneratorType, FrameType, GeneratorType
from typing import Any, TypeAlias, cast

from llama_index_streaming_ext.threads.to_thread import is_pumped

_logger = logging.getLogger("llama_index_streaming_ext")

_Async: TypeAlias = AsyncGenerator[Any, None]
_Sync: TypeAlias = Generator[Any, None, None]

# A provider's network read may have brought so many chunks at once, which wait for nothing.
_READY = 256


async def aclose(chunks: AsyncIterator[Any], *, begun: bool) -> None:
    """Close an LLM's stream.

    A task that is cancelled while it waits for a chunk closes all, down to the socket. So that is
    what is done: the next chunk is awaited, and that is cancelled.

    Args:
        chunks: the stream.
        begun: whether a chunk has come. If not, there is nothing beneath it (U76), and asking for
            a chunk would make the request.
    """
    try:
        if begun and isinstance(chunks, AsyncGeneratorType) and not is_pumped(cast("Any", chunks)):
            await _cancel_next(cast("_Async", chunks))
    finally:
        await _aclose(cast("AsyncIterator[Any]", chunks))


def close(chunks: Iterator[Any]) -> None:
    """Close an LLM's stream, of which nobody waits for a chunk."""
    if not isinstance(chunks, Generator):
        return
    inner = _beneath(cast("_Sync", chunks))
    chunks.close()
    for generator in inner:
        generator.close()


async def _cancel_next(chunks: _Async) -> None:
    for _ in range(_READY):
        try:
            # It cancels this task as soon as the loop has a turn, and takes that back.
            async with asyncio.timeout(0):
                await anext(chunks)
        except (TimeoutError, StopAsyncIteration):
            return
        except Exception:
            _logger.debug("An LLM's stream broke when nobody read it any more", exc_info=True)
            return


async def _aclose(chunks: AsyncIterator[Any]) -> None:
    inner = _wrapped_by_core(chunks)
    try:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    finally:
        for wrapped in inner:
            await _aclose(wrapped)


def _wrapped_by_core(chunks: AsyncIterator[Any]) -> list[_Async]:
    """Return the stream that a generator of core reads, and leaves open when it is closed.

    Core's callback decorators, and its helpers that turn chats into completions, are the only ones
    who know the generator that they wrap; the variables of a generator's frame are public.
    """
    frame = chunks.ag_frame if isinstance(chunks, AsyncGeneratorType) else None
    if frame is None or not _is_cores(frame):
        return []
    return [value for value in frame.f_locals.values() if isinstance(value, AsyncGeneratorType)]


def _is_cores(frame: FrameType) -> bool:
    return frame.f_globals["__name__"].startswith("llama_index.core.")


def _beneath(chunks: _Sync) -> list[_Sync]:
    """The generators that a generator iterates over, and those that these do, outermost first."""
    found: list[_Sync] = []
    newest = [chunks]
    while newest:
        newest = [inner for outer in newest for inner in _iterated(outer) if inner not in found]
        found += newest
    return found


def _iterated(outer: _Sync) -> list[_Sync]:
    frame = outer.gi_frame if isinstance(outer, GeneratorType) else None
    if frame is None:
        return []
    # What a `for` iterates over has no name; that the generator refers to it is all there is.
    referred: list[Any] = gc.get_referents(outer)
    # One with a name may belong to somebody else, but for core's.
    named: list[Any] = [] if _is_cores(frame) else list(frame.f_locals.values())
    kept = {id(value) for value in named}
    return [
        value for value in referred if id(value) not in kept and isinstance(value, GeneratorType)
    ]
