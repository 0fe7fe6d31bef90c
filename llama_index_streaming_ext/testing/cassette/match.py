"""The choice of the recording that answers a call.

Requests match in the order in which equal ones were recorded. Not compared, because the answer
does not depend on it or because each class says it in its own way:

- whether the call is async; the settings of the LLM other than its model;
- arguments that are None or empty, or that are not written (headers, users, metadata);
- the ids of tool calls, which are numbered anew; text blocks without text;
- the form and the order of the tools (their names, descriptions and parameters are compared),
  `strict` and `additionalProperties`, `parallel_tool_calls`, the class's word for a tool choice;
- of a response format, all but the name of its schema;
- whether the usage is asked for (`stream_options`): it comes as it was recorded.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

_SAME = frozenset(
    {"parallel_tool_calls", "allow_parallel_tool_calls", "strict", "formatted", "stream_options"}
)
_FORMATS = ("response_format", "text_format", "text", "format", "response_schema")
_CHOICES = {"any": "required", "auto": None}


def normal(request: Mapping[str, Any], model: object = None) -> dict[str, Any]:
    """A request as it is compared.

    Args:
        request: the request, as it is written.
        model: the name of the model, or None if it does not matter.
    """
    kwargs: dict[str, Any] = dict(request.get("kwargs", {}))
    same: dict[str, Any] = {
        "model": model,
        "face": request.get("face"),
        "stream": bool(request.get("stream")),
        "prompt": request.get("prompt"),
        "messages": _messages(request.get("messages", ())),
        "tools": sorted(map(_tool, kwargs.pop("tools", None) or ()), key=json.dumps),
        "tool_choice": _choice(kwargs.pop("tool_choice", None)),
        "schema": _schema_name(kwargs),
        **{name: value for name, value in kwargs.items() if name not in _SAME},
    }
    return {name: value for name, value in same.items() if value not in (None, [], {}, "")}


def key(request: Mapping[str, Any]) -> str:
    """Return a key that is the same for equal normal requests."""
    return json.dumps(request, sort_keys=True)


def _messages(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    ids: dict[str, str] = {}
    return [_message(message, ids) for message in messages]


def _message(message: Mapping[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    blocks = [_block(b, ids) for b in message.get("blocks", ()) if b.get("text") != ""]
    extra = {
        name: _numbered(value, ids) if name == "tool_call_id" else value
        for name, value in message.get("additional_kwargs", {}).items()
        if name != "tool_calls" and value not in (None, "", [], {})
    }
    return {"role": message.get("role"), "blocks": blocks, "additional_kwargs": extra}


def _block(block: Mapping[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    same = dict(block)
    if "tool_call_id" in same:
        same["tool_call_id"] = _numbered(same["tool_call_id"], ids)
    return same


def _numbered(given: Any, ids: dict[str, str]) -> str:
    return ids.setdefault(str(given), f"call {len(ids) + 1}")


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function: Mapping[str, Any] = tool.get("function") or tool
    parameters: Any = function.get("parameters") or function.get("input_schema") or {}
    return {
        "name": function.get("name"),
        "description": function.get("description"),
        "parameters": _loose(parameters),
    }


def _loose(schema: Any) -> Any:
    """A schema without what only says how strict it is."""
    if isinstance(schema, list):
        return [_loose(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    items = cast("dict[str, Any]", schema).items()
    return {k: _loose(v) for k, v in items if (k, v) != ("additionalProperties", False)}


def _choice(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return _CHOICES.get(choice, choice) if isinstance(choice, str) else choice
    said = cast("Mapping[str, Any]", choice)
    name = (said.get("function") or said).get("name")
    return name or _CHOICES.get(said.get("type", ""), said.get("type"))


def _schema_name(kwargs: dict[str, Any]) -> Any:
    """Take the requested format out of the arguments, and return its name."""
    for name in _FORMATS:
        asked = kwargs.pop(name, None)
        if isinstance(asked, Mapping):
            said = cast("Mapping[str, Any]", asked)
            inner = said.get("format") or said
            schema = inner.get("json_schema") or inner
            return schema.get("name") or schema.get("class") or schema.get("type")
        if asked is not None:
            return asked
    return None


def nearest(request: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]]) -> str:
    """The difference of a request to the recorded one that is most like it.

    Args:
        request: the normal request.
        recorded: normal requests.

    Returns:
        A unified diff; empty if nothing was recorded.
    """
    asked = list(_shown(request))
    texts = [list(_shown(other)) for other in recorded]
    if not texts:
        return ""
    best = max(texts, key=lambda text: difflib.SequenceMatcher(None, text, asked).ratio())
    return "\n".join(difflib.unified_diff(best, asked, "recorded", "asked", lineterm="", n=2))


def _shown(request: Mapping[str, Any]) -> Iterator[str]:
    """A request as text, so that one line is one thing."""
    for name, value in request.items():
        if name == "messages":
            for message in value:
                yield from _message_shown(message)
        elif name == "prompt":
            yield "prompt:"
            yield from _indented(str(value))
        else:
            yield from f"{name}: {json.dumps(value, indent=2, ensure_ascii=False)}".split("\n")


def _message_shown(message: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{message['role']}]"
    for block in message["blocks"]:
        text = block.get("text")
        yield from _indented(
            text if isinstance(text, str) else json.dumps(block, indent=2, ensure_ascii=False)
        )
    for name, value in message["additional_kwargs"].items():
        yield from _indented(f"{name}: {json.dumps(value, ensure_ascii=False)}")


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.split("\n"))
