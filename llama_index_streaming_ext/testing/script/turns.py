"""A script: what an LLM is to answer, written as data.

A script is a list of turns, one for each call of the LLM; a turn is made of parts, in order:

    script = [
        Turn(text("Let me", " check."), tool_call("weather", city="Paris")),
        Turn(text("It is", " sunny.")),
    ]

What you write is what streams: each string of `text(...)` is one delta.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast, get_args

from llama_index_streaming_ext.testing.script.failures import failure
from llama_index_streaming_ext.testing.script.framing import Envelope, Framing
from llama_index_streaming_ext.testing.script.parts import (
    Finish,
    Parallel,
    Part,
    Pause,
    Reason,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from llama_index_streaming_ext.testing.script.request import Request
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
from llama_index_streaming_ext.testing.wire.recorded import Recorded, read_body

When: TypeAlias = "str | re.Pattern[str] | Callable[[Request], bool]"
"""Which requests a turn answers."""
Script: TypeAlias = "Turn | str | Sequence[Turn | str] | Callable[[Request], Turn | str]"
"""What a fake answers: one turn, a list of them, or a function of the request."""

_HELP = "text(...), thinking(...), tool_call(...), usage(...), finish(...), wait(...) and the like"


class Turn:
    """What the LLM answers to one call.

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
        """Makes a turn of what a provider answered: it is played back chunk by chunk.

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
        """Whether this turn may answer the request."""
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
    """Reads a script in any of its forms.

    Args:
        script: a turn, a str, a list of those, or a function of the request.

    Raises:
        TypeError: it is none of these.
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
    """Makes a turn of a str; a turn stays what it is.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(given, Turn):
        return given
    if isinstance(given, str):
        return Turn(given)
    if isinstance(given, get_args(Part)):
        raise TypeError(f"{what} {given!r}: write Turn({_verb(given)}(...)) around it.")
    raise TypeError(f"{what} {given!r}, which is neither a Turn(...) nor a str.")


def words(whole: str) -> tuple[str, ...]:
    """Splits a text into deltas of one word each, with the space before it."""
    return tuple(re.findall(r"\s*\S+|\s+$", whole))


def text(*deltas: str) -> Text:
    """The answer's text, each string one delta."""
    return Text(_strings("text", deltas))


def thinking(*deltas: str) -> Thinking:
    """Reasoning text, each string one delta."""
    return Thinking(_strings("thinking", deltas))


def refusal(*deltas: str) -> Refusal:
    """A refusal, each string one delta."""
    return Refusal(_strings("refusal", deltas))


def tool_call(
    name: str,
    args_dict: Mapping[str, Any] | None = None,
    /,
    *,
    id: str | None = None,  # noqa: A002 - the field's own name
    split: int | Literal["json", "char"] = 3,
    fragments: Sequence[str | Pause] | None = None,
    **kwargs: Any,
) -> ToolCall:
    """A call of a tool. Several in a row are parallel calls.

    Args:
        name: the name of the tool.
        args_dict: its arguments, where their names are not fit to be keywords.
        id: the id of the call; None makes one from the number of the turn.
        split: how the JSON of the arguments is cut: into so many pieces, at the boundaries of
            JSON's tokens, or into single characters.
        fragments: the raw pieces of the JSON, as given; it need not be valid. `wait(...)`,
            `gate(...)`, `fail(...)` and `disconnect()` may stand between them.
        kwargs: its arguments.

    Raises:
        TypeError: the arguments are given twice, or not as a dict.
        ValueError: there is no such split.

    Example:
        >>> tool_call("weather", city="Paris", split="json").fragments
        ('{"', 'city', '":"', 'Paris', '"}')
    """
    if fragments is not None:
        if args_dict or kwargs:
            raise TypeError("tool_call() takes the arguments or fragments=[...], not both.")
        return ToolCall(name, tuple(_fragment(piece) for piece in fragments), id)
    arguments = _arguments(args_dict, kwargs)
    whole = json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
    return ToolCall(name, _cut(whole, split), id)


def parallel(
    *calls: ToolCall, order: Literal["interleaved", "together"] = "interleaved"
) -> Parallel:
    """Several tool calls whose pieces are mixed on the wire.

    Args:
        calls: the calls.
        order: "interleaved": a fragment of each in turn; "together": all of them whole, in one
            delta. (For calls one after the other write them one after the other.)
    """
    for call in calls:
        if not isinstance(cast("object", call), ToolCall):
            raise TypeError(f"parallel() takes tool_call(...)s, not {call!r}.")
    if order not in ("interleaved", "together"):
        raise ValueError(f'order= is "interleaved" or "together", not {order!r}.')
    return Parallel(calls, order)


