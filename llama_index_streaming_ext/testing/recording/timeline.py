"""A recording as a table that people read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

from llama_index_streaming_ext.events import (
    AgentInput,
    AgentOutput,
    AgentStream,
    AnswerDelta,
    Event,
    InternalDispatchEvent,
    StopEvent,
    ToolCall,
    ToolCallResult,
    WorkflowFailedEvent,
)
from llama_index_streaming_ext.stream.record import Record

_WIDTH = 60
_KIND_WIDTH = 22
# A longer run of chunks is shown by its first and last ones.
_RUN = 6
_RUN_HEAD, _RUN_TAIL = 3, 2
_ROWS_HEAD, _ROWS_TAIL = 24, 12
# So many neighbours of a record are shown on each side.
_REACH = 4


def kind_of(item: object) -> str:
    """Return the name of an item's class."""
    return type(item).__name__


def delta_of(item: object) -> str:
    """The text that an item of a stream adds; empty where it adds none."""
    if isinstance(item, Record):
        record = cast("Record", item)
        if record.origin.run_id is not None:
            # It was forwarded from an inner run, whose answer is another one.
            return ""
        item = record.event
    if isinstance(item, str):
        return item
    if isinstance(item, Event) and not isinstance(item, AgentStream | AnswerDelta):
        # The deltas of other events are no text of the answer: arguments of a tool, for one.
        return ""
    delta = getattr(item, "delta", None)
    return delta if isinstance(delta, str) else ""


def detail_of(item: object) -> str:
    """The delta of an item, or what matters most of one that has none."""
    delta = delta_of(item)
    if delta or isinstance(item, str):
        return _short(repr(delta))
    for cls, describe in _DETAILS.items():
        if isinstance(item, cls):
            return _short(describe(item))
    own = getattr(item, "delta", None)
    return _short(repr(own)) if isinstance(own, str) else ""


def table(
    records: Sequence[Record], times: Sequence[float], *, mark: int | None = None
) -> list[str]:
    """The lines of a table: seq, milliseconds since the start, kind, delta.

    Args:
        records: the records.
        times: seconds since the start, of each.
        mark: the index of the record that an arrow points at; only its neighbours are shown.

    Returns:
        The lines. Upstream's internal events are left out, as for any reader.
    """
    visible = [at for at, record in enumerate(records) if at == mark or not _is_internal(record)]
    shown = _everything(records, visible) if mark is None else _neighbours(visible, mark)
    lines = [f"  {'seq':>6} {'+ms':>9}  {'kind':<{_KIND_WIDTH}}  delta"]
    for row in shown:
        if isinstance(row, str):
            lines.append(f"  {'':>6} {'':>9}  {row}")
            continue
        record, arrow = records[row], ">" if row == mark else " "
        end = " (terminal)" if record.terminal else ""
        kind = f"{kind_of(record.event)}{end}"
        line = f"{arrow} {record.seq:>6} {times[row] * 1000:>9.1f}  {kind:<{_KIND_WIDTH}}  "
        lines.append((line + detail_of(record.event)).rstrip())
    return lines


def _is_internal(record: Record) -> bool:
    return isinstance(record.event, InternalDispatchEvent)


def _everything(records: Sequence[Record], visible: list[int]) -> list[int | str]:
    """The rows of a whole stream: long runs of chunks, and the middle, are left out."""
    rows: list[int | str] = []
    for kind, run in itertools.groupby(visible, lambda at: kind_of(records[at].event)):
        rows += _run(list(run), kind)
    if len(rows) <= _ROWS_HEAD + _ROWS_TAIL + 1:
        return rows
    left_out = len(rows) - _ROWS_HEAD - _ROWS_TAIL
    return [*rows[:_ROWS_HEAD], f"... {left_out} more rows ...", *rows[-_ROWS_TAIL:]]


def _run(run: list[int], kind: str) -> list[int | str]:
    if len(run) <= _RUN:
        return [*run]
    left_out = len(run) - _RUN_HEAD - _RUN_TAIL
    return [*run[:_RUN_HEAD], f"... {left_out} more {kind} ...", *run[-_RUN_TAIL:]]


def _neighbours(visible: list[int], mark: int) -> list[int | str]:
    place = visible.index(mark)
    first, last = max(0, place - _REACH), min(len(visible), place + _REACH + 1)
    before: list[int | str] = [f"... {first} more before ..."] if first else []
    left = len(visible) - last
    after: list[int | str] = [f"... {left} more after ..."] if left else []
    return [*before, *visible[first:last], *after]


def _short(said: str) -> str:
    said = said.replace("\n", "\\n")
    return said if len(said) <= _WIDTH else said[: _WIDTH - 3] + "..."


def _call(event: Any) -> str:
    given = cast("dict[str, Any]", event.tool_kwargs)
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return f"{event.tool_name}({arguments}) id={event.tool_id!r}"


def _stop(event: Any) -> str:
    return f"result={str(event.result)!r}" if type(event) is StopEvent else ""


_DETAILS: dict[type[Any], Callable[[Any], str]] = {
    ToolCallResult: lambda event: f"{event.tool_output.content!r} id={event.tool_id!r}",
    ToolCall: _call,
    AgentInput: lambda event: event.current_agent_name,
    AgentOutput: lambda event: f"{event.current_agent_name}: {event.response.content!r}",
    WorkflowFailedEvent: lambda event: repr(event.exception),
    StopEvent: _stop,
}
