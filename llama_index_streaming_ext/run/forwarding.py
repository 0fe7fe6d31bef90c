"""`forward`: the events of an inner run, in the stream of the run whose step waits for it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeAlias

from workflows import Context
from workflows.errors import WorkflowRuntimeError
from workflows.handler import WorkflowHandler

from llama_index_streaming_ext.events import Event, StopEvent
from llama_index_streaming_ext.run.handler import StreamingHandler, stream_run
from llama_index_streaming_ext.run.run import current_run
from llama_index_streaming_ext.run.step_writer import StepWriter, writer_of
from llama_index_streaming_ext.run.stream_writer import stream_writer
from llama_index_streaming_ext.stream.compaction import shallow_copy
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import DeltaSeries, Token
from llama_index_streaming_ext.stream.origin import NOWHERE, Origin, current_origin, running_id
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.threads.loops import on_loop

Entry: TypeAlias = Token | Record


async def forward(handler: WorkflowHandler | StreamingHandler) -> Any:
    """Wait for an inner run and show its events in the stream of this run.

    Use it in a tool (or a step) that runs an agent or a workflow of its own:

        async def research(topic: str) -> str:
            return str(await forward(researcher.run(user_msg=topic)))

    Each event of the inner run goes into the log of this run at once. Its record's `origin` says
    where it comes from: `origin.run_id` is the inner run, `origin.parent` the place where it was
    forwarded, so `origin.parent.tool_id` is the tool call. Runs that the inner run has forwarded
    keep their own ids, and their parents have parents. The inner run's `StopEvent` is an event
    like others here: it never ends this run's stream.

    Forwarded events are no part of this run's answer: `outcome().text`, `snapshot()` and
    `text_stream()` leave them out; `outcome().usage` counts them. To skip them, skip records with
    an `origin.run_id`.

    An inner `InputRequiredEvent` is shown here too; its answer goes to the inner handler.

    Being cancelled here cancels the inner run, unless it is detached. Where this run is none of
    this package's classes, or its runtime not the basic one, the events take upstream's way: they
    carry no origin, so that their text counts as this run's, and StopEvents stay out. Outside of a
    step it just waits for the inner run.

    Args:
        handler: the handler that `run()` of an agent or workflow returned, ours or upstream's.
            The events of an upstream handler must not have been read before.

    Returns:
        The result of the inner run, as `await handler` gives it.

    Raises:
        TypeError: it is no handler.
        ValueError: it is the handler of this very run.
        BaseException: the error of the inner run, as `await handler` raises it.
    """
    if not isinstance(handler, WorkflowHandler):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"forward takes what agent.run(...) or workflow.run(...) returned, not "
            f"{type(handler).__name__}."
        )
    if handler.run_id == running_id():
        raise ValueError(f"Run '{handler.run_id}' cannot be forwarded into itself.")
    inner = stream_run(handler)
    put = _way_out(inner.run_id)
    async with inner:
        if put is not None:
            async for entry in inner.stream.follow(_Entries()):
                put(entry)
        stop = await inner.stop_event_result()
    return stop.result if type(stop) is StopEvent else stop


def _way_out(run_id: str) -> Callable[[Entry], object] | None:
    """Return the function that writes entries of an inner run; None outside of a step."""
    try:
        ctx = Context.get_step_context()
    except WorkflowRuntimeError:
        return None
    writer, run = writer_of(ctx), current_run()
    if writer is None or run is None:
        return _by_upstreams_way(stream_writer(ctx))
    into = _IntoLog(writer, run_id, current_origin())
    if on_loop(run.loop):
        return into.put
    # A sync tool has a loop of its own in its thread.
    return functools.partial(run.loop.call_soon_threadsafe, into.put)


def _by_upstreams_way(write: Callable[[Event], None]) -> Callable[[Entry], object]:
    def put(entry: Entry) -> None:
        event = entry.event() if isinstance(entry, Token) else shallow_copy(entry.event)
        # U6: nobody could tell it from the end of this run.
        if not isinstance(event, StopEvent):
            write(event)

    return put


class _Entries(Cursor[Entry]):
    """Reads a log as it is kept: no event is made of a token."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0, (), internal=False)

    def take(self, seq: int, entry: Entry) -> Entry | None:
        """The entry, unless it is an internal event."""
        return entry if isinstance(entry, Token) or self._wants(entry.event) else None


class _IntoLog:
    """Writes the entries of an inner run into the log of the outer one.

    Args:
        writer: the writer of the step that forwards.
        run_id: the inner run.
        parent: where it is forwarded.
    """

    def __init__(self, writer: StepWriter, run_id: str, parent: Origin) -> None:
        self._pump = writer.pump
        self._run_id = run_id
        self._parent = parent
        self._shared: dict[DeltaSeries, DeltaSeries] = {}

    def put(self, entry: Entry) -> None:
        """Write the next entry, behind all that steps of the outer run have written before."""
        pump = self._pump
        if isinstance(entry, Token):
            series = self._series(entry.series)
            if pump.clear:
                pump.stream.append_shared(series, entry)
            else:
                pump.straight(entry.event(), series.origin)
        elif pump.held is None or not isinstance(entry.event, StopEvent):
            # While the outer run ends, another StopEvent could be taken for its end.
            pump.straight(entry.event, lifted(entry.origin, self._run_id, self._parent))

    def _series(self, series: DeltaSeries) -> DeltaSeries:
        """A series with the deltas of one of the inner run, and the origin that it has here."""
        shared = self._shared.get(series)
        if shared is None:
            shared = self._shared[series] = copy.copy(series)
            shared.origin = lifted(series.origin, self._run_id, self._parent)
        return shared


def lifted(origin: Origin, run_id: str, parent: Origin) -> Origin:
    """The origin that a record of an inner run has where it is forwarded.

    Args:
        origin: what it is in the inner run.
        run_id: the inner run.
        parent: where the inner run is forwarded.
    """
    if origin.run_id is None:
        return origin._replace(run_id=run_id, parent=parent)
    # It was forwarded into the inner run: its own lineage stays, and gets longer.
    return origin._replace(parent=lifted(origin.parent or NOWHERE, run_id, parent))
