"""The way of a run's events into its log.

Upstream publishes events (the state of steps, requests for human input, the end) in its queue,
which is read here, once, for everybody. The events of steps take the same way, but for tokens,
which go straight into the log (`step_writer.py`); all events of steps keep their order. Where the
runtime is not the basic one, or the workflow is not ours, everything goes through the queue,
because others may be listening there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from workflows import Context
from workflows.errors import WorkflowRuntimeError
from workflows.events import StepState

from llama_index_streaming_ext.events import (
    Event,
    LLMCallFinished,
    LLMCallStarted,
    StepStateChanged,
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from llama_index_streaming_ext.stream.compaction import shallow_copy
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.origin import NOWHERE, Origin

# How long a StopEvent may wait for the result it announces, seconds. Upstream's own clean-up takes
# up to half a second in between; what waits longer was written by a step (U6).
HOLD = 1.0
_GRACE_TURNS = 10

_SAID_BY_UPSTREAM = (WorkflowCancelledEvent, WorkflowFailedEvent, WorkflowTimedOutEvent)


class Pump:
    """Pump that moves the events of one run into its log, in the order of writing.

    Args:
        stream: the log.
        direct: whether all that steps write is announced, by `straight` or `expect`.

    Attributes:
        held: a StopEvent that may be the end of the run: whether it is shows with the result.
        behind: what came after it.
        stop_came: set when `held` was set for the first time.
        on_end: called when the run is over although its result does not come.
    """

    def __init__(self, stream: EventStream, *, direct: bool) -> None:
        self.stream = stream
        self.direct = direct
        self.held: StopEvent | None = None
        self.behind: list[tuple[Event, Origin]] = []
        self.stop_came = asyncio.Event()
        self.on_end: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._holding: asyncio.Handle | None = None
        # None as long as this runtime has not said that it tells of its steps.
        self._step_ended: bool | None = None
        self._ctx: Context[Any] | None = None
        # What steps have written, numbered: on its way through the queue, or waiting for that.
        self._number = 0
        self._under_way: dict[int, tuple[int, Event, Callable[[], None], Origin]] = {}
        self._waiting: deque[tuple[int, Event, Origin]] = deque()
        # The LLM calls whose end is not in the log: when each began, and where.
        self._open_calls: dict[str, tuple[float, Origin]] = {}

    @property
    def last_stop(self) -> StopEvent | None:
        """The last StopEvent that is held back."""
        for event, _ in reversed(self.behind):
            if isinstance(event, StopEvent):
                return event
        return self.held

    @property
    def clear(self) -> bool:
        """True if an event of `straight` is logged at once, because no earlier one is under way."""
        return not self._under_way and self.held is None

    async def run(self, ctx: Context[Any]) -> None:
        """Read upstream's queue into the log, also past a StopEvent that a step wrote (U6)."""
        self._ctx = ctx
        try:
            while True:
                # The class's method: the instance's is one that reads this very log.
                events: AsyncGenerator[Event, None] = type(ctx).stream_events(ctx)
                async for event in events:
                    self._take(event)
        except WorkflowRuntimeError:
            # U1: the run is over and its queue is empty.
            return

    def straight(self, event: Event, origin: Origin = NOWHERE) -> None:
        """Log an event of a step behind all earlier events of steps."""
        if self._under_way:
            self._number += 1
            self._waiting.append((self._number, shallow_copy(event), origin))
        else:
            self._log(event, origin)

    def expect(self, event: Event, seen: Callable[[], None], origin: Origin = NOWHERE) -> None:
        """Say that a step's event is on its way through upstream's queue.

        Args:
            event: the event, by identity.
            seen: called when it is logged.
            origin: where it comes from, which upstream's queue does not carry.
        """
        self._number += 1
        self._under_way[id(event)] = (self._number, event, seen, origin)

    def settle(self, is_the_end: Callable[[StopEvent], bool]) -> StopEvent | None:
        """Log all events that are held back, but for the one that is the end; no more will come."""
        self._log_waiting()
        lost = self._loop.is_closed()
        while self.held is not None and not is_the_end(self.held):
            self._release(hold=not lost)
        if self._holding is not None:
            self._holding.cancel()
        self._log_calls_that_ended_with_it()
        return self.held

    def _log_calls_that_ended_with_it(self) -> None:
        """Log the ends of LLM calls that the end of the run has broken off, with their usage.

        One that has only begun behind the end is not in the log at all.
        """
        for event, origin in self.behind:
            if isinstance(event, LLMCallFinished) and event.call_id in self._open_calls:
                self._append(event, origin)

    def break_off_calls(self, known: Sequence[Event]) -> None:
        """Log the end of the LLM calls that the run's end has broken off.

        Those that were forwarded from inner runs are among them: those go on to end, if at all,
        when this log is closed.

        Args:
            known: the ends of the run's own calls, which say what was used.
        """
        for event in known:
            # One whose beginning is still under way is not in the log at all.
            if isinstance(event, LLMCallFinished) and event.call_id in self._open_calls:
                self._append(event, self._open_calls[event.call_id][1])
        now = time.monotonic()
        for call_id, (began, origin) in list(self._open_calls.items()):
            ended = LLMCallFinished(
                call_id=call_id, finish_reason="cancelled", seconds=now - began, partial=True
            )
            self._append(ended, origin)

    def _append(self, event: Event, origin: Origin = NOWHERE) -> None:
        if isinstance(event, LLMCallStarted):
            self._open_calls[event.call_id] = (time.monotonic(), origin)
        elif isinstance(event, LLMCallFinished):
            self._open_calls.pop(event.call_id, None)
        self.stream.append(event, origin)

    def _take(self, event: Event) -> None:
        """Log an event, or hold it while it may be the last one."""
        expected = self._under_way.pop(id(event), None)
        if expected is not None:
            number, _, seen, origin = expected
            self._log_waiting(before=number)
            self._log(event, origin)
            seen()
            if not self._under_way:
                self._log_waiting()
        elif self.held is not None:
            self.behind.append((event, NOWHERE))
        elif isinstance(event, StopEvent) and self._may_be_the_end(event):
            self.held = event
            self.stop_came.set()
            self._holding = self._loop.call_later(HOLD, self._decide_soon, _GRACE_TURNS)
        else:
            if isinstance(event, StepStateChanged):
                self._step_ended = event.step_state is StepState.NOT_RUNNING
            elif self._step_ended:
                self._step_ended = False
            self._append(event)

    def _log(self, event: Event, origin: Origin) -> None:
        """Log an event of a step behind the events that are held back."""
        if self.held is not None:
            self.behind.append((event, origin))
        else:
            self._append(event, origin)

    def _log_waiting(self, before: float = math.inf) -> None:
        while self._waiting and self._waiting[0][0] < before:
            _, event, origin = self._waiting.popleft()
            self._log(event, origin)

    def _may_be_the_end(self, event: StopEvent) -> bool:
        """Return True if upstream may have written a StopEvent, not a step (U6).

        Upstream says that the step has ended right before it publishes what the step returned.
        """
        if self.direct or isinstance(event, _SAID_BY_UPSTREAM):
            return True
        return self._step_ended is not False

    def _decide_soon(self, turns: int) -> None:
        """Decide in a few turns: a loop that was blocked has not seen the result yet."""
        if turns:
            self._holding = self._loop.call_soon(self._decide_soon, turns - 1)
        elif self.on_end is not None and self._run_is_over():
            # A step that does not obey keeps the result back, perhaps for ever.
            self.on_end()
        else:
            self._release()

    def _run_is_over(self) -> bool:
        """Return True if a held StopEvent is the end, although there is no result yet."""
        if self._ctx is None:
            return False
        if self.direct and isinstance(self.held, _SAID_BY_UPSTREAM):
            # What steps write is announced, so upstream has published it.
            return True
        try:
            return not self._ctx.to_dict(include_state=False)["is_running"]
        except (TypeError, ValueError, WorkflowRuntimeError):
            # Some event of the run cannot be serialised, or the runtime keeps no such book.
            return False

    def _release(self, *, hold: bool = True) -> None:
        """Log the held StopEvent as an event like others: a step has written it."""
        held, behind = self.held, self.behind
        self.held, self.behind = None, []
        if self._holding is not None:
            self._holding.cancel()
        if held is not None:
            self._append(held)
        for event, origin in behind:
            if not hold:
                self._append(event, origin)
            elif origin is NOWHERE:
                self._take(event)
            else:
                self._log(event, origin)
