"""A workflow's context has one of several faces, which only private attributes show.

Canary: `tests/upstream/test_contexts.py`.
"""

from __future__ import annotations

from typing import Any, cast

from workflows import Context
from workflows.context.pre_context import PreContext

FACE = "_face"
"""The attribute of a `Context` that holds all that it does: before a run, outside of it, in a step.

A context whose run was broken off goes on with that run (U29), and nothing public lets the same
`Context` object begin another one.
"""


def is_before_its_run(ctx: Context[Any]) -> bool:
    """Return True if no run has been started on a context: a new one, or a restored one."""
    return isinstance(getattr(ctx, FACE), PreContext)


def take_over(ctx: Context[Any], other: Context[Any]) -> None:
    """Make a context what another one is, so that whoever holds the first goes on with the second.

    Args:
        ctx: the context that is held by others.
        other: the context whose state and progress it gets.
    """
    setattr(ctx, FACE, getattr(other, FACE))


def stored_values(snapshot: dict[str, Any]) -> dict[str, Any] | None:
    """Return the values of the store in a context's `to_dict()`, to be changed in place.

    Args:
        snapshot: what `to_dict()` has given.

    Returns:
        None where the values are kept elsewhere, or the state is of a class of the user's.
    """
    state: Any = snapshot.get("state") or {}
    values: Any = state.get("state_data", {}).get("_data")
    return cast("dict[str, Any]", values) if isinstance(values, dict) else None
