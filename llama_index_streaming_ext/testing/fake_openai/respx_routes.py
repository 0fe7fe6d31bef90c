"""Answers in process: respx takes the requests of httpx clients, and no socket is opened."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import httpx
import respx

from llama_index_streaming_ext.testing.fake_openai.answers import Head, Step, Steps
from llama_index_streaming_ext.testing.fake_openai.httpx2_guard import httpx2_refused
from llama_index_streaming_ext.testing.fake_openai.received import ReceivedRequest
from llama_index_streaming_ext.testing.gates import Gates
from llama_index_streaming_ext.testing.wire.items import Disconnect, Gate, Wait
from llama_index_streaming_ext.testing.wire.splitting import with_last

Receive = Callable[[str, str, dict[str, str], bytes], tuple[ReceivedRequest, Steps]]
"""A function of method, path, headers and body that returns the record and the answer."""

_AWAITS = "fake_openai.awaits"


@contextlib.contextmanager
def mocked(base_url: str, receive: Receive, gates: Gates) -> Generator[None]:
    """Answer all that httpx clients send to `base_url`, while the block runs.

    Requests to this machine pass through, so that local servers go on working; respx refuses any
    other.

    Args:
        base_url: the URL to answer at, with the `/v1` at its end.
        receive: makes the answers.
        gates: the gates that they may hold at.
    """

    def side_effect(request: httpx.Request) -> httpx.Response | Awaitable[httpx.Response]:
        playing = _Playing(request, receive, gates)
        return playing.aresponse() if request.extensions.get(_AWAITS) else playing.response()

    router = _Router(assert_all_called=False)
    router.route(url__startswith=base_url).mock(side_effect=side_effect)
    router.route(host__regex=r"^(localhost|127\..*|::1)$").pass_through()
    with httpx2_refused(base_url), router:
        yield


class _Router(respx.MockRouter):
    async def async_handler(self, request: httpx.Request) -> httpx.Response:
        # One side effect serves both kinds of clients; only here the kind is known.
        request.extensions[_AWAITS] = True
        return await super().async_handler(request)

    def record(self, request: httpx.Request, **kwargs: Any) -> None:
        """Keep nothing: a stream that the client drops has to be collected, as a socket is."""


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a response, for either kind of client."""

    def __init__(self, playing: _Playing) -> None:
        self._playing = playing
        self._pieces: Generator[bytes] | None = None
        self._apieces: AsyncGenerator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._pieces = self._playing.pieces()
        return self._pieces

    def close(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
        self._playing.received.end("client")

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._apieces = self._playing.apieces()
        return self._apieces

    async def aclose(self) -> None:
        if self._apieces is not None:
            await self._apieces.aclose()
        self._playing.received.end("client")


class _Playing:
    """An answer that is being given to one client."""

    def __init__(self, request: httpx.Request, receive: Receive, gates: Gates) -> None:
        path, headers = request.url.raw_path.decode("ascii"), dict(request.headers)
        self.received, self._steps = receive(request.method, path, headers, request.content)
        self._request = request
        self._gates = gates
        self._patience: float | None = request.extensions.get("timeout", {}).get("read")
        self._quiet = 0.0

    def response(self) -> httpx.Response:
        with self._ending():
            for step in self._steps:
                if isinstance(step, Head):
                    return self._begun(step)
                self._hold(step)
        raise AssertionError("an answer without a head")

    async def aresponse(self) -> httpx.Response:
        with self._ending():
            for step in self._steps:
                if isinstance(step, Head):
                    return self._begun(step)
                await self._ahold(step)
        raise AssertionError("an answer without a head")

    def pieces(self) -> Generator[bytes]:
        with self._ending():
            for step, last in with_last(self._steps):
                if isinstance(step, bytes):
                    self._sent(step, last=last)
                    yield step
                else:
                    self._hold(step)
            self.received.end("finished")

    async def apieces(self) -> AsyncGenerator[bytes]:
        with self._ending():
            for step, last in with_last(self._steps):
                if isinstance(step, bytes):
                    await asyncio.sleep(0)
                    self._sent(step, last=last)
                    yield step
                else:
                    await self._ahold(step)
            self.received.end("finished")

    def _begun(self, head: Head) -> httpx.Response:
        self.received.status = head.status
        self._quiet = 0.0
        return httpx.Response(head.status, headers=dict(head.headers), stream=_Body(self))

    def _sent(self, data: bytes, *, last: bool) -> None:
        # Before the client has it: one that stops reading at the last piece has not closed early.
        self.received.sent(data, last=last)
        self._quiet = 0.0

    @contextlib.contextmanager
    def _ending(self) -> Generator[None]:
        try:
            yield
        except httpx.ReadTimeout:
            # Over a socket, a client that loses its patience closes the connection.
            self.received.end("client")
            raise
        except Exception:
            self.received.end("server")
            raise
        except BaseException:
            # GeneratorExit and CancelledError: the client goes away.
            self.received.end("client")
            raise

    def _hold(self, step: Step) -> None:
        self._check(step)
        left = self._left()
        try:
            if isinstance(step, Gate):
                self._gates.wait(step, left)
            elif isinstance(step, Wait):
                time.sleep(step.seconds if left is None else min(step.seconds, left))
                self._waited(step)
        except TimeoutError:
            raise self._timed_out() from None

    async def _ahold(self, step: Step) -> None:
        self._check(step)
        try:
            async with asyncio.timeout(self._left()):
                if isinstance(step, Gate):
                    await self._gates.passed(step)
                elif isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                    self._waited(step)
        except TimeoutError:
            raise self._timed_out() from None

    def _check(self, step: Step) -> None:
        if isinstance(step, Disconnect):
            raise httpx.ReadError("Connection reset by peer", request=self._request)

    def _left(self) -> float | None:
        return None if self._patience is None else max(0.0, self._patience - self._quiet)

    def _waited(self, step: Wait) -> None:
        self._quiet += step.seconds
        if self._patience is not None and self._quiet > self._patience:
            raise TimeoutError

    def _timed_out(self) -> httpx.ReadTimeout:
        return httpx.ReadTimeout("The read operation timed out", request=self._request)
