"""A function that writes events to the stream of the current step from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from workflows import Context
from workflows.errors import ContextStateError

from llama_index_streaming_ext.errors import LoopClosed, NotInStep
from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.run.run import current_run
from llama_index_streaming_ext.stream.compaction import shallow_copy
from llama_index_streaming_ext.threads.loops import running_loop


def stream_writer(ctx: Context[Any]) -> Callable[[Event], None]:
    """Return a function that writes events to the stream of the current step from any thread.

    Get it in a step; call it there, in `asyncio.to_thread`, in a thread of your own, in a sync
    step:

        @step
        def crunch(self, ctx: Context, ev: StartEvent) -> StopEvent:
            write = stream_writer(ctx)
            for row in rows:
                write(Progress(row=row))

    Events that are written after the end of the run are dropped.

    Args:
        ctx: the context that the step was called with.

    Raises:
        NotInStep: no step is being executed, or, in a sync step, its run is not of this package.

    The returned function raises LoopClosed if the event loop of the run is closed.
    """
    # U8: upstream's context may only write on the loop's own thread.
    try:
        ctx.write_event_to_stream(None)  # writes nothing, but tells whether it could
    except ContextStateError as error:
        raise NotInStep(
            "stream_writer(ctx) takes the context of a running step: call it inside the step, "
            "with the ctx that the step was given."
        ) from error
    loop = _loop_of_step()

    def write(event: Event) -> None:
        """Write an event to the stream; callable from any thread."""
        if running_loop() is loop:
            ctx.write_event_to_stream(event)
            return
        try:
            # The caller may change its event before the loop gets to see it.
            loop.call_soon_threadsafe(ctx.write_event_to_stream, shallow_copy(event))
        except RuntimeError as error:
            raise LoopClosed(
                f"{type(event).__name__} cannot be written: the event loop of its run is closed."
            ) from error

    return write


def _loop_of_step() -> asyncio.AbstractEventLoop:
    loop = running_loop()
    if loop is not None:
        return loop
    run = current_run()
    if run is None:
        raise NotInStep(
            "stream_writer(ctx) was called in a thread that knows no run of ours. Call it in an "
            "async step and hand the function on, or use this package's Workflow or stream_run()."
        )
    return run.loop
