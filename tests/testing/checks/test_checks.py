"""The checker of stream laws: what breaks a law is caught, and what does not apply is skipped."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_streaming_ext import Event, Record, StopEvent
from llama_index_streaming_ext.events import StepStateChanged, WorkflowFailedEvent
from llama_index_streaming_ext.stream.event_stream import Ending, EventStream
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Recording,
    StreamLawBroken,
    Turn,
    check_recording,
    check_stream,
    record,
    record_sync,
    text,
)
from llama_index_streaming_ext.testing.contracts.sample_runs import records_of, sample_runs
from tests.support.testing.streams import asks, calls, chunk, numbered, recorded, results

STOP = StopEvent(result="done")


class ArgumentsDelta(Event):
    """A piece of the arguments of a tool call, as a provider streams them."""

    tool_id: str
    delta: str


def broken(rec: Recording, **kwargs: Any) -> tuple[str, int | None, str]:
    """Which law a recording breaks, where, and what was expected."""
    with pytest.raises(StreamLawBroken) as failed:
        check_recording(rec, **kwargs)
    return failed.value.law, failed.value.seq, failed.value.expected


def failed_run(*events: Event) -> Recording:
    """The recording of a run that failed."""
    error = ValueError("broken")
    rec = recorded(*events, WorkflowFailedEvent(step_name="s", exception=error))
    rec.outcome = dataclasses.replace(rec.outcome, status="failed", error=error)
    return rec


# --- L1 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seqs", "at", "wanted"),
    [
        ((1, 3), 3, 2),
        ((2, 3), 2, 1),
        ((1, 1), 1, 2),
        ((1, 2, 2), 2, 3),
        ((2, 1), 2, 1),
        ((0,), 0, 1),
    ],
)
def test_l1_seq(seqs: Sequence[int], at: int, wanted: int) -> None:
    """L1 is broken by a gap, a repetition, or another first number than 1."""
    rec = Recording(numbered(*((seq, 1.0) for seq in seqs)))
    assert broken(rec) == ("L1", at, f"seq {wanted}")


def test_l1_time() -> None:
    """L1 is broken by a time that goes back."""
    assert broken(Recording(numbered((1, 1.0), (2, 2.0), (3, 1.5)))) == ("L1", 3, "ts 2.0 or later")


def test_l1_of_a_reader_of_records() -> None:
    """What a reader is given may skip internal events, but not go back."""
    assert "L1" in check_recording(record_sync(numbered((2, 1.0), (5, 1.0)))).held
    rec = record_sync(numbered((2, 1.0), (2, 1.0)))
    assert broken(rec) == ("L1", 2, "seq 3 or more")


# --- L2 -------------------------------------------------------------------------------------------


def test_l2_no_terminal_record() -> None:
    """L2 is broken by a log that does not end, also where its last event is a StopEvent."""
    rec = Recording([Record(1, 1.0, STOP)])
    assert broken(rec) == ("L2", 1, "a terminal record at the end")


def test_l2_nothing_at_all() -> None:
    """L2 is broken by an empty log."""
    assert broken(Recording([])) == ("L2", None, "a terminal record at the end")


def test_l2_records_behind_the_terminal_one() -> None:
    """L2 is broken by what comes behind the end, another end included."""
    ends = [Record(seq, 1.0, STOP, terminal=True) for seq in (1, 2)]
    assert broken(Recording(ends)) == ("L2", 1, "nothing behind the terminal record")


def test_l2_a_stop_event_of_a_step() -> None:
    """A StopEvent that a step wrote is not the end."""
    assert "L2" in check_recording(recorded(STOP, Event(), STOP)).held


def test_l2_of_a_reader_that_stopped_early() -> None:
    """A reader of records that has not come to the end breaks nothing."""
    report = check_recording(record_sync([Record(1, 1.0, Event())]))
    assert report.skipped["L2"] == "the reader did not read to the end"


# --- L3 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "at", "expected"),
    [
        ([chunk("a", "b")], 1, "a"),
        ([chunk("a", "a"), chunk("b", "b")], 2, "ab"),
        ([chunk("a", "a"), chunk("b", "a")], 2, "ab"),
        ([chunk("a", "a"), chunk("", "ab")], 2, "a"),
        ([asks(), chunk("a", "a"), chunk("b", "b")], 3, "ab"),
        (
            [asks(), chunk("a", "a"), asks(), chunk("b", "ab"), chunk("c", "c"), chunk("d", "d")],
            6,
            "cd",
        ),
        ([asks("x"), chunk("a", "a", "x"), asks("y"), chunk("b", "ab", "y")], 4, "b"),
    ],
)
def test_l3(events: list[Event], at: int, expected: str) -> None:
    """L3 is broken by a response that does not grow by its delta."""
    assert broken(recorded(*events, STOP)) == ("L3", at, f"response={expected!r}")


@pytest.mark.parametrize(
    "events",
    [
        [asks(), chunk("a", "a"), chunk("b", "ab"), asks(), chunk("c", "c")],
        [asks("x"), asks("y"), chunk("a", "a", "x"), chunk("b", "b", "y"), chunk("c", "ac", "x")],
        [asks(), asks(), chunk("a", "a"), chunk("b", "b"), chunk("c", "ac"), chunk("d", "bd")],
        [asks(), chunk("a", "a"), calls("1"), chunk("b", "b"), chunk("c", "c"), results("1")],
        [chunk("a", "a"), Event(), chunk("b", "b")],
        [asks(), chunk("", ""), chunk("a", "a")],
    ],
    ids=["calls", "agents", "namesakes", "inside a tool", "no AgentInput", "empty"],
)
def test_l3_of_several_calls(events: list[Event]) -> None:
    """LLM calls begin anew, run side by side, and inside tools."""
    assert "L3" in check_recording(recorded(*events, STOP)).held


def test_l3_of_chunks() -> None:
    """L3 holds for an LLM's own chunks, and is broken by those that lag behind."""
    chunks = list(FakeStreamingLLM([Turn(text("a", "b"))]).stream_complete("hi"))
    assert check_recording(record_sync(chunks)).held == ("L3",)
    assert broken(record_sync([chunks[2], chunks[1]])) == ("L3", 1, "text 'b'")


