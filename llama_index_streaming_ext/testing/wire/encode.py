"""The encoding of a turn as the provider sends it: chunks for a stream, else one JSON body.

`wire_steps` yields the bytes of an answer and what happens between them. It is made of
`wire_items` (a streamed answer, item by item), `sse` (the bytes of one item) and `full_response`
(the body of an answer that is not streamed). The fake LLM folds the same items that the fake
server sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from llama_index_streaming_ext.testing.script.parts import Parallel, Part, ToolCall
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.script.turns import Turn
from llama_index_streaming_ext.testing.wire.chat import chat_full, chat_items
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Comment,
    Dialect,
    Disconnect,
    Done,
    Fail,
    Gate,
    Http,
    Malformed,
    Truncated,
    Wait,
    WireItem,
)
from llama_index_streaming_ext.testing.wire.responses import responses_full, responses_items

__all__ = [
    "Chunk",
    "Comment",
    "Dialect",
    "Disconnect",
    "Done",
    "Fail",
    "Gate",
    "Http",
    "Malformed",
    "Truncated",
    "Wait",
    "WireItem",
    "WireStep",
    "before_answer",
    "full_response",
    "sse",
    "wire_items",
    "wire_steps",
]

WireStep: TypeAlias = bytes | Wait | Gate | Http | Fail | Disconnect
"""Bytes of the body, a pause, or a failure, which is the last step."""


def wire_steps(turn: Turn, request: Request) -> Iterator[WireStep]:
    """Yield an answer as it is sent, streamed if the request says so.

    The first bytes, which may be empty, say that the answer has begun. Nothing comes after an
    `Http`, `Fail` or `Disconnect`.

    Args:
        turn: the answer.
        request: the call, with its dialect.
    """
    steps = _streamed(turn, request) if request.stream else _whole(turn, request)
    for step in steps:
        yield step
        if isinstance(step, Http | Fail | Disconnect):
            return


def _streamed(turn: Turn, request: Request) -> Iterator[WireStep]:
    for item in wire_items(turn, request, request.dialect):
        yield item if isinstance(item, _NOT_BYTES) else sse(item)
        if isinstance(item, Truncated):
            return


def _whole(turn: Turn, request: Request) -> Iterator[WireStep]:
    yield from before_answer(turn)
    body = full_response(turn, request, request.dialect)
    yield json.dumps(body, ensure_ascii=False).encode()


_NOT_BYTES = (Wait, Gate, Http, Fail, Disconnect)


def wire_items(turn: Turn, request: Request, dialect: Dialect = "chat") -> Iterator[WireItem]:
    """Yield the items of a streamed answer, in the order in which the provider sends them.

    Usage comes only when the request asks for it, except in what was recorded and in the
    Responses API. `Http` and a `Disconnect` or `Fail` before the first `Chunk` stand for an
    answer that never begins.

    Args:
        turn: the answer.
        request: the call.
        dialect: the wire format.
    """
    recorded = turn.recorded
    if recorded and recorded.items is not None and recorded.dialect == dialect:
        return iter(recorded.items)
    items = chat_items if dialect == "chat" else responses_items
    return items(turn, request)


def before_answer(turn: Turn) -> Iterator[Wait | Gate | Http | Fail | Disconnect]:
    """Yield the pauses and failures of an answer that is not streamed; a failure replaces it.

    Args:
        turn: the answer.
    """
    for part in turn.parts:
        for item in _inside(part):
            if isinstance(item, _NOT_BYTES):
                yield item


def _inside(part: Part) -> Iterator[Part | str]:
    if isinstance(part, Parallel):
        yield from (piece for call in part.calls for piece in call.fragments)
    elif isinstance(part, ToolCall):
        yield from part.fragments
    else:
        yield part


def full_response(turn: Turn, request: Request, dialect: Dialect = "chat") -> dict[str, Any]:
    """Return the JSON body of an answer that is not streamed.

    Args:
        turn: the answer; its pauses and failures are in `before_answer(turn)`.
        request: the call.
        dialect: the wire format.
    """
    recorded = turn.recorded
    if recorded and recorded.full is not None and recorded.dialect == dialect:
        return recorded.full
    full = chat_full if dialect == "chat" else responses_full
    return full(turn, request)


def sse(item: WireItem) -> bytes:
    """Return the bytes of one item; they are empty for pauses and failures.

    Args:
        item: the item.
    """
    if isinstance(item, Chunk):
        return _event(json.dumps(item.data, separators=(",", ":"), ensure_ascii=False), item.event)
    if isinstance(item, Malformed):
        return _event(item.text, item.event)
    if isinstance(item, Comment):
        return f":{item.text}\n\n".encode()
    if isinstance(item, Truncated):
        return item.text.encode(errors="surrogateescape")
    if isinstance(item, Done) and item.dialect == "chat":
        return _event("[DONE]", None)
    return b""


def _event(data: str, name: str | None) -> bytes:
    return (f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n").encode()
