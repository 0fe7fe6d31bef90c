"""Async clients of OpenAI's SDK, each of which belongs to one LLM and one event loop.

Their connections are bound to the loop that has opened them. An LLM of LlamaIndex keeps one client
for all loops, so that its second loop fails, or waits for a retry.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.llms import LLM

from llama_index_streaming_ext.threads.loops import call_on_loop
from llama_index_streaming_ext.upstream.openai_clients import credentials_of, http_of

if TYPE_CHECKING:
    import httpx
    from openai import AsyncOpenAI

# Reentrant: garbage may be collected under it, and with it an LLM.
_lock = threading.RLock()
_by_loop: dict[AbstractEventLoop, _Clients] = {}
# The loop itself keeps no task alive.
_closing: set[asyncio.Task[None]] = set()


def client_of(llm: LLM, loop: AbstractEventLoop) -> AsyncOpenAI:
    """The client for the calls of an LLM on a loop.

    It is kept for the next call, and with it its connections, unless the LLM has
    `reuse_client=False`. Another one is made when the key, the URL, the headers, the timeout or
    the number of retries of the LLM is changed. A client is closed once it is not used any more:
    its LLM is collected, or changed, and its streams have ended; or the loop ends.

    Args:
        llm: `OpenAI` or `OpenAIResponses` of LlamaIndex, or one of a subclass.
        loop: a loop that runs.
    """
    return _clients_of(loop).get(llm)


def _clients_of(loop: AbstractEventLoop) -> _Clients:
    clients = _by_loop.get(loop)
    if clients is None:
        with _lock:
            # Of most, the end is seen; a loop may also be closed without its generators.
            for closed in [other for other in _by_loop if other.is_closed()]:
                del _by_loop[closed]
            clients = _by_loop.setdefault(loop, _Clients(loop))
    return clients


class _Kept(NamedTuple):
    """The client of an LLM, and what it was made for."""

    llm: weakref.ref[LLM]
    credentials: dict[str, Any]
    client: AsyncOpenAI


class _Clients:
    """The clients of one loop."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.RLock()
        self._kept: dict[int, _Kept] = {}
        self._open = weakref.WeakSet["httpx.AsyncClient"]()
        self._until_the_end: AsyncGenerator[None] | None = None

    def get(self, llm: LLM) -> AsyncOpenAI:
        credentials = _credentials(llm)
        # OpenAIResponses has no such field: it always keeps its client.
        if not getattr(llm, "reuse_client", True):
            return self._new(credentials)
        kept = self._kept.get(id(llm))
        if kept is None or kept.llm() is not llm or kept.credentials != credentials:
            with self._lock:
                kept = self._keep(llm, credentials)
        return kept.client

    def _keep(self, llm: LLM, credentials: dict[str, Any]) -> _Kept:
        key, by_llm = id(llm), self._kept
        kept = by_llm.get(key)
        # Another thread may have been quicker.
        if kept is None or kept.llm() is not llm or kept.credentials != credentials:
            watched = weakref.ref(llm, lambda gone: _forget(by_llm, key, gone))
            kept = by_llm[key] = _Kept(watched, credentials, self._new(credentials))
        return kept

    def _new(self, credentials: dict[str, Any]) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        client = AsyncOpenAI(**credentials)
        http = http_of(client)  # close() of the client would keep the rest
        self._open.add(http)
        # Streams hold their client. When the last of them is gone, nobody uses its connections.
        weakref.finalize(client, _close_soon, self._loop, http).atexit = False
        if self._until_the_end is None:
            self._until_the_end = self._close_at_the_end()
            self._loop.call_soon_threadsafe(_begin, self._until_the_end)
        return client

    async def _close_at_the_end(self) -> AsyncGenerator[None]:
        """Close the clients when the loop ends.

        `asyncio.run`, `asyncio.Runner` and what is built on them close the async generators that
        were begun in a loop before they close the loop. Nothing else tells of its end.
        """
        try:
            yield
        finally:
            _by_loop.pop(self._loop, None)
            self._kept.clear()
            await asyncio.gather(*(http.aclose() for http in list(self._open)))


def _forget(kept: dict[int, _Kept], key: int, gone: weakref.ref[LLM]) -> None:
    """Drop the client of an LLM that was collected, unless another LLM has its id by now."""
    entry = kept.get(key)
    if entry is not None and entry.llm is gone:
        del kept[key]


def _begin(generator: AsyncGenerator[None]) -> None:
    # It yields without waiting for anything.
    with contextlib.suppress(StopIteration):
        generator.__anext__().__await__().send(None)


def _close_soon(loop: AbstractEventLoop, http: httpx.AsyncClient) -> None:
    # A closed loop has closed its clients, or cannot any more.
    call_on_loop(loop, _close, loop, http)


def _close(loop: AbstractEventLoop, http: httpx.AsyncClient) -> None:
    task = loop.create_task(http.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _credentials(llm: LLM) -> dict[str, Any]:
    """Return the arguments for an async client as the LLM's class itself would make it."""
    credentials = credentials_of(llm)
    # The user's dict may change.
    headers = credentials["default_headers"]
    return {**credentials, "default_headers": dict(headers) if headers else headers}
