"""The context of a step for one call of core's code, whose events are written in another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflows import Context

from llama_index_streaming_ext.events import Event


class StepContext(Context[Any]):
    """A step's own context, but for `write_event_to_stream`.

    It is a `Context`, and reads and sets every other attribute of the step's own one. Only code
    that is handed it writes by it: what a user's LLM or callback writes meanwhile by the step's
    own context (`Context.get_step_context()`) is not touched. For the same reason it cannot stand
    in for a whole step (`writing_straight`): upstream gives out its own object there.

    Args:
        ctx: the context that the step was given.
        write: writes an event; it is never called with None.
    """

    def __init__(self, ctx: Any, write: Callable[[Event], object]) -> None:
        object.__setattr__(self, "_inner", ctx)
        object.__setattr__(self, "_write", write)

    def __getattribute__(self, name: str) -> Any:
        if name == "write_event_to_stream":
            return object.__getattribute__(self, name)
        if name == "is_running":
            # A step's context always is, and asking it is deprecated.
            return True
        return getattr(object.__getattribute__(self, "_inner"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_inner"), name, value)

    def write_event_to_stream(self, ev: Event | None) -> None:
        """Write an event in the given way; None is not written."""
        if ev is not None:
            object.__getattribute__(self, "_write")(ev)