def usage(prompt: int, completion: int) -> Usage:
    """What the call cost, in tokens."""
    return Usage(prompt, completion)


def finish(reason: Reason) -> Finish:
    """The finish reason, where it is not "stop" (or "tool_calls" after a tool call)."""
    if reason not in get_args(Reason):
        known = ", ".join(repr(r) for r in get_args(Reason))
        raise ValueError(f"finish() takes one of {known}, not {reason!r}.")
    return Finish(reason)


def wait(seconds: float) -> Wait:
    """A pause of so many seconds."""
    if seconds < 0:
        raise ValueError(f"wait() takes seconds, 0 or more, not {seconds!r}.")
    return Wait(seconds)


_gates = itertools.count(1)


def gate(opens: str | asyncio.Event | threading.Event) -> Gate:
    """Holds the stream until the test opens it.

    Args:
        opens: a name, which `fake.open(name)` opens, or an event, which the test sets.
    """
    if isinstance(opens, str):
        return Gate(opens)
    if not isinstance(cast("object", opens), asyncio.Event | threading.Event):
        raise TypeError(f"gate() takes a name or an event, not {opens!r}.")
    return Gate(f"event-{next(_gates)}", opens)


def fail(error: str | BaseException | type[BaseException] | Callable[[], BaseException]) -> Fail:
    """An error in the middle of the stream.

    Args:
        error: an exception, which the fake LLM raises; its class or a function that makes it; or
            a str: then the provider says so itself, with an error object in the stream.
    """
    return failure(error)


def disconnect() -> Disconnect:
    """The connection is reset; before the first chunk, there is no answer at all."""
    return Disconnect()


def malformed(payload: str = '{"choices": [') -> Malformed:
    """A whole event whose payload is not JSON.

    Args:
        payload: what stands behind `data: `.
    """
    return Malformed(payload)


def truncated(line: str = 'data: {"id":"chatcmpl-fa') -> Truncated:
    """The body ends cleanly in the middle of a line; what comes after it is not sent.

    Args:
        line: what is sent of the line.
    """
    return Truncated(line)


def comment(said: str = " keep-alive") -> Comment:
    """A line that keeps the connection alive and that no client shows.

    Args:
        said: what stands behind the colon.
    """
    return Comment(said)


def http(status: int, *, retry_after: float | None = None, message: str | None = None) -> Http:
    """The provider answers with an error status instead of a stream.

    Args:
        status: the status code, such as 429 or 500.
        retry_after: seconds that the client is told to wait before it tries again.
        message: the message of the error object in the body.
    """
    if not 400 <= status <= 599:
        raise ValueError(f"http() takes an error status, 400 to 599, not {status!r}.")
    return Http(status, retry_after, message)


def _part(given: Part | str) -> Part:
    if isinstance(given, str):
        return Text(words(given))
    if not isinstance(given, get_args(Part)):
        raise TypeError(f"Turn() takes {_HELP}, not {given!r}.")
    return given


def _fragment(given: str | Pause) -> str | Pause:
    if not isinstance(given, (str, *get_args(Pause))):
        raise TypeError(
            "fragments= takes str, wait(...), gate(...), fail(...) and disconnect(), "
            f"not {given!r}."
        )
    return given


def _strings(what: str, deltas: tuple[str, ...]) -> tuple[str, ...]:
    for delta in deltas:
        if not isinstance(cast("object", delta), str):
            raise TypeError(f"{what}() takes strings, one for each delta, not {delta!r}.")
    return deltas


def _arguments(given: Mapping[str, Any] | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    if given is None:
        return kwargs
    if not isinstance(cast("object", given), Mapping):
        raise TypeError(
            f"tool_call() takes its arguments as keywords or as a dict, not {given!r}; "
            "for raw JSON write fragments=[...]."
        )
    if kwargs:
        raise TypeError("tool_call() takes its arguments as keywords or as a dict, not both.")
    return dict(given)


def _cut(whole: str, split: int | Literal["json", "char"]) -> tuple[str, ...]:
    if split == "char":
        return tuple(whole)
    if split == "json":
        return tuple(re.findall(r'[\s{}\[\]:,"]+|[^\s{}\[\]:,"]+', whole))
    if not isinstance(cast("object", split), int) or split < 1:
        raise ValueError(f'split= is a number of pieces, "json" or "char", not {split!r}.')
    pieces = min(split, len(whole))
    bounds = [len(whole) * i // pieces for i in range(pieces + 1)]
    return tuple(whole[a:b] for a, b in itertools.pairwise(bounds))


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
