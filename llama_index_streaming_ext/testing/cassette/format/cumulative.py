"""Chunks that repeat all that came before, written as what is new in them.

A cumulative string costs quadratic space. Where a string begins with the one at the same
place in the chunk before, only the rest is written, as `{"+": rest}`.
"""

from __future__ import annotations

from typing import Any, TypeGuard, cast

MORE = "+"
_ESCAPED = "="
# Short, and never added to: they stay readable.
_CONSTANT = frozenset({"$type", "block_type", "id", "name", "role", "tool_call_id", "tool_name"})


def shrunk(now: Any, before: Any) -> Any:
    """A JSON value as its difference to the one before.

    Args:
        now: the value.
        before: the value at the same place in the chunk before, or None.
    """
    if isinstance(now, str):
        if isinstance(before, str) and before and now.startswith(before):
            return {MORE: now[len(before) :]}
        return now
    if isinstance(now, list):
        then: list[Any] = before if _is_list(before) else []
        items = cast("list[Any]", now)
        return [shrunk(v, then[i] if i < len(then) else None) for i, v in enumerate(items)]
    if _is_dict(now):
        had: dict[str, Any] = before if _is_dict(before) else {}
        small = {k: _field(k, v, had.get(k)) for k, v in now.items()}
        return {_ESCAPED: small} if _looks_like_ours(now) else small
    return now


def _field(name: str, now: Any, before: Any) -> Any:
    return now if name in _CONSTANT and isinstance(now, str) else shrunk(now, before)


def grown(stored: Any, before: Any) -> Any:
    """Restore a chunk that `shrunk` made small.

    Args:
        stored: the difference.
        before: the whole value at the same place in the chunk before, or None.
    """
    if isinstance(stored, list):
        then: list[Any] = before if _is_list(before) else []
        items = cast("list[Any]", stored)
        return [grown(v, then[i] if i < len(then) else None) for i, v in enumerate(items)]
    if not _is_dict(stored):
        return stored
    if _looks_like_ours(stored):
        if MORE in stored:
            return (before if isinstance(before, str) else "") + stored[MORE]
        stored = stored[_ESCAPED]
    had: dict[str, Any] = before if _is_dict(before) else {}
    return {name: grown(value, had.get(name)) for name, value in stored.items()}


def _is_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _looks_like_ours(value: dict[str, Any]) -> bool:
    return len(value) == 1 and (MORE in value or _ESCAPED in value)
