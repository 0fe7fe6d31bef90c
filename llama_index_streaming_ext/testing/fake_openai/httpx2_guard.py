"""httpx2, which respx does not intercept: refused in process, before a request leaves it."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Generator
from typing import Any
from unittest import mock

_HINT = {
    "error": {
        "message": (
            "FakeOpenAI.mock() cannot answer an httpx2 client, which respx does not intercept: "
            "use `with fake.serve() as url:` and pass url as the base URL, or give the client "
            "an httpx one."
        ),
        "type": "invalid_request_error",
        "param": None,
        "code": "httpx2_not_mocked",
    }
}


@contextlib.contextmanager
def httpx2_refused(base_url: str) -> Generator[None]:
    """Answer what httpx2 clients send to `base_url` with an error that says what to do.

    It is an answer and not an exception because the SDK would try again after an exception, and
    then tell of a connection error.

    Args:
        base_url: where the requests are refused; others go through.
    """
    if importlib.util.find_spec("httpx2") is None:
        yield
        return
    httpx2: Any = importlib.import_module("httpx2")
    send, asend = httpx2.Client.send, httpx2.AsyncClient.send

    def refused(request: Any) -> Any:
        headers = {"x-should-retry": "false"}
        return httpx2.Response(400, json=_HINT, headers=headers, request=request)

    def refuse(self: Any, request: Any, **kwargs: Any) -> Any:
        if str(request.url).startswith(base_url):
            return refused(request)
        return send(self, request, **kwargs)

    async def arefuse(self: Any, request: Any, **kwargs: Any) -> Any:
        if str(request.url).startswith(base_url):
            return refused(request)
        return await asend(self, request, **kwargs)

    with (
        mock.patch.object(httpx2.Client, "send", refuse),
        mock.patch.object(httpx2.AsyncClient, "send", arefuse),
    ):
        yield
