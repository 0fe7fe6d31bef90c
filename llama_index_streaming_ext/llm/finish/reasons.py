"""Finish reasons of providers, translated into the words of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, cast


class Finish(NamedTuple):
    """The end of an LLM call as its provider reports it, or the part of one chunk."""

    reason: str
    """Why it ended: `stop`, `tool_calls`, `length`, `refusal`, `content_filter` or `failed`.

    Other words of a provider are kept, in lower case.
    """
    text: str = ""
    """The text of a refusal (of a chunk: its fragment), or of an error."""
    code: str | None = None
    """The code of an error, or its type, where it has no code."""


Extractor: TypeAlias = "Callable[[Any], Finish | str | None]"
"""Reads one raw chunk: what it says of the end, None if nothing."""

_WORDS = {
    "complete": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "function_call": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "max_output_tokens": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",
    "blocklist": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "image_prohibited_content": "content_filter",
    "image_safety": "content_filter",
    "prohibited_content": "content_filter",
    "recitation": "content_filter",
    "safety": "content_filter",
    "spii": "content_filter",
    "error": "failed",
}


def normalised(word: Any) -> str | None:
    """A provider's finish reason as `Finish.reason` has it, None where it says none.

    Args:
        word: a str, or a member of an enumeration, which counts by its name.
    """
    if not word:
        return None
    name = getattr(word, "name", word)
    # Protocol buffers have a member for "nothing was said": FINISH_REASON_UNSPECIFIED.
    if not isinstance(name, str) or name.endswith("_UNSPECIFIED"):
        return None
    lower = name.lower()
    return _WORDS.get(lower, lower)


def refused(text: str, reason: str | None) -> Finish:
    """The end of a call in which the model refused, whatever reason came with it.

    Providers end a refusal with `stop`. One that was cut off is a refusal, too: more tokens would
    not have brought an answer. A filter and a failure are not the model's doing, and stay.
    """
    if reason in ("content_filter", "failed"):
        return Finish(reason, text)
    return Finish("refusal", text)


def failure(error: Any) -> Finish:
    """The end of a call that failed.

    Args:
        error: the provider's error object, its message alone, or None where there is none.
    """
    if isinstance(error, str):
        return Finish("failed", error)
    message = field(error, "message")
    code = field(error, "code") or field(error, "type")
    return Finish("failed", str(message or ""), None if code is None else str(code))


def field(said: Any, name: str) -> Any:
    """A field of what a provider said, be it an object or a dict; None where there is none.

    It is read for every chunk, so a test for `Mapping`, which costs more than all the rest, is
    not made: what providers' libraries give is a dict, if it is a mapping.
    """
    if isinstance(said, dict):
        return cast("dict[str, Any]", said).get(name)
    return getattr(said, name, None)


def items(said: Any, name: str) -> Sequence[Any]:
    """A field that is a list or a repeated field; empty where there is none."""
    found = field(said, name)
    if isinstance(found, list):
        return cast("list[Any]", found)
    if isinstance(found, Sequence) and not isinstance(found, str | bytes):
        return cast("Sequence[Any]", found)
    return ()
