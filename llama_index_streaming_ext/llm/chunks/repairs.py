"""Chunks as they should have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ContentBlock, ToolCallBlock

from llama_index_streaming_ext.llm.raw import get, with_fields


def own_copy(
    chunk: ChatResponse,
    blocks: Sequence[ContentBlock],
    *,
    message_extra: dict[str, Any] | None = None,
    raw: Any = None,
) -> ChatResponse:
    """A copy of a chunk that later chunks do not change.

    Args:
        chunk: the chunk.
        blocks: the blocks of its message.
        message_extra: the `additional_kwargs` of its message; None: a copy of what it has.
        raw: its raw chunk; None: the one it has.
    """
    if message_extra is None:
        message_extra = unshared(chunk.message.additional_kwargs)
    message = chunk.message.model_copy(
        update={"blocks": list(blocks), "additional_kwargs": message_extra}
    )
    fields = {"message": message, "raw": chunk.raw if raw is None else raw}
    return chunk.model_copy(update=fields | {"additional_kwargs": unshared(extra_of(chunk))})


def extra_of(chunk: ChatResponse) -> dict[str, Any]:
    """The `additional_kwargs` of a chunk, which core's own type leaves open."""
    return cast("dict[str, Any]", chunk.additional_kwargs)  # pyright: ignore[reportUnknownMemberType]


def unshared(extra: dict[str, Any]) -> dict[str, Any]:
    """A copy whose lists are its own: the classes add to those that earlier chunks hold."""
    return {k: [*cast("list[Any]", v)] if isinstance(v, list) else v for k, v in extra.items()}


def other_blocks(message: ChatMessage) -> list[ContentBlock]:
    """The blocks of a message that are no tool calls."""
    return [block for block in message.blocks if not isinstance(block, ToolCallBlock)]


def own_raw(raw: Any) -> Any:
    """A chunk of Chat Completions whose tool calls are its own.

    The class makes its tool calls of the objects in the chunk that begins a call, and adds to
    them (U73). The rest of a chunk does not change and is shared.
    """
    choices: list[Any] = get(raw, "choices") or []
    delta = get(choices[0], "delta") if choices else None
    said: Sequence[Any] = get(delta, "tool_calls") or ()
    if not said:
        return raw
    delta = with_fields(delta, tool_calls=[_own_call(call) for call in said])
    return with_fields(raw, choices=[with_fields(choices[0], delta=delta), *choices[1:]])


def _own_call(said: Any) -> Any:
    function = get(said, "function")
    return said if function is None else with_fields(said, function=with_fields(function))
