"""The body of a provider's answer, read back: its chunks as they came, and the parts they say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from llama_index_streaming_ext.testing.script.parts import Part
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Comment,
    Dialect,
    Done,
    Malformed,
    Truncated,
    WireItem,
)
from llama_index_streaming_ext.testing.wire.recorded_parts import (
    parts_of_chat,
    parts_of_full,
    parts_of_responses,
)


@dataclass(frozen=True)
class Recorded:
    """An answer as a provider gave it."""

    dialect: Dialect
    """The wire format that it is in."""
    items: tuple[WireItem, ...] | None
    """The items of the stream; None if the answer was not streamed."""
    full: dict[str, Any] | None
    """The JSON body; None where the answer was streamed."""
    parts: tuple[Part, ...]
    """The content of the answer, for requests of the other kind and format."""
    envelope: dict[str, Any]
    """The ids and the like that it carries."""


def read_body(body: str | bytes | Mapping[str, Any]) -> Recorded:
    """Read the body of an answer, of Chat Completions or the Responses API.

    Args:
        body: server-sent events, or JSON (also parsed).

    Raises:
        ValueError: it is neither.
    """
    if isinstance(body, Mapping):
        return _read_json(dict(body))
    # A body may be cut off in the middle of a character; its bytes come back in `Truncated`.
    decoded = body.decode(errors="surrogateescape") if isinstance(body, bytes) else body
    if decoded.lstrip().startswith("{"):
        return _read_json(json.loads(decoded))
    return _read_stream(decoded)


def _read_json(full: dict[str, Any]) -> Recorded:
    kind = full.get("object")
    if kind not in ("chat.completion", "response"):
        raise ValueError(
            'from_wire() takes JSON with "object": "chat.completion" or "response", not '
            f"{kind!r}; for an error answer write Turn(http(status, message=...))."
        )
    dialect: Dialect = "chat" if kind == "chat.completion" else "responses"
    return Recorded(dialect, None, full, tuple(parts_of_full(full, dialect)), _envelope(full))


def _read_stream(body: str) -> Recorded:
    items = tuple(_items(body))
    chunks = [item.data for item in items if isinstance(item, Chunk)]
    if not any(map(_is_event, items)):
        raise ValueError(
            "from_wire() takes server-sent events ('data: {...}' and blank lines) or JSON; "
            f"this begins with {body[:40]!r}."
        )
    if any(map(_is_of_responses, items)):
        parts = tuple(parts_of_responses(chunks))
        first = chunks[0] if chunks else {}
        return Recorded("responses", items, None, parts, _envelope(first.get("response", {})))
    parts = tuple(parts_of_chat(chunks))
    return Recorded("chat", items, None, parts, _envelope(chunks[0] if chunks else {}))


def _is_event(item: WireItem) -> bool:
    if isinstance(item, Truncated):
        return item.text.startswith(("data", "event"))
    return isinstance(item, Chunk | Malformed | Done)


def _is_of_responses(item: WireItem) -> bool:
    """Return True if an item is of the Responses API; it may be an error, or cut off."""
    if isinstance(item, Chunk):
        kind = str(item.data.get("type", ""))
        return kind.startswith("response.") or kind == "error"
    return isinstance(item, Truncated) and bool(re.search(r"event: ?response\.", item.text))


def _items(body: str) -> Iterator[WireItem]:
    """Read events as openai's SDK does; the last, if no blank line ends it, is cut off."""
    event = _Event()
    for line in re.split(r"\r\n|\n|\r", body)[:-1]:
        yield from event.line(line)
    rest = re.split(r"\r\n\r\n|\n\n|\r\r", body)[-1]
    if rest.strip():
        yield Truncated(rest)


class _Event:
    """The event that is being read, line by line."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._name: str | None = None
        self._id = ""
        self._retry = False

    def line(self, line: str) -> Iterator[WireItem]:
        """Read a line; a blank one ends the event."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            yield from self._end()
        elif not name:
            yield Comment(line[1:])
        elif name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry":
            self._retry = value.isdigit()

    def _end(self) -> Iterator[WireItem]:
        # The SDK does not forget an id, and takes an event without data for one all the same.
        if self._data or self._name or self._id or self._retry:
            yield _payload("\n".join(self._data), self._name)
        self._data, self._name, self._retry = [], None, False


def _payload(text: str, name: str | None) -> WireItem:
    if text.startswith("[DONE]"):
        return Done("chat")
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return Malformed(text, name)
    return Chunk(cast("dict[str, Any]", data), name) if isinstance(data, dict) else Malformed(text)


def _envelope(said: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "id": said.get("id"),
        "created": said.get("created", said.get("created_at")),
        "model": said.get("model"),
    }
    tags = {k: said[k] for k in ("system_fingerprint", "service_tier") if k in said}
    return {k: v for k, v in found.items() if v is not None} | tags
