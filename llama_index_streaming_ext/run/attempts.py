"""Counting how often a step is begun with the same input (U7).

Upstream runs a step again when it is retried, and when it has waited for an event; what it writes
comes again each time. The attempt number in the records' origin tells one from the other.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from workflows import Context
from workflows.errors import ContextStateError, WorkflowRuntimeError

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.stream.origin import Origin, coming_from

# Which step is at work here, so that one that calls the step it overrides is not begun twice.
_begun: ContextVar[tuple[Attempts, str, int] | None] = ContextVar(
    "llama_index_streaming_ext.attempt", default=None
)


class Attempts:
    """The attempts of the steps of one run.

    Upstream passes the same event object to each attempt: after an error, after a wait, and also
    when another execution of the step collected events meanwhile, although this one returned.

    A context that was serialised and goes on in a new run starts at 1 again, as its log does.
    """

    def __init__(self) -> None:
        # How many attempts are over, by step and input, for as long as there is such an input.
        self._over: dict[tuple[str, int], int] = {}
        self._inputs: dict[tuple[str, int], weakref.ref[Event]] = {}

    @contextmanager
    def of(self, step: str, event: Event | None) -> Generator[None, None, None]:
        """Give the events of the current step the number of its attempt at an input.

        Args:
            step: the name of the step.
            event: its input, None where it has none.
        """
        here = (self, step, id(event))
        if _begun.get() == here:
            yield
            return
        # Other runtimes than the basic one hand out copies, but say how often they retry.
        attempt = max(self._over.get((step, id(event)), 0), _retries()) + 1
        token = _begun.set(here)
        try:
            with coming_from(Origin(attempt=attempt)):
                yield
        finally:
            _begun.reset(token)
            if event is not None:
                self._is_over((step, id(event)), event, attempt)

    def _is_over(self, key: tuple[str, int], event: Event, attempt: int) -> None:
        self._over[key] = attempt
        if key not in self._inputs:
            # Without it the id may become that of another event.
            self._inputs[key] = weakref.ref(event, lambda _: self._forget(key))

    def _forget(self, key: tuple[str, int]) -> None:
        self._over.pop(key, None)
        self._inputs.pop(key, None)


def _retries() -> int:
    """Number of times that upstream has retried the current step since it last waited."""
    try:
        return Context.get_step_context().retry_info().retry_number
    except (ContextStateError, WorkflowRuntimeError):
        return 0  # the step was called by hand