def test_l3_is_left_out() -> None:
    """For an LLM class that breaks L3 upstream, it need not be checked."""
    rec = recorded(chunk("a", "b"), STOP)
    assert check_recording(rec, responses=False).skipped["L3"] == "responses=False"
    with pytest.raises(StreamLawBroken, match="Pass responses=False"):
        check_recording(rec)


# --- L4 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "at", "expected"),
    [
        ([results("1")], 1, "an earlier ToolCall with tool_id='1'"),
        ([results("1"), calls("1")], 1, "an earlier ToolCall with tool_id='1'"),
        ([calls("1"), results("2")], 2, "an earlier ToolCall with tool_id='2'"),
        ([calls("1"), results("1"), results("1")], 3, "one result for tool_id='1'"),
        ([calls("1"), calls("2"), results("2")], 1, "a ToolCallResult for tool_id='1'"),
        ([calls("1"), results("1"), calls("1")], 3, "a ToolCallResult for tool_id='1'"),
    ],
)
def test_l4(events: list[Event], at: int, expected: str) -> None:
    """L4 is broken by a result without its call, by a second one, and by a call without one."""
    assert broken(recorded(*events, STOP)) == ("L4", at, expected)


def test_l4_of_a_run_that_did_not_complete() -> None:
    """A run that failed may have calls without results, but no results without calls."""
    assert "L4" in check_recording(failed_run(calls("1"))).held
    assert broken(failed_run(results("1")))[:2] == ("L4", 1)


