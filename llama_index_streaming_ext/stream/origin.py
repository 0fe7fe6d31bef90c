"""Origin of a record: the agent, the LLM call, the tool call, the attempt, the inner run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from llama_index_instrumentation.dispatcher import active_instrument_tags


class Origin(NamedTuple):
    """Origin of a record, as far as it is known.

    Attributes:
        agent: the agent at work.
        call_id: the LLM call that it belongs to.
        tool_id: the tool call that it belongs to, or in which it was written.
        attempt: how many times the step that wrote it has been begun with the same input, from 1:
            a step that is retried, or that has waited for an event, writes its events again.
        started: when the tool call began, Unix seconds.
        run_id: the run that it was forwarded from; None for the records of the run itself.
        parent: where the inner run was forwarded; its `tool_id` is the tool call that runs it.
    """

    agent: str | None = None
    call_id: str | None = None
    tool_id: str | None = None
    attempt: int = 1
    started: float | None = None
    run_id: str | None = None
    parent: Origin | None = None


NOWHERE = Origin()
"""The origin of records of which nothing more is known."""


_origin: ContextVar[Origin] = ContextVar("llama_index_streaming_ext.stream.origin", default=NOWHERE)


def running_id() -> str:
    """Return the id of the run whose step is being executed, empty outside of one (U19)."""
    run_id = active_instrument_tags.get().get("llamaindex.run_id")
    return run_id if isinstance(run_id, str) else ""


def current_origin() -> Origin:
    """Return the origin of the events that this context writes."""
    return _origin.get()


def come_from(origin: Origin) -> None:
    """Set the origin of all that the rest of the current step writes."""
    _origin.set(origin)


@contextmanager
def coming_from(origin: Origin) -> Generator[None, None, None]:
    """Set the origin of the events that are written inside the block."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)
