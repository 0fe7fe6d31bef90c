"""A turn as the provider sends it: chunks for a stream, one JSON body without.

`wire_items` gives what happens, in order; `sse` the bytes of one item; `full_response` the body
for a request that does not stream. The fake LLM folds the same items that the fake server sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

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
    "before_answer",
    "full_response",
    "sse",
    "wire_items",
]


def wire_items(turn: Turn, request: Request, dialect: Dialect = "chat") -> Iterator[WireItem]:
    """What the provider sends when the answer is streamed.

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


def before_answer(turn: Turn) -> Iterator[WireItem]:
    """What happens instead of, or before, an answer that is not streamed.

    These are the pauses of the turn, and an `Http`, `Fail` or `Disconnect`, which end it.
    """
    for part in turn.parts:
        for item in _inside(part):
            if isinstance(item, Wait | Gate | Fail | Disconnect | Http):
                yield item


def _inside(part: Part) -> Iterator[Part | str]:
    if isinstance(part, Parallel):
        yield from (piece for call in part.calls for piece in call.fragments)
    elif isinstance(part, ToolCall):
        yield from part.fragments
    else:
        yield part


def full_response(turn: Turn, request: Request, dialect: Dialect = "chat") -> dict[str, Any]:
    """The JSON body of an answer that is not streamed.

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
    """The bytes of one item; none for what is not bytes (`Wait`, `Gate`, `Fail`, ...).

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
