"""The messages that OpenAI's Chat Completions endpoint refuses with status 400."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from llama_index_streaming_ext.testing.history.problem import HistoryProblem

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LONGEST_ID = 40
_PLAIN_ROLES = ("user", "system", "developer")


def chat_problems(messages: Sequence[Mapping[str, Any]]) -> Iterator[HistoryProblem]:
    """Yield the faults for which Chat Completions refuses messages.

    Args:
        messages: the messages as the endpoint gets them.
    """
    if not messages:
        yield HistoryProblem(None, "[] is too short")
    calls = _OpenCalls()
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            yield from calls.answered(index, message)
            continue
        yield from calls.left(index)
        yield from _message_problems(index, message)
        calls = _OpenCalls(_tool_calls(message))
    yield from calls.left(None)


class _OpenCalls:
    """The tool calls of one assistant message, until each has its tool message."""

    def __init__(self, calls: Sequence[Mapping[str, Any]] = ()) -> None:
        self._ids = {call["id"] for call in calls if isinstance(call.get("id"), str)}
        self._open = set(self._ids)

    def answered(self, index: int, message: Mapping[str, Any]) -> Iterator[HistoryProblem]:
        """Yield the faults of a tool message, and note the call that it answers."""
        tool_id = message.get("tool_call_id")
        if not isinstance(tool_id, str) or not tool_id:
            yield HistoryProblem(index, "missing required parameter 'tool_call_id'")
        elif tool_id not in self._ids:
            yield HistoryProblem(
                index,
                "messages with role 'tool' must be a response to a preceding message with "
                f"'tool_calls' ({tool_id})",
            )
        elif tool_id not in self._open:
            yield HistoryProblem(index, f"duplicate response to tool_call_id {tool_id}")
        self._open.discard(cast("str", tool_id))
        if message.get("content") is None:
            yield HistoryProblem(index, "content: expected a string or a list, got null")

    def left(self, index: int | None) -> Iterator[HistoryProblem]:
        """Yield a fault if another message comes, or none, while calls have no tool message."""
        if self._open:
            yield HistoryProblem(
                index,
                "an assistant message with 'tool_calls' must be followed by tool messages "
                f"responding to each 'tool_call_id' ({', '.join(sorted(self._open))} has none)",
            )


def _message_problems(index: int, message: Mapping[str, Any]) -> Iterator[HistoryProblem]:
    role, content = message.get("role"), message.get("content")
    if content == []:
        yield HistoryProblem(index, "content: [] is too short")
    if role == "assistant":
        yield from _assistant_problems(index, message)
    elif role not in _PLAIN_ROLES:
        yield HistoryProblem(index, f"role: {role!r} is not one of the supported values")
    elif content is None:
        yield HistoryProblem(index, "content: expected a string or a list, got null")


def _assistant_problems(index: int, message: Mapping[str, Any]) -> Iterator[HistoryProblem]:
    calls = _tool_calls(message)
    if message.get("tool_calls") == []:
        yield HistoryProblem(index, "tool_calls: [] is too short")
    says = message.get("content") is not None or message.get("refusal") or message.get("audio")
    if not calls and not says:
        yield HistoryProblem(index, "content: expected a string or a list, got null")
    ids = [call.get("id") for call in calls]
    if len(ids) != len(set(ids)):
        yield HistoryProblem(index, f"tool_calls: duplicate ids {ids}")
    for position, call in enumerate(calls):
        yield from _call_problems(index, f"tool_calls[{position}]", call)


def _call_problems(index: int, where: str, call: Mapping[str, Any]) -> Iterator[HistoryProblem]:
    function: Mapping[str, Any] = call.get("function") or {}
    name = str(function.get("name") or "")
    if not _TOOL_NAME.fullmatch(name):
        yield HistoryProblem(
            index, f"{where}.function.name: {name!r} does not match ^{_TOOL_NAME.pattern}$"
        )
    if len(str(call.get("id") or "")) > _LONGEST_ID:
        yield HistoryProblem(index, f"{where}.id: string too long (at most {_LONGEST_ID})")
    arguments = function.get("arguments")
    # A fake LLM hands on the arguments of its own calls as objects: nothing was sent yet.
    if not isinstance(arguments, str | Mapping):
        yield HistoryProblem(index, f"{where}.function.arguments: expected a string")
    elif isinstance(arguments, str) and not _is_json(arguments or "{}"):
        yield HistoryProblem(index, f"{where}.function.arguments: not valid JSON")


def _tool_calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(message.get("tool_calls") or ())


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
