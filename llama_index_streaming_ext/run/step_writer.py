"""Writing the events of a step into the log of its run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from workflows import Context

from llama_index_streaming_ext.events import (
    AgentStream,
    CodeDelta,
    Event,
    LLMCallDelta,
    LLMCallFinished,
    ToolCallDelta,
    ToolOutputDelta,
)
from llama_index_streaming_ext.run.pump import Pump
from llama_index_streaming_ext.stream.compaction import shallow_copy
from llama_index_streaming_ext.stream.origin import Origin, current_origin
from llama_index_streaming_ext.threads.loops import on_loop

# Many of these are written, or they belong next to those of which there are many.
_STRAIGHT = frozenset(
    {AgentStream, CodeDelta, LLMCallDelta, LLMCallFinished, ToolCallDelta, ToolOutputDelta}
)

_writer: ContextVar[StepWriter | None] = ContextVar(
    "llama_index_streaming_ext.run.step_writer", default=None
)


@contextmanager
def writing_straight(
    ctx: Context[Any], pump: Pump, loop: asyncio.AbstractEventLoop
) -> Generator[None, None, None]:
    """Let tokens that a step writes by its context go straight into the log, while it runs.

    An instance attribute shadows `ctx.write_event_to_stream`; tools that are handed the context
    write the same way.
    """
    writer = StepWriter(ctx, pump, loop)
    ctx.__dict__["write_event_to_stream"] = writer.write
    token = _writer.set(writer)
    try:
        yield
    finally:
        _writer.reset(token)
        del ctx.__dict__["write_event_to_stream"]


def writer_of(ctx: Any) -> StepWriter | None:
    """Return the writer of the step with this context; None if all events go by the queue."""
    writer = _writer.get()
    return writer if writer is not None and writer.writes_for(ctx) else None


class StepWriter:
    """Writer of the events of one step.

    Most take upstream's way (a task, a queue), so that they stand where they would stand upstream.
    Tokens, of which there are many, go straight into the log, once the first event of the step has
    shown that all is there that was published before the step was started.

    Attributes:
        pump: the way of the events into the log.
    """

    def __init__(self, ctx: Context[Any], pump: Pump, loop: asyncio.AbstractEventLoop) -> None:
        self._ctx = ctx
        self.pump = pump
        self._loop = loop
        self._arrived = False

    def writes_for(self, ctx: Any) -> bool:
        """Return True if this writer replaces `write_event_to_stream` of a context."""
        return self._ctx is ctx

    def write(self, event: Event | None, seen: Callable[[], None] | None = None) -> None:
        """Write an event. It stands in for `ctx.write_event_to_stream`, in any thread (U8).

        Args:
            event: the event; None is not written.
            seen: called when it is in the log.
        """
        if event is None:
            return
        if not on_loop(self._loop):
            # The caller may change its event before the loop gets to see it.
            self._loop.call_soon_threadsafe(self.write, shallow_copy(event), seen)
        elif self._arrived and type(event) in _STRAIGHT:
            self.pump.straight(event, current_origin())
        else:
            self._by_queue(shallow_copy(event), current_origin(), seen)

    def _by_queue(self, event: Event, origin: Origin, seen: Callable[[], None] | None) -> None:
        def arrived() -> None:
            self._arrived = True
            if seen is not None:
                seen()

        self.pump.expect(event, arrived, origin)
        type(self._ctx).write_event_to_stream(self._ctx, event)
