"""The answers of a fake provider as steps, independent of the transport that carries them.

An answer is a lazy iterator of steps: a `Head`, then pieces of the body; between them pauses, and
at the end perhaps a reset. The loopback server writes them to a socket, the respx routes hand
them to httpx.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.script.turns import Turn
from llama_index_streaming_ext.testing.wire.chat import error_object
from llama_index_streaming_ext.testing.wire.encode import sse, wire_steps
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Disconnect,
    Fail,
    Gate,
    Http,
    Wait,
)


@dataclass(frozen=True)
class Head:
    """The status and the headers of an answer; before it nothing has been sent."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Step: TypeAlias = Head | bytes | Wait | Gate | Disconnect
"""The next thing that happens in an answer."""
Steps: TypeAlias = Iterator[Step]

_EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_NO_RETRY = {"x-should-retry": "false"}
_COMMENT = b": keep-alive\n\n"


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Steps:
    """Yield the head and the body of a JSON answer."""
    data = json.dumps(body, ensure_ascii=False).encode()
    yield Head(status, {**_json_headers(data), **(headers or {})})
    yield data


def _json_headers(data: bytes) -> dict[str, str]:
    return {"content-type": "application/json", "content-length": str(len(data))}


def error_answer(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> Steps:
    """Return an error object in OpenAI's form, marked so that its SDK does not try again."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return json_answer(status, {"error": error}, _NO_RETRY)


def answer(
    turn: Turn,
    request: Request,
    *,
    retry: bool = True,
    comments: bool = False,
    crlf: bool = False,
) -> Steps:
    """Return the answer that a turn is, streamed if the request says so.

    Args:
        turn: the turn of the script.
        request: the call, with its dialect.
        retry: whether the script has an answer if the client tries again; otherwise its SDK is
            told not to.
        comments: whether a keep-alive comment goes before every event of a stream.
        crlf: whether the lines of a stream end in CR LF.
    """
    steps = _answer(turn, request, retry=retry, comments=comments and request.stream)
    return map(_crlf, steps) if crlf and request.stream else steps


def _answer(turn: Turn, request: Request, *, retry: bool, comments: bool) -> Steps:
    begun = False
    for step in wire_steps(turn, request):
        if isinstance(step, Wait | Gate):
            yield step
            continue
        if not isinstance(step, bytes):
            yield from _instead(step, begun=begun, retry=retry)
            return
        if not begun:
            yield Head(200, _EVENTS if request.stream else _json_headers(step))
            begun = True
        if step:
            yield _COMMENT + step if comments else step


def models(names: Iterable[str]) -> dict[str, Any]:
    """Return the body of `GET /v1/models`."""
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> dict[str, Any]:
    """Return the description of one model."""
    return {"id": name, "object": "model", "created": 1741570283, "owned_by": "openai"}


def _instead(item: Http | Fail | Disconnect, *, begun: bool, retry: bool) -> Steps:
    if isinstance(item, Http):
        headers = item.headers() if retry else {**item.headers(), **_NO_RETRY}
        return json_answer(item.status, item.body(), headers)
    if isinstance(item, Fail):
        return _failure(item, begun=begun)
    return iter((Disconnect(),))


def _failure(item: Fail, *, begun: bool) -> Steps:
    error = item.make()
    if _of_the_network(error):
        return iter((Disconnect(),))
    told = error_object(item.message or type(error).__name__)
    if begun:
        # In this form, and not as a flat `error` event, the SDK raises it in both dialects.
        return iter((sse(Chunk({"type": "error", "error": told}, event="error")),))
    # A failure in the script is one failure: the SDK is not to try again behind its back.
    return json_answer(getattr(error, "status_code", 500), {"error": told}, _NO_RETRY)


def _of_the_network(error: BaseException) -> bool:
    """Return True if the connection fails, and so the provider cannot report the error."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return isinstance(error, OSError) or bool(names & {"TransportError", "APIConnectionError"})


def _crlf(step: Step) -> Step:
    return step.replace(b"\n", b"\r\n") if isinstance(step, bytes) else step
