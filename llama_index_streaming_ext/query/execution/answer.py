"""The answer of a query as its engine gives it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from textwrap import shorten
from types import FrameType
from typing import Any, cast

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    StreamingResponse,
)
from pydantic import BaseModel

from llama_index_streaming_ext.query.tracing.purposes import AsyncPlacedAnswer, PlacedAnswer
from llama_index_streaming_ext.threads.to_thread import pumped

logger = logging.getLogger("llama_index_streaming_ext")


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
    """Return True if core's code generates an answer, and so adds nothing to the LLM's text.

    An engine of core's, such as a router, may give back the answer of an engine that is not.

    Args:
        response: the response of an engine.
    """
    live: Any = _generator_of(response)
    while isinstance(live, PlacedAnswer | AsyncPlacedAnswer):
        live = live.source
    frame: FrameType | None = getattr(live, "gi_frame", None) or getattr(live, "ag_frame", None)
    # Code that was made by `exec` may be of no module.
    module = str(frame.f_globals.get("__name__")) if frame is not None else ""
    # This package's own generators hand on what an LLM says.
    return module.startswith(("llama_index.", "llama_index_streaming_ext."))


class CoreAnswer:
    """The answer as core gives it, compared with the text that an LLM call has written already."""

    def __init__(self) -> None:
        self._text = ""

    def unwritten(self, delta: str, written: str) -> str:
        """Return the part of core's answer that is not in the log yet; empty if core repeats it.

        Args:
            delta: the next delta of core's answer.
            written: the text in the log.
        """
        self._text += delta
        return self._text[len(written) :] if self._text.startswith(written) else ""

    def compare(self, run_id: str, written: str) -> None:
        """Log a warning if core's answer differs: the text in the log cannot be taken back.

        Args:
            run_id: the id of the query.
            written: the text in the log.
        """
        if self._text.strip() not in written:
            text = shorten(self._text, 200)
            logger.warning("%s: core makes another answer of it: %r", run_id, text)
