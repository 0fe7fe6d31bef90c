"""The faults of a conversation that OpenAI accepts and a user would call corrupted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_index_streaming_ext.testing.history.problem import HistoryProblem
from llama_index_streaming_ext.testing.script.request import message_text

_KINDS = {"function_call": "call", "function_call_output": "tool", "reasoning": "reasoning"}
_INSTRUCTIONS = ("system", "developer")


def order_problems(messages: Sequence[Mapping[str, Any]]) -> Iterator[HistoryProblem]:
    """Yield faults of order and empty messages, most of which Anthropic and Gemini refuse.

    Args:
        messages: messages of Chat Completions, or items of the Responses endpoint.
    """
    turns = [
        (index, _kind(message), message)
        for index, message in enumerate(messages)
        if _kind(message) not in _INSTRUCTIONS
    ]
    for (_, before, earlier), (index, kind, message) in itertools.pairwise(turns):
        if before == kind == "user":
            same = ", with the same text" if _text(earlier) == _text(message) else ""
            yield _corrupted(index, f"a second user message in a row{same}")
        if before == kind == "assistant" and not earlier.get("tool_calls"):
            yield _corrupted(index, "a second assistant message in a row")
    for index, kind, message in turns:
        if kind in ("user", "assistant") and _is_empty(message):
            yield _corrupted(index, f"an empty {kind} message")
    yield from _edge_problems(turns)


def _edge_problems(turns: Sequence[tuple[int, str, Mapping[str, Any]]]) -> Iterator[HistoryProblem]:
    """Yield the faults of the first and of the last message."""
    if not turns:
        return
    first, first_kind, _ = turns[0]
    if first_kind != "user":
        yield _corrupted(first, f"the conversation begins with a message of kind {first_kind!r}")
    last, last_kind, message = turns[-1]
    if last_kind == "assistant" and _text(message) != _text(message).rstrip():
        yield _corrupted(last, "the last assistant message ends in white space")
    if last_kind not in ("user", "tool"):
        yield _corrupted(last, f"the conversation ends with a message of kind {last_kind!r}")


def _is_empty(message: Mapping[str, Any]) -> bool:
    if message.get("tool_calls") or message.get("refusal") or _has_media(message):
        return False
    return _text(message).strip() in ("", "None")


def _has_media(message: Mapping[str, Any]) -> bool:
    """Return True if a message has parts that are no text: an image, a file, audio."""
    content: Any = message.get("content")
    return isinstance(content, list) and any("text" not in part for part in content)  # pyright: ignore[reportUnknownVariableType] # JSON


def _kind(message: Mapping[str, Any]) -> str:
    return _KINDS.get(message.get("type") or "") or str(message.get("role"))


def _text(message: Mapping[str, Any]) -> str:
    return message_text(dict(message))


def _corrupted(index: int, message: str) -> HistoryProblem:
    return HistoryProblem(index, message, refused=False)
