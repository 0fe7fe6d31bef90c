"""Scripts: the answers of an LLM, written as data.

A script is a list of turns, one for each call of the LLM; a turn is made of parts, in order:

    script = [
        Turn(text("Let me", " check."), tool_call("weather", city="Paris")),
        Turn(text("It is", " sunny.")),
    ]

The strings stream as they are written: each string of `text(...)` is one delta.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast, get_args

from llama_index_streaming_ext.testing.script.builders import (
    comment,
    disconnect,
    fail,
    finish,
    gate,
    http,
    malformed,
    parallel,
    refusal,
    text,
    thinking,
    tool_call,
    truncated,
    usage,
    wait,
    words,
)
from llama_index_streaming_ext.testing.script.framing import Envelope, Framing
from llama_index_streaming_ext.testing.script.parts import (
    Parallel,
    Part,
    Text,
    ToolCall,
)
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.wire.items import (
    Gate,
    Http,
    Wait,
)
from llama_index_streaming_ext.testing.wire.recorded import Recorded, read_body

__all__ = [
    "Script",
    "Turn",
    "When",
    "as_turn",
    "comment",
    "disconnect",
    "fail",
    "finish",
    "gate",
    "http",
    "malformed",
    "parallel",
    "refusal",
    "text",
    "thinking",
    "tool_call",
    "truncated",
    "turns_of",
    "usage",
    "wait",
    "words",
]

When: TypeAlias = "str | re.Pattern[str] | Callable[[Request], bool]"
"""The requests that a turn answers."""
Script: TypeAlias = "Turn | str | Sequence[Turn | str] | Callable[[Request], Turn | str]"
"""The answers of a fake: one turn, a list of turns, or a function of the request."""

_HELP = "text(...), thinking(...), tool_call(...), usage(...), finish(...), wait(...) and the like"


class Turn:
    """The answer of an LLM to one call.

    Args:
        parts: the parts, in the order in which they stream. A plain str streams word by word.
        when: which requests this turn answers, for agents that share one LLM: a text that occurs
            in the messages, a compiled pattern, or a function of the request. None: any.
        framing: where roles, calls and usage sit among the chunks.
        envelope: the ids, the time of creation and the fingerprint that every chunk carries.

    Example:
        >>> Turn(text("It is", " sunny."), usage(12, 3)).text
        'It is sunny.'
    """

    def __init__(
        self,
        *parts: Part | str,
        when: When | None = None,
        framing: Framing | Mapping[str, Any] | None = None,
        envelope: Envelope | Mapping[str, Any] | None = None,
    ) -> None:
        self.parts: tuple[Part, ...] = tuple(_part(part) for part in parts)
        self.when = when
        self.framing = Framing.of(framing)
        self.envelope = Envelope.of(envelope)
        self.recorded: Recorded | None = None
        _check_http(self.parts)

    @classmethod
    def from_wire(cls, body: str | bytes | Mapping[str, Any], *, when: When | None = None) -> Turn:
        """Make a turn of a provider's recorded answer, which is then played back chunk by chunk.

        Args:
            body: the body of the answer, server-sent events or JSON, of Chat Completions or of
                the Responses API.
            when: which requests this turn answers.

        Raises:
            ValueError: the body is neither.
        """
        recorded = read_body(body)
        turn = cls(*recorded.parts, when=when, envelope=recorded.envelope)
        turn.recorded = recorded
        return turn

    @property
    def text(self) -> str:
        """The text of the answer."""
        return "".join(d for part in self.parts if isinstance(part, Text) for d in part.deltas)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the answer, in the order in which they begin."""
        groups = (part.calls if isinstance(part, Parallel) else (part,) for part in self.parts)
        return tuple(part for group in groups for part in group if isinstance(part, ToolCall))

    def matches(self, request: Request) -> bool:
        """Return True if this turn may answer the request."""
        if self.when is None:
            return True
        if isinstance(self.when, str):
            return self.when in request.text
        if isinstance(self.when, re.Pattern):
            return self.when.search(request.text) is not None
        return bool(self.when(request))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Turn) and vars(self) == vars(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # equal by value, and not frozen

    def __repr__(self) -> str:
        shown = [repr(part) for part in self.parts]
        if self.when is not None:
            shown.append(f"when={self.when!r}")
        return f"Turn({', '.join(shown)})"


def turns_of(script: Script) -> list[Turn] | Callable[[Request], Turn]:
    """Read a script in any of its forms.

    Args:
        script: a turn, a str, a list of those, or a function of the request.

    Raises:
        TypeError: `script` is none of these.
    """
    if isinstance(script, Turn | str):
        return [as_turn(script)]
    if callable(script):
        ask = script
        return lambda request: as_turn(ask(request), "The script's function returned")
    if isinstance(cast("object", script), Mapping | bytes) or not hasattr(script, "__iter__"):
        raise TypeError(
            f"A script is a Turn(...), a str, a list of those or a function, not {script!r}."
        )
    return [as_turn(turn) for turn in script]


def as_turn(given: object, what: str = "A script is made of Turn(...) or str; it got") -> Turn:
    """Return a turn as it is, and a str as a turn.

    Raises:
        TypeError: `given` is neither.
    """
    if isinstance(given, Turn):
        return given
    if isinstance(given, str):
        return Turn(given)
    if isinstance(given, get_args(Part)):
        raise TypeError(f"{what} {given!r}: write Turn({_verb(given)}(...)) around it.")
    raise TypeError(f"{what} {given!r}, which is neither a Turn(...) nor a str.")


def _part(given: Part | str) -> Part:
    if isinstance(given, str):
        return Text(words(given))
    if not isinstance(given, get_args(Part)):
        raise TypeError(f"Turn() takes {_HELP}, not {given!r}.")
    return given


def _verb(part: object) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(part).__name__).lower()


def _check_http(parts: tuple[Part, ...]) -> None:
    if any(isinstance(part, Http) for part in parts):
        before = parts[:-1]
        if not isinstance(parts[-1], Http) or any(
            not isinstance(part, Wait | Gate) for part in before
        ):
            raise ValueError(
                "http(...) is the whole answer: in a Turn it stands alone, or after wait(...) "
                "and gate(...)."
            )
