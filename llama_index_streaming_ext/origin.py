"""Where a record comes from: the agent, the LLM call, the tool call, the attempt, the inner run."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Where a record comes from, as far as it is known.

    Attributes:
        agent: the agent at work.
        call_id: the LLM call that it belongs to.
        tool_id: the tool call that it belongs to, or in which it was written.
        attempt: how many times the step that wrote it has been begun with the same input, from 1:
            a step that is retried, or that has waited for an event, writes its events again (U7).
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
