"""Endings that last events tell of."""

from __future__ import annotations

import pytest
from workflows.errors import WorkflowTimeoutError

from llama_index_streaming_ext.events import StopEvent, WorkflowFailedEvent, WorkflowTimedOutEvent
from llama_index_streaming_ext.run.endings import tells_of

LATE = WorkflowTimeoutError("Operation timed out after 1 seconds.")


def failed(error: Exception) -> WorkflowFailedEvent:
    """Return the event that upstream writes for an error of a step."""
    return WorkflowFailedEvent(step_name="work", exception=error)


@pytest.mark.parametrize(
    ("stop", "tells"),
    [
        (failed(LATE), True),
        (failed(WorkflowTimeoutError(*LATE.args)), True),
        (failed(ValueError("by hand")), False),
        (WorkflowTimedOutEvent(timeout=1, active_steps=[]), False),
        (None, False),
    ],
)
def test_a_failure_written_by_hand_is_not_the_run_s(stop: StopEvent | None, tells: bool) -> None:
    """A run whose time was up is no failed run because a step wrote such an event before."""
    assert tells_of(stop, LATE) is tells
