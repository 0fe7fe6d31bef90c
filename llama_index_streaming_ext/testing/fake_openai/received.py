"""The record of a request to a fake provider, and of the end of its answer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Literal, cast

_SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "cookie"})


class ReceivedRequest:
    """A request that a fake provider received.

    Times are those of `time.monotonic()`, so that they compare across threads.

    Attributes:
        method: `"POST"`, ...
        path: the target of the request, such as `/v1/chat/completions`.
        headers: names in lower case, with what is secret in them redacted.
        body: the bytes of the body.
        json: the body as JSON, or None where it is none.
        status: the status that was answered, or None before that.
        bytes_sent: how many bytes of the answer's body went out so far.
        started: when the request was there.
        finished: when the whole answer had been sent, or None.
        closed_by_client: when the client closed before that, or None.
    """

    def __init__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = {name: _redacted(name, value) for name, value in headers.items()}
        self.body = body
        self.json: Any = _parsed(body)
        self.status: int | None = None
        self.bytes_sent = 0
        self.started = time.monotonic()
        self.finished: float | None = None
        self.closed_by_client: float | None = None
        self._lock = threading.Lock()
        self._over: Future[None] = Future()
        # Running, or else cancelling one who awaits it would cancel it for all.
        self._over.set_running_or_notify_cancel()

    @property
    def streaming(self) -> bool:
        """True if a stream was asked for."""
        asked: object = self.json
        return isinstance(asked, dict) and cast("dict[str, Any]", asked).get("stream") is True

    @property
    def ended_by(self) -> Literal["finished", "client", "server"] | None:
        """The end of the answer: "finished", or the side that broke it off; None if it goes on."""
        if not self._over.done():
            return None
        if self.finished is not None:
            return "finished"
        return "server" if self.closed_by_client is None else "client"

    def wait_closed(self, timeout: float = 30.0) -> bool:
        """Wait until the answer is over; True if that is because the client closed.

        Args:
            timeout: how long to wait, in seconds.

        Raises:
            TimeoutError: the answer is still going on.
        """
        self._over.result(timeout)
        return self.closed_by_client is not None

    async def await_closed(self, timeout: float = 30.0) -> bool:
        """Do what `wait_closed` does, without blocking the event loop."""
        await asyncio.wait_for(asyncio.wrap_future(self._over), timeout)
        return self.closed_by_client is not None

    def sent(self, data: bytes, *, last: bool) -> None:
        """Note that a piece of the body went out, and whether it was the last. For transports."""
        self.bytes_sent += len(data)
        if last:
            self.end("finished")

    def end(self, how: Literal["finished", "client", "server"]) -> None:
        """Note how the answer ended; the first note counts. For transports."""
        with self._lock:
            if self._over.done():
                return
            if how == "finished":
                self.finished = time.monotonic()
            elif how == "client":
                self.closed_by_client = time.monotonic()
            self._over.set_result(None)

    def __repr__(self) -> str:
        return (
            f"<{self.method} {self.path} status={self.status} bytes_sent={self.bytes_sent} "
            f"ended_by={self.ended_by}>"
        )


def _redacted(name: str, value: str) -> str:
    if name not in _SECRET_HEADERS:
        return value
    scheme, space, secret = value.partition(" ")
    return f"{scheme}{space}***" if secret else "***"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
