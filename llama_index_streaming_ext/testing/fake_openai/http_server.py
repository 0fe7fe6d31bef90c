"""A loopback HTTP/1.1 server in a thread of its own, whose every byte is written by hand.

Requests are parsed by h11. Answers are not written through it: a fake has to be able to say what
no HTTP library would, such as half a chunk followed by a reset, and to say it byte by byte.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import h11

_logger = logging.getLogger(__name__)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class HttpRequest:
    """A request as it was read off the wire.

    Attributes:
        method: `"POST"`, ...
        path: the target, with its query if it has one.
        headers: names in lower case; of a header that comes twice, the last.
        body: the bytes of the body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class _Incoming:
    head: h11.Request
    body: bytearray = field(default_factory=bytearray)

    def whole(self) -> HttpRequest:
        headers = {name.decode(): value.decode("latin-1") for name, value in self.head.headers}
        target = self.head.target.decode("ascii")
        return HttpRequest(self.head.method.decode("ascii"), target, headers, bytes(self.body))


class Exchange:
    """One request and the answer to it, on a connection that may carry more of them.

    Attributes:
        request: what was asked.
        keep_alive: whether the connection is kept for a further request.
        on_client_close: called, in the server's thread, in the moment in which the client is seen
            to close while the answer is not whole. The task that answers is then cancelled.
    """

    def __init__(self, connection: _Connection, request: HttpRequest, *, chunked: bool) -> None:
        self.request = request
        self.keep_alive = chunked and request.headers.get("connection", "").lower() != "close"
        self.on_client_close: Callable[[], None] = lambda: None
        self._connection = connection
        self._chunked = chunked
        self._has_length = False

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head; without a `content-length` the body is sent in chunks."""
        lines = [f"HTTP/1.1 {status} {_phrase(status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._has_length = "content-length" in headers
        if not self._has_length and self._chunked:
            lines.append("transfer-encoding: chunked")
        elif not self._has_length:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append("connection: close")
        await self._connection.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of the body as one write, and wait until the kernel has taken it.

        The end of the body rides with the last piece: a client that stops reading where the
        payload ends, as OpenAI's does at `[DONE]`, has not closed early.
        """
        if self._chunked and not self._has_length:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            data += b"0\r\n\r\n" if last else b""
        await self._connection.write(data)

    def reset(self) -> None:
        """Cut the connection off with a TCP reset."""
        self._connection.reset()


Handler = Callable[[Exchange], Awaitable[None]]


class HttpServer:
    """An HTTP server that answers every request on a port with `handle`, until it is stopped.

    Args:
        handle: called once per request, in the server's own loop.
        host: the address to listen on.
        port: the port, or 0 for a free one.
    """

    def __init__(self, handle: Handler, host: str, port: int) -> None:
        self._handle = handle
        self._address = (host, port)
        self._bound: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._connections: set[_Connection] = set()
        self._thread = threading.Thread(target=self._run, name="FakeOpenAI", daemon=True)

    def start(self) -> int:
        """Listen, and return the port.

        Raises:
            OSError: the port is taken.
        """
        self._thread.start()
        try:
            return self._bound.result()
        except OSError:
            # The thread is about to end by itself: a caller that gets the error finds it gone.
            self._thread.join()
            raise

    def stop(self) -> None:
        """Cut every connection and end the thread. What was being answered stays unfinished."""
        if sys.is_finalizing():
            # A program has ended without leaving its `serve()`: no thread goes on any more.
            return
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self) -> None:
        # Not the loop of the user's policy: a test that patches or forbids loops patches its own.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            server = await self._loop.create_server(
                lambda: _Connection(self._handle, self._connections),
                *self._address,
                backlog=1024,
            )
        except OSError as error:
            self._bound.set_exception(error)
            return
        self._bound.set_result(server.sockets[0].getsockname()[1])
        await self._stopped.wait()
        server.close()
        gone = [connection.abort() for connection in self._connections]
        await asyncio.gather(*gone, return_exceptions=True)


class _Connection(asyncio.Protocol):
    """One TCP connection: requests in, one after another; the answer to each out."""

    def __init__(self, handle: Handler, connections: set[_Connection]) -> None:
        self._handle = handle
        self._connections = connections
        self._parser = _new_parser()
        self._incoming: _Incoming | None = None
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Nothing waits in user space, so that "sent" means that the kernel has it.
        self._transport.set_write_buffer_limits(0)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._parser.receive_data(data)
        self._read_on()

    def eof_received(self) -> None:
        self._client_left()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client_left()
        self._connections.discard(self)
        self._writable.set()
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What an exchange calls.

    async def write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._writable.wait()

    def reset(self) -> None:
        self._exchange = None
        sock = cast("socket.socket", self._transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def abort(self) -> asyncio.Future[None]:
        """Close at once, on the server's own account; done when the socket is closed."""
        self._exchange = None
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()
        return self._gone

    # Requests.

    def _client_left(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.on_client_close()
        if self._task is not None:
            self._task.cancel()

    def _read_on(self) -> None:
        while self._exchange is None and not self._transport.is_closing():
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError:
                self._refuse()
                return
            if event is h11.NEED_DATA or event is h11.PAUSED:
                self._allow_body()
                return
            self._take(event)

    def _take(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> None:
        if isinstance(event, h11.Request):
            self._incoming = _Incoming(event)
        elif isinstance(event, h11.Data) and self._incoming is not None:
            self._incoming.body += event.data
        elif isinstance(event, h11.EndOfMessage) and self._incoming is not None:
            self._answer(self._incoming)

    def _allow_body(self) -> None:
        if self._parser.they_are_waiting_for_100_continue:
            interim = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self._transport.write(self._parser.send(interim) or b"")

    def _refuse(self) -> None:
        self._transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self._transport.close()

    def _answer(self, incoming: _Incoming) -> None:
        request = incoming.whole()
        http_1_1 = incoming.head.http_version == b"1.1"
        self._exchange = Exchange(self, request, chunked=http_1_1)
        self._task = asyncio.create_task(self._run(self._exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._handle(exchange)
        except Exception:
            _logger.exception("FakeOpenAI could not answer %s", exchange.request.path)
            self.reset()
        if self._exchange is not exchange:
            return
        self._exchange = self._task = None
        self._next(exchange)

    def _next(self, answered: Exchange) -> None:
        if not answered.keep_alive:
            self._transport.close()
            return
        rest, _ = self._parser.trailing_data
        self._parser = _new_parser()
        if rest:
            self.data_received(rest)


def _new_parser() -> h11.Connection:
    return h11.Connection(h11.SERVER)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
