"""What a fake provider does with a request, step by step, whatever carries the steps.

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
from llama_index_streaming_ext.testing.wire.encode import (
    before_answer,
    full_response,
    sse,
    wire_items,
)
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Disconnect,
    Fail,
    Gate,
    Http,
    Truncated,
    Wait,
    WireItem,
)


@dataclass(frozen=True)
class Head:
    """The status and the headers of an answer; before it nothing has been sent."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Step: TypeAlias = Head | bytes | Wait | Gate | Disconnect
"""What happens next in an answer."""
Steps: TypeAlias = Iterator[Step]

_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_NO_RETRY = {"x-should-retry": "false"}
_COMMENT = b": keep-alive\n\n"


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Steps:
    """A whole JSON body."""
    data = json.dumps(body, ensure_ascii=False).encode()
    yield Head(status, {**_JSON, **(headers or {}), "content-length": str(len(data))})
    yield data


def error_answer(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> Steps:
    """An error object as OpenAI words them, marked so that its SDK does not try again."""
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
    """The answer that a turn is, streamed if the request says so.

    Args:
        turn: the turn of the script.
        request: the call, with its dialect.
        retry: whether the script has an answer if the client tries again; otherwise its SDK is
            told not to.
        comments: whether a keep-alive comment goes before every event of a stream.
        crlf: whether the lines of a stream end in CR LF.
    """
    if not request.stream:
        return _whole(turn, request, retry=retry)
    steps = _streamed(turn, request, retry=retry, comments=comments)
    return map(_crlf, steps) if crlf else steps


def models(names: Iterable[str]) -> dict[str, Any]:
    """The body of `GET /v1/models`."""
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> dict[str, Any]:
    """The description of one model."""
    return {"id": name, "object": "model", "created": 1741570283, "owned_by": "openai"}


def _whole(turn: Turn, request: Request, *, retry: bool) -> Steps:
    for item in before_answer(turn):
        if isinstance(item, Wait | Gate):
            yield item
            continue
        yield from _instead(item, begun=False, retry=retry)
        return
    yield from json_answer(200, full_response(turn, request, request.dialect))


def _streamed(turn: Turn, request: Request, *, retry: bool, comments: bool) -> Steps:
    begun = False
    for item in wire_items(turn, request, request.dialect):
        if isinstance(item, Wait | Gate):
            yield item
            continue
        if isinstance(item, Disconnect | Http | Fail):
            yield from _instead(item, begun=begun, retry=retry)
            return
        if not begun:
            yield Head(200, _EVENTS)
            begun = True
        if data := sse(item):
            yield _COMMENT + data if comments else data
        if isinstance(item, Truncated):
            return


def _instead(item: WireItem, *, begun: bool, retry: bool) -> Steps:
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
    """Whether the connection fails and not the provider, which then cannot say so."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return isinstance(error, OSError) or bool(names & {"TransportError", "APIConnectionError"})


def _crlf(step: Step) -> Step:
    return step.replace(b"\n", b"\r\n") if isinstance(step, bytes) else step
