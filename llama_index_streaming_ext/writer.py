"""How a step of ours writes into its run's log."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from workflows import Context

from .compact import shallow_copy
from .events import AgentStream, Event
from .pump import Pump


@contextmanager
def writing_straight(
    ctx: Context[Any], pump: Pump, loop: asyncio.AbstractEventLoop
) -> Generator[None, None, None]:
    """Let tokens that a step writes by its context go straight into the log, while it runs.

    An instance attribute shadows `ctx.write_event_to_stream`; tools that are handed the context
    write the same way.
    """
    ctx.__dict__["write_event_to_stream"] = StepWriter(ctx, pump, loop).write
    try:
        yield
    finally:
        del ctx.__dict__["write_event_to_stream"]


class StepWriter:
    """Writes the events of one step.

    Most take upstream's way (a task, a queue), so that they stand where they would stand upstream.
    Tokens, of which there are many, go straight into the log, once the first event of the step has
    shown that all is there that was published before the step was started.
    """

    def __init__(self, ctx: Context[Any], pump: Pump, loop: asyncio.AbstractEventLoop) -> None:
        self._ctx = ctx
        self._pump = pump
        self._loop = loop
        self._arrived = False

    def write(self, event: Event | None) -> None:
        """Write an event. It stands in for `ctx.write_event_to_stream`, in any thread (U8)."""
        if event is None:
            return
        if not self._is_here():
            # The caller may change its event before the loop gets to see it.
            self._loop.call_soon_threadsafe(self.write, shallow_copy(event))
        elif self._arrived and type(event) is AgentStream:
            self._pump.straight(event)
        else:
            event = shallow_copy(event)
            self._pump.expect(event, self._has_arrived)
            type(self._ctx).write_event_to_stream(self._ctx, event)

    def _has_arrived(self) -> None:
        self._arrived = True

    def _is_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False