def test_l4_of_a_step_that_ran_again() -> None:
    """U34: a call that is streamed twice, because a human was asked, has one result."""
    assert "L4" in check_recording(recorded(calls("1"), calls("1"), results("1"), STOP)).held


# --- L5 -------------------------------------------------------------------------------------------


def arguments(*deltas: str) -> list[Event]:
    """The arguments of the call "1", piece by piece."""
    return [ArgumentsDelta(tool_id="1", delta=delta) for delta in deltas]


def test_l5() -> None:
    """L5 is broken by arguments that are not what was streamed."""
    said = arguments('{"city": ', '"Rome"}')
    rec = recorded(*said, calls("1", city="Paris"), results("1"), STOP)
    assert broken(rec) == ("L5", 3, "tool_kwargs={'city': 'Rome'}")


def test_l5_of_what_is_no_json() -> None:
    """L5 is broken by a call of arguments that were cut off."""
    rec = recorded(*arguments('{"city": "Pa'), calls("1", city="Pa"), results("1"), STOP)
    assert broken(rec) == ("L5", 2, "deltas that are the JSON of {'city': 'Pa'}")


def test_l5_holds() -> None:
    """Arguments that were streamed in pieces are those of the call; pieces are no text."""
    rec = recorded(
        *arguments('{"city": ', '"Paris"}'), calls("1", city="Paris"), results("1"), STOP
    )
    assert "L5" in check_recording(rec).held
    assert rec.text == ""


# --- L6 -------------------------------------------------------------------------------------------


class Forgetful(EventStream):
    """A stream whose readers, but for those from the start, are not shown one record."""

    async def _without(self, records: AsyncGenerator[Record], after: int) -> AsyncGenerator[Record]:
        async for one in records:
            if after == 0 or one.seq != 4:
                yield one

    def read(self, after: int = 0, *args: Any, **kwargs: Any) -> Any:
        """Read without the fourth record."""
        return self._without(super().read(after, *args, **kwargs), after)


class Twice(EventStream):
    """A stream whose readers see the record that they resume behind again."""

    def read(self, after: int = 0, *args: Any, **kwargs: Any) -> Any:
        """Read from the record that was the last."""
        return super().read(max(after - 1, 0), *args, **kwargs)


class Short(EventStream):
    """A stream whose readers miss the end."""

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read all but the terminal record."""
        return self._but_the_last(super().read(*args, **kwargs))

    async def _but_the_last(self, records: AsyncGenerator[Record]) -> AsyncGenerator[Record]:
        async for one in records:
            if not one.terminal:
                yield one


class Long(EventStream):
    """A stream whose readers are told the end twice."""

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read the terminal record twice."""
        return self._and_again(super().read(*args, **kwargs))

    async def _and_again(self, records: AsyncGenerator[Record]) -> AsyncGenerator[Record]:
        async for one in records:
            yield one
            if one.terminal:
                yield one


