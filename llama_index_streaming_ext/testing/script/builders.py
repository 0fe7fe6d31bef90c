"""The functions that make the parts of a turn: text, tool calls, pauses, failures."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast, get_args

from llama_index_streaming_ext.testing.script.failures import failure
from llama_index_streaming_ext.testing.script.parts import (
    Finish,
    Parallel,
    Pause,
    Reason,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
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


def words(whole: str) -> tuple[str, ...]:
    """Split a text into deltas of one word each, with the space before the word."""
    return tuple(re.findall(r"\s*\S+|\s+$", whole))


def text(*deltas: str) -> Text:
    """Answer with text.

    Args:
        deltas: the text; each string is one delta.

    Example:
        >>> Turn(text("It is", " sunny.")).text
        'It is sunny.'
    """
    return Text(_strings("text", deltas))


def thinking(*deltas: str) -> Thinking:
    """Answer with reasoning text.

    Args:
        deltas: the text; each string is one delta.
    """
    return Thinking(_strings("thinking", deltas))


def refusal(*deltas: str) -> Refusal:
    """Refuse to answer.

    Args:
        deltas: the text of the refusal; each string is one delta.
    """
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
    """Answer with a call of a tool. Several in a row are parallel calls.

    Args:
        name: the name of the tool.
        args_dict: the arguments as a dict, if their names cannot be keywords.
        id: the id of the call; None makes an id from the number of the turn.
        split: how the JSON of the arguments is cut: a number of pieces, "json" (at the
            boundaries of JSON's tokens) or "char" (into single characters).
        fragments: the raw pieces of the JSON, which need not be valid. `wait(...)`,
            `gate(...)`, `fail(...)` and `disconnect()` may stand between them.
        kwargs: the arguments as keywords.

    Raises:
        TypeError: the arguments are given twice, or `args_dict` is not a dict.
        ValueError: `split` is none of the three.

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
    """Answer with several tool calls whose pieces are mixed on the wire.

    Args:
        calls: the calls.
        order: "interleaved" sends a fragment of each call in turn; "together" sends all calls
            whole, in one delta. (Calls that are sent one after the other need no `parallel`.)
    """
    for call in calls:
        if not isinstance(cast("object", call), ToolCall):
            raise TypeError(f"parallel() takes tool_call(...)s, not {call!r}.")
    if order not in ("interleaved", "together"):
        raise ValueError(f'order= is "interleaved" or "together", not {order!r}.')
    return Parallel(calls, order)


def usage(prompt: int, completion: int) -> Usage:
    """Report the usage of the call.

    Args:
        prompt: tokens of the prompt.
        completion: tokens of the answer.
    """
    return Usage(prompt, completion)


def finish(reason: Reason) -> Finish:
    """End the answer with another finish reason than "stop" ("tool_calls" after a tool call).

    Args:
        reason: the finish reason, such as "length".

    Raises:
        ValueError: OpenAI has no such finish reason.
    """
    if reason not in get_args(Reason):
        known = ", ".join(repr(r) for r in get_args(Reason))
        raise ValueError(f"finish() takes one of {known}, not {reason!r}.")
    return Finish(reason)


def wait(seconds: float) -> Wait:
    """Pause the stream.

    Args:
        seconds: the length of the pause, in seconds.

    Raises:
        ValueError: `seconds` is negative.
    """
    if seconds < 0:
        raise ValueError(f"wait() takes seconds, 0 or more, not {seconds!r}.")
    return Wait(seconds)


_gates = itertools.count(1)


def gate(opens: str | asyncio.Event | threading.Event) -> Gate:
    """Hold the stream until the test opens the gate.

    Args:
        opens: a name, for `fake.open(name)`, or an event that the test sets.
    """
    if isinstance(opens, str):
        return Gate(opens)
    if not isinstance(cast("object", opens), asyncio.Event | threading.Event):
        raise TypeError(f"gate() takes a name or an event, not {opens!r}.")
    return Gate(f"event-{next(_gates)}", opens)


def fail(error: str | BaseException | type[BaseException] | Callable[[], BaseException]) -> Fail:
    """End the stream with an error.

    Args:
        error: the exception that the fake LLM raises, its class, or a function that makes it. A
            str is the message of an error object that the provider sends in the stream.
    """
    return failure(error)


def disconnect() -> Disconnect:
    """Reset the connection; before the first chunk, the client gets no answer at all."""
    return Disconnect()


def malformed(payload: str = '{"choices": [') -> Malformed:
    """Send a whole event whose payload is not JSON.

    Args:
        payload: the text behind `data: `.
    """
    return Malformed(payload)


def truncated(line: str = 'data: {"id":"chatcmpl-fa') -> Truncated:
    """End the body cleanly in the middle of a line; later parts of the turn are not sent.

    Args:
        line: the beginning of the line.
    """
    return Truncated(line)


def comment(said: str = " keep-alive") -> Comment:
    """Send a line that keeps the connection alive and that no client shows.

    Args:
        said: the text behind the colon.
    """
    return Comment(said)


def http(status: int, *, retry_after: float | None = None, message: str | None = None) -> Http:
    """Answer with an error status instead of a stream.

    Args:
        status: the status code, such as 429 or 500.
        retry_after: seconds that the client is told to wait before it tries again.
        message: the message of the error object in the body.

    Raises:
        ValueError: `status` is not from 400 to 599.
    """
    if not 400 <= status <= 599:
        raise ValueError(f"http() takes an error status, 400 to 599, not {status!r}.")
    return Http(status, retry_after, message)


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
