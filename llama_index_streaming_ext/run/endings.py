"""The ending of a run, made from its result or last event, and the last event of an ending."""

from __future__ import annotations

import asyncio
import traceback

from workflows.errors import WorkflowCancelledByUser, WorkflowTimeoutError

from llama_index_streaming_ext.errors import RunCancelled
from llama_index_streaming_ext.events import (
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from llama_index_streaming_ext.stream.outcome import Status
from llama_index_streaming_ext.stream.record import Ending
from llama_index_streaming_ext.upstream.event_data import set_dynamic_attributes
from llama_index_streaming_ext.upstream.methods import qualified_name

_EVENTS: dict[Status, type[StopEvent]] = {
    "cancelled": WorkflowCancelledEvent,
    "failed": WorkflowFailedEvent,
    "timed_out": WorkflowTimedOutEvent,
}


def ending_of(result: asyncio.Task[StopEvent], said: StopEvent | None, run_id: str) -> Ending:
    """Return how a run has ended that upstream has a result of.

    Args:
        result: upstream's result; it is done.
        said: the last event of the run, None if upstream has published none.
        run_id: the run.
    """
    if result.cancelled():
        return Ending("cancelled", error=RunCancelled(run_id))
    error = result.exception()
    if error is None:
        return _completed(result.result())
    # A step may raise what a child run of its own ended with: then this run has failed.
    if tells_of(said, error):
        return Ending("failed", error=error)
    if isinstance(error, WorkflowCancelledByUser):
        return Ending("cancelled", error=error)
    if isinstance(error, WorkflowTimeoutError):
        steps = said.active_steps if isinstance(said, WorkflowTimedOutEvent) else []
        return Ending("timed_out", error=error, steps=tuple(steps))
    return Ending("failed", error=error)


def says_status(stop: StopEvent, status: Status) -> bool:
    """Return True if an event is upstream's own for a run that has ended so."""
    return isinstance(stop, _EVENTS.get(status, ()))


def ending_said(stop: StopEvent) -> Ending:
    """Return how a run ended, by its last event alone."""
    if isinstance(stop, WorkflowTimedOutEvent):
        error = WorkflowTimeoutError(f"Operation timed out after {stop.timeout} seconds.")
        return Ending("timed_out", error=error, steps=tuple(stop.active_steps))
    if isinstance(stop, WorkflowCancelledEvent):
        return Ending("cancelled", error=WorkflowCancelledByUser())
    if isinstance(stop, WorkflowFailedEvent):
        return Ending("failed", error=stop.exception)
    return _completed(stop)


def _completed(stop: StopEvent) -> Ending:
    return Ending("completed", stop.result if type(stop) is StopEvent else stop)


def tells_of(stop: StopEvent | None, error: BaseException) -> bool:
    """Return True if an event says that a step has raised that very error.

    Steps write others by hand.
    """
    # Runtimes that keep events elsewhere hand out copies.
    return isinstance(stop, WorkflowFailedEvent) and (
        stop.exception is error or repr(stop.exception) == repr(error)
    )


def terminal_event(ending: Ending) -> StopEvent:
    """Return the last event of a run whose end upstream did not publish (U5)."""
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
    """Return an event whose failure has both names that upstream's documents have used."""
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
