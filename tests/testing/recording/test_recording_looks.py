"""Recordings: what can be asserted of them, and how they look."""

from __future__ import annotations

import inspect

import pytest

from llama_index_streaming_ext import (
    AgentInput,
    AgentStream,
    Event,
    StopEvent,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.testing import Recording, record, record_sync
from tests.support.testing.streams import (
    BROKEN,
    PATIENCE,
    calling,
    ours,
    recorded,
    shown,
)

# --- what is asserted -----------------------------------------------------------------------------


async def test_assert_order() -> None:
    """Events in this order, with others in between, are in order."""
    rec = await record(ours(calling()), timeout=PATIENCE)
    rec.assert_order(
        AgentInput, AgentStream, ToolCall, (ToolCallResult, str), AgentStream, StopEvent
    )


async def test_assert_order_says_what_is_missing() -> None:
    """Another order is refused, and the place is shown."""
    rec = await record(ours(calling()), timeout=PATIENCE)
    with pytest.raises(AssertionError) as failed:
        rec.assert_order(AgentInput, ToolCallResult, ToolCall)
    said = str(failed.value)
    assert "There is no ToolCall behind record #" in said
    assert "AgentInput -> ToolCallResult -> ToolCall" in said
    assert any(line.startswith(">") and "ToolCallResult" in line for line in said.splitlines())


def test_assert_order_counts_each_event_once() -> None:
    """Two events of a class are asked for by naming it twice."""
    recorded(Event(), Event(), StopEvent()).assert_order(Event, Event)
    with pytest.raises(AssertionError, match="There is no ToolCall, so"):
        recorded(StopEvent()).assert_order(ToolCall)


async def test_assert_nothing_after() -> None:
    """Nothing comes behind the end."""
    rec = await record(ours(calling()), timeout=PATIENCE)
    rec.assert_nothing_after(StopEvent)
    with pytest.raises(AssertionError, match=r"Behind the ToolCall in record #\d+ came"):
        rec.assert_nothing_after(ToolCall)


def test_assert_nothing_after_nothing() -> None:
    """An event that never came is no proof."""
    with pytest.raises(AssertionError, match="There is no ToolCall or AgentInput at all"):
        recorded(StopEvent()).assert_nothing_after((ToolCall, AgentInput))


# --- what is shown --------------------------------------------------------------------------------


def test_repr_of_a_run() -> None:
    """A recording shows its summary, and a row for each event."""
    shown = repr(
        recorded(AgentStream(delta="a\n", response="a", current_agent_name=""), StopEvent())
    )
    assert shown == inspect.cleandoc(
        r"""
        <Recording of records: 2 records, completed after 250.0 ms, first token after 0.0 ms>
             seq       +ms  kind                    delta
               1       0.0  AgentStream             'a\n'
               2     250.0  StopEvent (terminal)    result='None'
        """
    )


async def test_repr_of_a_failure() -> None:
    """A recording shows what was raised."""
    assert "\n  ValueError('The provider broke.')\n" in repr(await record(shown(BROKEN)))


def test_repr_leaves_out_long_runs() -> None:
    """Of a thousand chunks a few are shown, and what is beside them."""
    rows = repr(record_sync([*map(str, range(1000)), Event()])).splitlines()
    assert len(rows) == 9
    assert "... 995 more str ..." in rows[5]
    assert rows[-1].split() == ["1001", rows[-1].split()[1], "Event"]


def test_repr_leaves_out_the_middle() -> None:
    """Of many rows the first and the last ones are shown."""
    rows = repr(recorded(*[Event(), StopEvent()] * 500)).splitlines()
    assert len(rows) == 2 + 24 + 1 + 12
    assert "... 964 more rows ..." in "\n".join(rows)


def test_repr_is_not_wide() -> None:
    """A long delta is cut off."""
    rows = repr(record_sync(["x" * 1000])).splitlines()
    assert max(map(len, rows)) <= 110
    assert rows[-1].endswith("...")


def test_a_recording_by_hand() -> None:
    """Records alone make a recording; its outcome is what they amount to."""
    rec = Recording(recorded(AgentStream(delta="a", response="a", current_agent_name="")).records)
    assert rec.outcome.text == rec.text == "a"
