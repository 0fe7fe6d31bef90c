"""The hypothesis strategies: what they make, and that they need hypothesis only when used."""

from __future__ import annotations

import sys

import pytest
from hypothesis import assume, find, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage

from llama_index_streaming_ext.errors import MissingDependency
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.testing import (
    CancelPoint,
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    VirtualClock,
    byte_splits,
    cancel_points,
    check_stream,
    chunkings,
    disconnect,
    record,
    record_sync,
    scripts,
    strategies,
    tool_call,
)
from llama_index_streaming_ext.testing.script.parts import Parallel
from llama_index_streaming_ext.testing.wire.splitting import Split
from tests.support.testing.streams import PATIENCE, calling, ours, upstreams, weather

WEATHER = {"weather": st.fixed_dictionaries({"city": st.text()})}


@given(script=scripts())
def test_scripts_without_tools(script: list[Turn]) -> None:
    """Without tools a script is one answer."""
    assert len(script) == 1
    assert not script[0].tool_calls


@given(script=scripts(WEATHER, max_turns=4))
def test_scripts_with_tools(script: list[Turn]) -> None:
    """Every turn but the last calls tools."""
    *before, answer = script
    assert len(before) < 4
    assert all(turn.tool_calls for turn in before)
    assert not answer.tool_calls


@given(script=scripts(["ping"]))
def test_scripts_with_names_of_tools(script: list[Turn]) -> None:
    """Tools that are only named are called without arguments."""
    assert {call.arguments for turn in script for call in turn.tool_calls} <= {"{}"}


@given(script=scripts(failures=False))
def test_scripts_without_failures(script: list[Turn]) -> None:
    """Without failures the LLM can be heard to its end."""
    assert record_sync(FakeStreamingLLM(script).stream_chat([ChatMessage("hi")])).error is None


def test_scripts_have_everything() -> None:
    """There are scripts that break off, and scripts with parallel calls."""
    assert find(scripts(), lambda script: disconnect() in script[0].parts)
    assert find(
        scripts(WEATHER), lambda script: any(isinstance(p, Parallel) for p in script[0].parts)
    )


@settings(deadline=None, max_examples=20)
@given(script=scripts(WEATHER, failures=False))
async def test_scripts_run(script: list[Turn]) -> None:
    """An agent completes any script without failures, but for calls that a fault of U72 loses."""
    llm = FakeStreamingLLM(script, faithful=False)
    rec = await record(ours(llm), timeout=PATIENCE)
    assert rec.error is None
    assert weather("") in "sunny in "


@given(whole=st.text(), data=st.data())
def test_chunkings(whole: str, data: st.DataObject) -> None:
    """The pieces make the text, and none is empty."""
    pieces = data.draw(chunkings(whole))
    assert "".join(pieces) == whole
    assert all(pieces)


@given(pieces=chunkings("a long enough text", max_chunks=3))
def test_chunkings_at_most(pieces: list[str]) -> None:
    """There are at most so many pieces."""
    assert 1 <= len(pieces) <= 3


def test_chunkings_shrink() -> None:
    """The simplest is one piece, and all are reached."""
    assert find(chunkings("abc"), lambda pieces: True) == ["abc"]
    assert find(chunkings("abc"), lambda pieces: len(pieces) == 3) == ["a", "b", "c"]
    assert find(chunkings(""), lambda pieces: True) == []


@given(deltas=chunkings('{"city":"Paris"}'))
def test_chunkings_of_arguments(deltas: list[str]) -> None:
    """Arguments in any pieces are the same arguments."""
    llm = FakeStreamingLLM([Turn(tool_call("weather", fragments=deltas))])
    assert record_sync(llm.stream_chat([ChatMessage("hi")])).tool_calls[0].tool_kwargs == {
        "city": "Paris"
    }


@settings(deadline=None, max_examples=20)
@given(split=byte_splits())
def test_byte_splits(split: Split) -> None:
    """Every split is one that the wire takes, and loses nothing."""
    fake = FakeOpenAI(["It is sunny ☀."], split=split)
    with fake.mock():
        assert record_sync(fake.llm().stream_complete("hi")).text == "It is sunny ☀."


def test_byte_splits_have_everything() -> None:
    """There is no cut at all, a cut at every byte, sizes and chance."""
    for form in (None, "byte", [1], "random:0"):
        assert find(byte_splits(), lambda split, form=form: split == form) == form


@settings(deadline=None, max_examples=20)
@given(point=cancel_points())
async def test_cancel_points(point: CancelPoint) -> None:
    """A run that is cancelled at any point keeps the laws."""
    handler = ours(calling())
    await point.reached(handler)
    await handler.cancel_run()
    await check_stream(handler, timeout=PATIENCE)


async def test_a_point_in_records() -> None:
    """The point of a record is when it is written; behind the last one, it is the end."""
    handler = ours(calling())
    await CancelPoint(records=3).reached(handler)
    assert handler.stream.last_seq >= 3
    assert not handler.is_done()
    await CancelPoint(records=9999).reached(handler.stream, patience=PATIENCE)
    assert handler.stream.done


async def test_a_point_that_never_comes() -> None:
    """A run that waits for something is not waited for."""
    stream = EventStream("run")
    with VirtualClock():
        await CancelPoint(records=1).reached(stream, patience=3600)
    assert not stream.done


@settings(deadline=None, max_examples=5)
@given(point=cancel_points(max_records=0))
async def test_points_of_upstreams_runs(point: CancelPoint) -> None:
    """Turns of the loop are points of upstream's runs as well."""
    assume(point.turns < 40)
    assert point.records == 0
    handler = upstreams(calling())
    await point.reached(handler)
    await handler.cancel_run()
    rec = await record(handler, timeout=PATIENCE)
    assert rec.outcome.status in ("cancelled", "completed")


@pytest.mark.parametrize("make", [scripts, byte_splits, cancel_points, lambda: chunkings("a")])
def test_a_missing_hypothesis_is_said(make: type[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no hypothesis is told how to get it."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(
        MissingDependency, match=r"pip install 'llama-index-streaming-ext\[testing\]'"
    ):
        make()
    assert strategies
