"""Last events and the endings they tell of, one made from the other."""

from __future__ import annotations

import traceback

from workflows.errors import WorkflowCancelledByUser, WorkflowTimeoutError

from llama_index_streaming_ext.events import (
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from llama_index_streaming_ext.stream.record import Ending
from llama_index_streaming_ext.upstream.event_data import set_dynamic_attributes
from llama_index_streaming_ext.upstream.methods import qualified_name


def ending_said(stop: StopEvent) -> Ending:
    """How a run ended, by its last event alone."""
    if isinstance(stop, WorkflowTimedOutEvent):
        error = WorkflowTimeoutError(f"Operation timed out after {stop.timeout} seconds.")
        return Ending("timed_out", error=error, steps=tuple(stop.active_steps))
    if isinstance(stop, WorkflowCancelledEvent):
        return Ending("cancelled", error=WorkflowCancelledByUser())
    if isinstance(stop, WorkflowFailedEvent):
        return Ending("failed", error=stop.exception)
    return Ending("completed", stop.result if type(stop) is StopEvent else stop)


def tells_of(stop: StopEvent | None, error: BaseException) -> bool:
    """Whether an event says that a step has raised that very error. Steps write others by hand."""
    # Runtimes that keep events elsewhere hand out copies.
    return isinstance(stop, WorkflowFailedEvent) and (
        stop.exception is error or repr(stop.exception) == repr(error)
    )


def terminal_event(ending: Ending) -> StopEvent:
    """The last event of a run whose end upstream did not publish (U5)."""
    if ending.status == "completed":
        result = ending.result
        return result if isinstance(result, StopEvent) else StopEvent(result=result)
    if ending.status == "cancelled":
        return WorkflowCancelledEvent()
    error = ending.error
    exception = error if isinstance(error, Exception) else RuntimeError(repr(error))
    if ending.status == "timed_out":
        return WorkflowTimedOutEvent(timeout=0.0, active_steps=list(ending.steps))
    return WorkflowFailedEvent(step_name="", exception=exception)


def said_both_ways(event: StopEvent) -> StopEvent:
    """A failure that answers to both namings that upstream's documents have used."""
    if not isinstance(event, WorkflowFailedEvent) or "exception_type" in event:
        return event
    said, error = event.model_copy(), event.exception
    details = {
        "exception_type": qualified_name(type(error)),
        "exception_message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    set_dynamic_attributes(said, {**event.to_dict(), **details})
    return said
