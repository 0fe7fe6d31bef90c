"""What an engine gives back, as the deltas of the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from types import FrameType
from typing import Any, cast

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    StreamingResponse,
)
from pydantic import BaseModel

from llama_index_streaming_ext.threads.to_thread import pumped


def object_of(response: Any) -> Any:
    """The structured answer, None where there is none."""
    if isinstance(response, PydanticResponse):
        return response.response
    return response if isinstance(response, BaseModel) else None


def text_of(response: Any) -> str | None:
    """The whole text of a response that does not stream (any more), None of one that does."""
    if isinstance(response, StreamingResponse | AsyncStreamingResponse):
        # U54: one that is drained has its text; a generator that nobody gave is no stream.
        live = cast("Any", response.response_gen) is not None
        return None if response.response_txt is None and live else (response.response_txt or "")
    if isinstance(response, str):
        return response
    if isinstance(response, BaseModel):
        return response.model_dump_json()
    if isinstance(response, PydanticResponse):
        return response.response.model_dump_json() if response.response is not None else ""
    if isinstance(response, AsyncIterable | Generator):
        return None
    said = getattr(response, "response", response)
    # A Response says 'None' where it has nothing to say.
    return "" if said is None else str(said)


async def deltas(response: Any) -> AsyncGenerator[str, None]:
    """The answer of an async engine, some of which give back sync generators (U54)."""
    whole = text_of(response)
    if whole is not None:
        if whole:
            yield whole
        return
    live: Any = _generator_of(response)
    if isinstance(live, AsyncIterable):
        try:
            async for delta in cast("AsyncIterable[Any]", live):
                if delta:
                    yield str(delta)
        finally:
            # Or else it is closed some time after the query is said to have ended.
            if isinstance(live, AsyncGenerator):
                await live.aclose()
        return
    reading = pumped(lambda: iter(cast("Iterable[Any]", live)))
    try:
        async for delta in reading:
            if delta:
                yield str(delta)
    finally:
        await reading.aclose()


def deltas_sync(response: Any) -> Generator[str, None, None]:
    """The answer of a sync engine.

    Raises:
        TypeError: the engine gives back an async generator from its sync method.
    """
    whole = text_of(response)
    if whole is not None:
        if whole:
            yield whole
        return
    live: Any = _generator_of(response)
    if isinstance(live, AsyncIterable):
        raise TypeError("The engine's query() gave an async generator: use aquery() with it.")
    try:
        for delta in cast("Iterable[Any]", live):
            if delta:
                yield str(delta)
    finally:
        if isinstance(live, Generator):
            live.close()


def _generator_of(response: Any) -> Any:
    return getattr(response, "response_gen", response)


def is_by_core(response: Any) -> bool:
    """Whether the generator of an answer is core's code, which adds nothing to what the LLM says.

    An engine of core's, such as a router, may give back the answer of one that is not.
    """
    live: Any = _generator_of(response)
    while (frame := _frame_of(live)) is not None:
        # Code that was made by `exec` may be of no module.
        module = str(frame.f_globals.get("__name__"))
        if not module.startswith("llama_index_streaming_ext."):
            return module.startswith("llama_index.")
        # Ours are put around one of the engine's.
        live = frame.f_locals.get("tokens")
        if live is None:
            return True
    return False


def _frame_of(generator: Any) -> FrameType | None:
    return getattr(generator, "gi_frame", None) or getattr(generator, "ag_frame", None)
