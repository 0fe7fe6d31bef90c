"""The marks of broken-off turns in a chat history, which no provider is to get.

OpenAI's classes send the additional arguments of a message with old-style tool calls as they are,
and the API refuses those that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage

INTERRUPTED = "interrupted"
"""The key in `additional_kwargs` of the last message of an agent's turn that was broken off. Its
value says by what: `"stopped"`, `"failed"`, `"timed_out"`, `"lost"`."""
INCOMPLETE = "incomplete"
"""The key in `additional_kwargs` of a chat engine's answer that is not whole."""

_MARKS = frozenset((INTERRUPTED, INCOMPLETE))
_MESSAGES = ("messages", "user_msg", "chat_history")


def without_marks(messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """Return messages without the marks of broken-off turns; the same object if there are none.

    Args:
        messages: the messages; none of them is changed.
    """
    if not any(map(_is_marked, messages)):
        return messages
    return [_unmarked(message) for message in messages]


def unmarked_call(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a chat method, with its messages as a provider is to get them."""
    named = {name: _unmarked(kwargs[name]) for name in _MESSAGES if name in kwargs}
    return tuple(_unmarked(value) for value in args), {**kwargs, **named}


def _is_marked(message: Any) -> bool:
    return isinstance(message, ChatMessage) and not _MARKS.isdisjoint(message.additional_kwargs)


def _unmarked(value: Any) -> Any:
    """Return a message, or a list of messages, without marks; anything else as it is."""
    if isinstance(value, (list, tuple)):
        return without_marks(cast("Sequence[ChatMessage]", value))
    if not _is_marked(value):
        return value
    said = cast("Mapping[str, Any]", value.additional_kwargs)
    kept = {key: kwarg for key, kwarg in said.items() if key not in _MARKS}
    return value.model_copy(update={"additional_kwargs": kept})
