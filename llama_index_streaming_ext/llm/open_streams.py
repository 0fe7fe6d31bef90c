"""LLM streams that a step has begun, and has not read to their end: they are closed if it fails.

Python closes a generator when nobody refers to it any more. The traceback of the error does, and a
run keeps that, so that the provider would go on sending.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

_Stream: TypeAlias = AsyncGenerator[Any, None] | Generator[Any, None, None]
S = TypeVar("S", bound=_Stream)

_begun: ContextVar[OpenStreams | None] = ContextVar(
    "llama_index_streaming_ext.streams_begun", default=None
)


class OpenStreams:
    """The LLM streams that were begun in a context, and in the tasks and threads it was given."""

    def __init__(self) -> None:
        self._streams: weakref.WeakSet[_Stream] = weakref.WeakSet()

    def add(self, stream: _Stream) -> None:
        """A stream was begun."""
        self._streams.add(stream)

    async def aclose(self) -> None:
        """Close those that nobody is reading at this moment."""
        for stream in list(self._streams):
            if isinstance(stream, AsyncGenerator):
                if not _is_running(stream, "ag_running"):
                    await stream.aclose()
            elif not _is_running(stream, "gi_running"):
                stream.close()


def _is_running(stream: object, name: str) -> bool:
    """Return True if a generator is being read: what is none by type need not say it."""
    return bool(getattr(stream, name, False))


@contextmanager
def open_streams() -> Generator[OpenStreams, None, None]:
    """Take note of the LLM streams that are begun in this context."""
    streams = OpenStreams()
    token = _begun.set(streams)
    try:
        yield streams
    finally:
        _begun.reset(token)


def track_stream(stream: S) -> S:
    """An LLM stream is begun here; it is given back."""
    streams = _begun.get()
    if streams is not None:
        streams.add(stream)
    return stream
