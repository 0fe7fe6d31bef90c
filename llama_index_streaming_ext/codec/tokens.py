"""The short form of `AgentStream`: the event of a token, of which a log has thousands."""

from __future__ import annotations

from json.encoder import encode_basestring as _quote
from typing import Any

from llama_index_streaming_ext.codec.json_text import scan
from llama_index_streaming_ext.codec.restore import new_model
from llama_index_streaming_ext.codec.values import Json
from llama_index_streaming_ext.events import AgentStream
from llama_index_streaming_ext.upstream.event_data import DYNAMIC, dynamic_attributes

TOKEN = "agent.stream"
"""The kind of `AgentStream`."""
# AgentStream's fields have short names, and these values of them are left out.
_EMPTY = {"delta": "", "response": "", "current_agent_name": "", "tool_calls": list[Any]()}
_SHORT = {
    "delta": "d",
    "response": "r",
    "current_agent_name": "a",
    "tool_calls": "c",
    "thinking_delta": "t",
}

_LONG = {short: name for name, short in _SHORT.items()}


def shortened(fields: dict[str, Json]) -> dict[str, Json]:
    """Return fields of an `AgentStream` under their short names, without those that are empty."""
    return {_SHORT.get(n, n): value for n, value in fields.items() if value != _EMPTY.get(n)}


def lengthened(fields: dict[str, Json]) -> dict[str, Any]:
    """Return fields of an `AgentStream` under their own names, with those that are empty."""
    return _EMPTY | {_LONG.get(name, name): value for name, value in fields.items()}


def encode_token(event: AgentStream) -> bytes | None:
    """Return the bytes of an event that is text and nothing else, quickly; None for any other."""
    state = event.__dict__
    delta, agent = state.get("delta"), state.get("current_agent_name")
    if (
        type(delta) is not str
        or type(agent) is not str
        or not (delta and agent)
        or state.get("tool_calls")
        or state.get("thinking_delta") is not None
        or dynamic_attributes(event)
    ):
        return None
    try:
        return f'{{"d":{_quote(delta)},"a":{_quote(agent)}}}'.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def decode_token(data: bytes) -> AgentStream | None:
    """Return the event of `encode_token`, quickly; None for any other bytes."""
    try:
        payload: Any = scan(data.decode())
        delta, agent = payload["d"], payload["a"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if len(payload) != 2 or type(delta) is not str or type(agent) is not str:
        return None
    state: dict[str, Any] = {
        "delta": delta,
        "response": "",
        "current_agent_name": agent,
        "tool_calls": [],
        "raw": None,
        "thinking_delta": None,
    }
    if state.keys() != AgentStream.__pydantic_fields__.keys():
        return None  # a version of core that this function does not know
    return new_model(AgentStream, state, {DYNAMIC: {}})