class Changing(EventStream):
    """A stream that gives every reader other events."""

    reads = 0

    async def _numbered(self, records: AsyncGenerator[Record], n: int) -> AsyncGenerator[Record]:
        async for one in records:
            yield one._replace(event=Event(n=n))  # pyright: ignore[reportCallIssue] # a dynamic field

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read events that say which reader it is."""
        self.reads += 1
        return self._numbered(super().read(*args, **kwargs), self.reads)


def filled(stream: EventStream) -> EventStream:
    """A stream with ten records, some of them internal."""
    for n in range(8):
        stream.append(Event(n=n))  # pyright: ignore[reportCallIssue] # a dynamic field
    stream.append(StepStateChanged.model_construct(name="s", step_state="running", worker_id="0"))
    stream.close(STOP, Ending("completed", "done"))
    return stream


@pytest.mark.parametrize("stream", [Forgetful, Twice, Short, Long, Changing])
async def test_l6(stream: type[EventStream]) -> None:
    """L6 is broken by readers who see less, or more, or something else."""
    rec = await record(filled(EventStream("run", clock=lambda: 1.0)))
    rec.stream = filled(stream("run", clock=lambda: 1.0))
    with pytest.raises(StreamLawBroken) as failed:
        await check_stream(rec, readers=20)
    assert failed.value.law == "L6"
    assert "a reader from #" in failed.value.found


async def test_l6_of_a_stream() -> None:
    """A stream is read by others while it is recorded."""
    assert "L6" in (await check_stream(filled(EventStream("run")))).held
    with pytest.raises(StreamLawBroken, match="L6"):
        await check_stream(filled(Changing("run")))


async def test_l6_of_a_recording() -> None:
    """The stream of a recording is read again."""
    rec = await record(filled(EventStream("run")))
    assert "L6" in (await check_stream(rec)).held


async def test_l6_needs_a_stream() -> None:
    """What cannot be read again is not."""
    report = await check_stream(recorded(STOP))
    assert report.skipped["L6"] == "the source cannot be read again"
    rec = await record(filled(EventStream("run")))
    assert "check_stream(...)" in check_recording(rec).skipped["L6"]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0), readers=st.integers(0, 9))
async def test_l6_of_any_readers(seed: int, readers: int) -> None:
    """Whatever readers are made up, a stream of ours keeps L6."""
    await check_stream(filled(EventStream("run")), readers=readers, seed=seed)


# --- L7 -------------------------------------------------------------------------------------------


def test_l7() -> None:
    """L7 is broken by an outcome whose text is not what was streamed."""
    rec = recorded(chunk("a", "a"), chunk("b", "ab"), STOP)
    rec.outcome = dataclasses.replace(rec.outcome, text="a")
    assert broken(rec) == ("L7", 3, "outcome.text='ab'")


# --- what is said ---------------------------------------------------------------------------------


def test_the_message() -> None:
    """A breach says which law, where, what was expected, and shows the records around it."""
    events = [Event() for _ in range(9)]
    with pytest.raises(StreamLawBroken) as failed:
        check_recording(recorded(*events, calls("1"), results("2"), *events, STOP))
    lines = str(failed.value).splitlines()
    assert lines[:3] == [
        "L4 is broken at record #11: every ToolCallResult has an earlier ToolCall, and every "
        "ToolCall one result.",
        "  expected: an earlier ToolCall with tool_id='2'",
        "  found:    only '1'",
    ]
    assert [line for line in lines if line.startswith(">")] == [
        ">     11    2500.0  ToolCallResult          'sunny' id='2'"
    ]
    assert "... 6 more before ..." in lines[4]
    assert "... 6 more after ..." in lines[-1]
    assert len(lines) == 3 + 1 + 1 + 9 + 1


@pytest.mark.parametrize("name", sample_runs())
def test_the_sample_runs(name: str) -> None:
    """The samples that encoders are tried on are streams that keep the laws."""
    check_recording(Recording(sample_runs()[name]))


def test_the_report() -> None:
    """The report says what was checked, and why the rest was not."""
    report = check_recording(Recording(records_of(STOP)))
    assert report.held == ("L1", "L2", "L7")
    assert str(report).splitlines() == [
        "L1 holds: `seq` is 1..n without gaps, and `ts` never goes back",
        "L2 holds: there is exactly one terminal record, and it is the last",
        "L3 was not checked: there is no AgentStream",
        "L4 was not checked: there is no ToolCall",
        "L5 was not checked: no event brings the arguments of a tool call piece by piece",
        "L6 was not checked: the source cannot be read again",
        "L7 holds: the text of the outcome is what a reader of the deltas has seen",
    ]


def test_bare_strings() -> None:
    """No law applies to bare strings, and the report says so."""
    report = check_recording(record_sync(["a", "b"]))
    assert report.held == ()
    assert list(report.skipped) == [f"L{n}" for n in range(1, 8)]
