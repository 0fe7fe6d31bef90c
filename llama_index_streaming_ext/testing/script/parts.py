"""The parts that a turn is made of. `script.py` has the functions that make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from llama_index_streaming_ext.testing.wire.items import (
    Comment,
    Disconnect,
    Fail,
    Gate,
    Http,
    Malformed,
    Truncated,
    Wait,
)

Pause: TypeAlias = Wait | Gate | Fail | Disconnect
"""The parts that can stand between two fragments of a tool call's arguments."""
Reason: TypeAlias = Literal["stop", "length", "content_filter", "tool_calls"]
"""Why the model stopped."""


@dataclass(frozen=True)
class Text:
    """The answer's text."""

    deltas: tuple[str, ...]
    """The pieces that it streams in."""


@dataclass(frozen=True)
class Thinking:
    """Reasoning text."""

    deltas: tuple[str, ...]
    """The pieces that it streams in."""


@dataclass(frozen=True)
class Refusal:
    """The model says that it will not answer."""

    deltas: tuple[str, ...]
    """The pieces that it streams in."""


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool."""

    name: str
    """The name of the tool."""
    fragments: tuple[str | Pause, ...]
    """The pieces of the arguments' JSON, and what happens between them."""
    id: str | None = None
    """The id of the call; None makes one from the number of the turn."""

    @property
    def arguments(self) -> str:
        """The JSON text of the arguments."""
        return "".join(piece for piece in self.fragments if isinstance(piece, str))


@dataclass(frozen=True)
class Parallel:
    """Several tool calls whose pieces are mixed on the wire."""

    calls: tuple[ToolCall, ...]
    """The calls."""
    order: Literal["interleaved", "together"]
    """A fragment of each in turn, or all of them whole in one delta."""


@dataclass(frozen=True)
class Usage:
    """The usage of a call, in tokens."""

    prompt: int
    """Tokens of the request."""
    completion: int
    """Tokens of the answer."""


@dataclass(frozen=True)
class Finish:
    """The finish reason."""

    reason: Reason
    """Why the model stopped."""


Garbage: TypeAlias = Malformed | Truncated | Comment
"""A thing on the wire that is not a chunk."""
Part: TypeAlias = (
    Text | Thinking | Refusal | ToolCall | Parallel | Usage | Finish | Pause | Garbage | Http
)
"""A part of a turn."""
