"""The fake provider: a script, served over the wire to real clients."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index_streaming_ext.testing.errors import NotServed, UnexpectedLLMCall
from llama_index_streaming_ext.testing.fake_llm.playback import Playback
from llama_index_streaming_ext.testing.fake_openai.answers import Head, Steps
from llama_index_streaming_ext.testing.fake_openai.endpoints import Endpoints
from llama_index_streaming_ext.testing.fake_openai.optional_modules import load
from llama_index_streaming_ext.testing.fake_openai.received import ReceivedRequest
from llama_index_streaming_ext.testing.fake_openai.served import Served
from llama_index_streaming_ext.testing.gates import Gates
from llama_index_streaming_ext.testing.script.turns import Script, Turn
from llama_index_streaming_ext.testing.wire.items import Disconnect, Gate, Wait
from llama_index_streaming_ext.testing.wire.splitting import Split, cut, sizes, with_last

if TYPE_CHECKING:
    from llama_index.llms.openai import OpenAI, OpenAIResponses

    from llama_index_streaming_ext.testing.fake_openai.http_server import Exchange

OPENAI_URL = "https://api.openai.com/v1"
"""The URL of OpenAI's own API, the default of `mock()`."""

_MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini")


class FakeOpenAI:
    """A fake of OpenAI's HTTP API that answers as a script says.

    It serves Chat Completions and Responses, streamed and not, and lists models. `serve()` starts
    a real server on this machine; `mock()` answers httpx clients in process.

    Args:
        script: the answers: turns, one for each call, or a function of the request.
        split: how the bytes of an answer are cut into writes: None (one for each event),
            `"byte"`, `"random:<seed>"`, or sizes in bytes that are gone through again and again.
        comments: whether a keep-alive comment goes before every event of a stream.
        crlf: whether the lines of a stream end in CR LF.
        strict: whether a call without a turn is refused (status 400, which the SDK does not try
            again); otherwise its answer is empty.
        repeat_last: whether the last turn answers all calls after it.
        strict_history: whether a conversation that OpenAI refuses is answered by status 400, as by
            OpenAI: a tool call without its result, for example. `check_history` has the rules.
        keep_alive: whether the server keeps a connection for further requests, as OpenAI's does.
            Off by default, because LlamaIndex's classes never close the connections that they
            keep, and Python then warns of unclosed sockets at the end of a test.
        models: the names that `GET /v1/models` lists.

    Example:
        >>> fake = FakeOpenAI([Turn(text("Hello", "!"))])
        >>> with fake.serve():
        ...     print(fake.llm().complete("Hi"))
        Hello!
    """

    def __init__(
        self,
        script: Script,
        *,
        split: Split = None,
        comments: bool = False,
        crlf: bool = False,
        strict: bool = True,
        repeat_last: bool = False,
        strict_history: bool = True,
        keep_alive: bool = False,
        models: Sequence[str] = _MODELS,
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self._playback = Playback(script, strict=strict, repeat_last=repeat_last)
        self._endpoints = Endpoints(
            self._playback,
            models,
            comments=comments,
            crlf=crlf,
            strict_history=strict_history,
        )
        self._sizes = sizes(split)
        self._keep_alive = keep_alive
        self._gates = Gates()
        self._arrived = threading.Condition()
        self._urls: list[str] = []

    @property
    def url(self) -> str:
        """The base URL, ending in `/v1`, of the last `serve()` or `mock()` that was entered.

        Raises:
            NotServed: neither is active.
        """
        if not self._urls:
            raise NotServed
        return self._urls[-1]

    @property
    def unexpected(self) -> list[UnexpectedLLMCall]:
        """The calls that the script had no turn for."""
        return self._endpoints.unexpected

    @property
    def left(self) -> list[Turn]:
        """The turns that no call has taken yet; empty if the script is a function."""
        return self._playback.left

    def open(self, gate: str) -> None:
        """Open the gate of that name. Any thread may call it."""
        self._gates.open(gate)

    def wait_requests(self, count: int = 1, timeout: float = 30.0) -> list[ReceivedRequest]:
        """Wait until a number of requests were received, and return all requests.

        Args:
            count: the number of requests.
            timeout: how long to wait, in seconds.

        Raises:
            TimeoutError: fewer requests came in that time.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} of {count} requests in {timeout} s")
            return list(self.requests)

    def serve(self, *, host: str = "127.0.0.1", port: int = 0) -> Served:
        """Return a real HTTP/1.1 server in a thread of its own, to be entered by `with`.

        Args:
            host: the address to listen on.
            port: the port, or 0 for a free one.

        Raises:
            MissingDependency: h11 is not installed.
        """
        return Served(lambda: self._serving(host, port))

    def mock(self, *, base_url: str = OPENAI_URL) -> Served:
        """Answer in process the requests that httpx clients, sync and async, send to `base_url`.

        Other requests are refused, except those to this machine. An httpx2 client, which cannot
        be intercepted, gets a refusal that says so.

        Args:
            base_url: the URL to answer at, with the `/v1` at its end.

        Raises:
            MissingDependency: respx is not installed.
        """
        return Served(lambda: self._mocking(base_url))

    def llm(self, **kwargs: Any) -> OpenAI:
        """Return the real `llama_index.llms.openai.OpenAI`, pointed at this fake.

        Args:
            kwargs: arguments of the class; they override the fake's model, URL and key.

        Raises:
            MissingDependency: llama-index-llms-openai is not installed.
            NotServed: neither `serve()` nor `mock()` is active.
        """
        return load("llama_index.llms.openai").OpenAI(**self._defaults() | kwargs)

    def responses_llm(self, **kwargs: Any) -> OpenAIResponses:
        """Return the real `llama_index.llms.openai.OpenAIResponses`, pointed at this fake.

        Args:
            kwargs: arguments of the class; they override the fake's model, URL and key.

        Raises:
            MissingDependency: llama-index-llms-openai is not installed.
            NotServed: neither `serve()` nor `mock()` is active.
        """
        return load("llama_index.llms.openai").OpenAIResponses(**self._defaults() | kwargs)

    def _defaults(self) -> dict[str, Any]:
        return {"model": _MODELS[0], "api_base": self.url, "api_key": "fake-key"}

    def _receive(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[ReceivedRequest, Steps]:
        received = ReceivedRequest(method, path, headers, body)
        with self._arrived:
            self.requests.append(received)
            self._arrived.notify_all()
        steps = self._endpoints.answer(received)
        return received, cut(steps, self._sizes()) if self._sizes else steps

    @contextlib.contextmanager
    def _serving(self, host: str, port: int) -> Generator[str]:
        server = load(f"{__package__}.http_server").HttpServer(self._exchange, host, port)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{server.start()}/v1"
        try:
            with self._at(url):
                yield url
        finally:
            server.stop()

    @contextlib.contextmanager
    def _mocking(self, base_url: str) -> Generator[str]:
        routes = load(f"{__package__}.respx_routes")
        with routes.mocked(base_url, self._receive, self._gates), self._at(base_url):
            yield base_url

    @contextlib.contextmanager
    def _at(self, url: str) -> Generator[None]:
        self._urls.append(url)
        try:
            yield
        finally:
            self._urls.remove(url)

    async def _exchange(self, exchange: Exchange) -> None:
        request = exchange.request
        received, steps = self._receive(request.method, request.path, request.headers, request.body)
        exchange.keep_alive &= self._keep_alive
        exchange.on_client_close = lambda: received.end("client")
        try:
            await self._send(exchange, received, steps)
        finally:
            received.end("server")

    async def _send(self, exchange: Exchange, received: ReceivedRequest, steps: Steps) -> None:
        for step, last in with_last(steps):
            if isinstance(step, bytes):
                await exchange.send(step, last=last)
                received.sent(step, last=last)
                # A turn of the loop per piece, so that a client that closes is seen before the
                # next one is sent.
                await asyncio.sleep(0)
            elif isinstance(step, Head):
                received.status = step.status
                await exchange.start(step.status, step.headers)
            elif isinstance(step, Disconnect):
                exchange.reset()
                return
            else:
                await self._hold(step)
        if received.ended_by is None:
            await exchange.send(b"", last=True)
            received.sent(b"", last=True)

    async def _hold(self, step: Wait | Gate) -> None:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
        else:
            await self._gates.passed(step, same_loop=False)
