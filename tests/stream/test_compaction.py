"""Chunks of LLM calls, kept small and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.tools import ToolSelection

from llama_index_streaming_ext import AgentStream, Event
from llama_index_streaming_ext.stream.compaction import Compactor, shallow_copy
from llama_index_streaming_ext.stream.deltas import AgentText, Token


class Note(Event):
    """An event of a user."""

    n: int = 0


def note(n: int, **data: Any) -> Note:
    """A note with attributes beside its field."""
    return Note(n=n, **data)


def chunk(delta: str, response: str, agent: str = "agent", **fields: Any) -> AgentStream:
    """A chunk of an LLM call, as an agent writes it."""
    return AgentStream(delta=delta, response=response, current_agent_name=agent, **fields)


def call(*deltas: str, agent: str = "agent") -> list[AgentStream]:
    """The chunks of one LLM call that keeps L3."""
    return [chunk(d, "".join(deltas[: n + 1]), agent) for n, d in enumerate(deltas)]


def tokens(events: Sequence[AgentStream], **kwargs: Any) -> list[Token]:
    """The compact entries of chunks."""
    compactor = Compactor(**kwargs)
    return [compactor.token(event, float(n)) for n, event in enumerate(events)]


def events(made: Sequence[Token]) -> list[AgentStream]:
    """Return the events that readers get of compact entries."""
    return [cast("AgentStream", token.event()) for token in made]


def test_response_is_put_together_again() -> None:
    """A token's event has the response that its chunk said."""
    written = call("It", " is", "", " sunny.")
    assert events(tokens(written)) == written


def test_response_of_a_call_whose_first_chunk_is_empty() -> None:
    """A first chunk that only tells the role is a chunk like others."""
    written = call("", "It", " is")
    assert events(tokens(written)) == written


@pytest.mark.parametrize("order", [[3, 1, 2, 0], [2, 2, 2], [0, 3, 1]])
def test_response_in_any_order(order: list[int]) -> None:
    """Tokens can be read in any order, and again."""
    written = call("a", "b", "c", "d")
    made = tokens(written)
    assert [made[n].event() for n in order] == [written[n] for n in order]


def test_calls_one_after_the_other() -> None:
    """The next call of an agent starts with a response of its own."""
    written = call("one", " more") + call("two", " more")
    assert events(tokens(written)) == written


def test_calls_of_two_agents_at_once() -> None:
    """Chunks of agents that work at once do not mix."""
    ours, theirs = call("a", "b", "c", agent="x"), call("d", "e", "f", agent="y")
    written = [event for pair in zip(ours, theirs, strict=True) for event in pair]
    assert events(tokens(written)) == written


def test_calls_of_one_name_at_once() -> None:
    """Chunks of agents of one name that work at once do not mix either."""
    calls = [call(f"{n}", "same", f"{n}", "end") for n in range(4)]
    written = [event for chunks in zip(*calls, strict=True) for event in chunks]
    assert events(tokens(written)) == written


def test_one_call_is_kept_once() -> None:
    """All chunks of a call share it, so that memory grows with the deltas alone."""
    made = tokens(call(*["abcd"] * 100))
    assert {id(token.series) for token in made} == {id(made[0].series)}
    assert made[0].series.deltas == ["abcd"] * 100


def test_a_call_that_is_over_keeps_no_response() -> None:
    """When a run is over, no whole response is kept."""
    compactor = Compactor()
    made = [compactor.token(event, 0.0) for event in call("a", "b")]
    compactor.run_over()
    last = made[-1].series
    assert isinstance(last, AgentText)
    assert last.last == ""
    assert events(made)[-1].response == "ab"


@pytest.mark.parametrize(
    "responses",
    [
        ["", "a", "ab"],  # lags by one delta, as core's mock does (U80)
        ["x", "y", "z"],
        ["abc", "abc", "abc"],  # the whole answer in each
        ["", "", ""],
        ["ab", "a", ""],
    ],
)
def test_an_llm_that_breaks_l3_keeps_its_response(responses: list[str]) -> None:
    """Readers get `response` as it came if it is not the sum of the deltas."""
    written = [chunk(d, r) for d, r in zip("abc", responses, strict=True)]
    assert events(tokens(written)) == written


CHUNKS = st.builds(
    chunk,
    st.text("ab", max_size=2),
    st.text("ab", max_size=4),
    agent=st.sampled_from(["x", "y"]),
    thinking_delta=st.none() | st.text(max_size=2),
)


@given(st.lists(CHUNKS, max_size=20))
def test_any_chunks_come_out_as_they_went_in(written: list[AgentStream]) -> None:
    """Whatever deltas and responses chunks say, readers get just these."""
    assert events(tokens(written)) == written


def test_tool_calls_are_as_the_chunk_said() -> None:
    """Each event has the tool calls of its own chunk, not of a later one."""
    said: list[list[dict[str, Any]]] = [[], [{}], [{"city": None}], [{"city": "Rome"}], []]
    written = [
        chunk(
            "",
            "",
            tool_calls=[
                ToolSelection(tool_id="1", tool_name="weather", tool_kwargs=kwargs)
                for kwargs in arguments
            ],
        )
        for arguments in said
    ]
    assert [
        [call.tool_kwargs for call in event.tool_calls] for event in events(tokens(written))
    ] == said


def test_equal_tool_calls_are_kept_once() -> None:
    """A tool call that does not change from chunk to chunk is not kept for each."""
    written = [
        chunk("", "", tool_calls=[ToolSelection(tool_id="1", tool_name="w", tool_kwargs={"a": 1})])
        for _ in range(3)
    ]
    kept = [token.extras.tools for token in tokens(written) if token.extras is not None]
    assert len(kept) == 3
    assert kept[0] is kept[1] is kept[2]


def test_a_list_of_tool_calls_is_the_readers_own() -> None:
    """A reader that empties its list takes nothing away from another."""
    tool = ToolSelection(tool_id="1", tool_name="w", tool_kwargs={})
    [token] = tokens([chunk("", "", tool_calls=[tool])])
    token.event().tool_calls.clear()
    assert token.event().tool_calls == [tool]


def test_raw_of_the_last_chunk_only() -> None:
    """Of a call's raw chunks only the last one is kept, when the call is over."""
    compactor = Compactor()
    made = [
        compactor.token(chunk(d, "abc"[: n + 1], raw={"n": n}), 0.0) for n, d in enumerate("abc")
    ]
    compactor.calls_over("agent")
    assert [event.raw for event in events(made)] == [None, None, {"n": 2}]


def test_raw_of_the_last_chunk_of_each_call() -> None:
    """Each of an agent's calls keeps its own last raw chunk."""
    compactor = Compactor()
    made: list[Token] = []
    for n in range(2):
        made += [
            compactor.token(chunk(d, d * (i + 1), raw=(n, i)), 0.0) for i, d in enumerate("aa")
        ]
        compactor.calls_over("agent")
    assert [event.raw for event in events(made)] == [None, (0, 1), None, (1, 1)]


def test_raw_of_a_chunk_that_ends_its_call() -> None:
    """The chunk with the finish reason keeps its raw without waiting for the call to be over."""
    raw = {"choices": [{"finish_reason": "stop"}]}
    made = tokens([chunk("a", "a", raw={"choices": [{}]}), chunk("", "a", raw=raw)])
    assert [event.raw for event in events(made)] == [None, raw]


def test_raw_where_every_chunk_has_usage() -> None:
    """A provider that counts up in every chunk has only its last raw chunk kept."""
    compactor = Compactor()
    raws = [
        {"usage_metadata": {"prompt_token_count": 5, "candidates_token_count": n}} for n in range(3)
    ]
    made = [compactor.token(chunk("a", "a" * (n + 1), raw=raw), 0.0) for n, raw in enumerate(raws)]
    compactor.run_over()
    assert [event.raw for event in events(made)] == [None, None, raws[-1]]


def test_keep_raw_keeps_all() -> None:
    """With keep_raw every event has the raw of its chunk."""
    written = [chunk(d, "ab"[: n + 1], raw={"n": n}) for n, d in enumerate("ab")]
    assert events(tokens(written, keep_raw=True)) == written


def test_thinking_survives() -> None:
    """Reasoning text is kept chunk by chunk."""
    written = [chunk("", "", thinking_delta=text) for text in ("so", "", " what")]
    assert events(tokens(written)) == written


def test_dynamic_attributes_survive() -> None:
    """Readers get the attributes that a step set beside the fields."""
    written = chunk("a", "a", raw={"n": 1}, score=0.5)
    [token] = tokens([written])
    assert token.event().to_dict() == {"score": 0.5}


def test_dynamic_attributes_are_the_readers_own() -> None:
    """No reader sees the attributes that another one sets beside the fields."""
    [token] = tokens([chunk("a", "a", score=0.5)])
    token.event().score = 1.0
    assert token.event().to_dict() == {"score": 0.5}


def test_setting_a_field_changes_no_token() -> None:
    """No reader sees the attributes that a step sets on a chunk after it was written."""
    written = chunk("a", "a", score=1)
    [token] = tokens([written])
    written.delta, written.response, written.score = "x", "y", 2
    assert token.event() == chunk("a", "a", score=1)


def test_type_is_core_s() -> None:
    """Readers get core's very class, as matching by `type()` needs (U39)."""
    [token] = tokens(call("a"))
    assert type(token.event()) is AgentStream


def test_equal_but_for_raw() -> None:
    """An event equals the written one, whose raw is not kept."""
    written = chunk("a", "a", raw={"big": 1}, thinking_delta="so", score=1)
    [token] = tokens([written])
    assert token.event() == written.model_copy(update={"raw": None})


def test_copy_of_an_event_equals_it() -> None:
    """A shallow copy is of the same class and equal."""
    written = note(1, extra=2)
    copy = shallow_copy(written)
    assert type(copy) is Note
    assert copy == written


@pytest.mark.parametrize("event", [note(1), chunk("a", "a"), note(1, more=1)])
def test_setting_a_field_of_the_original(event: Event) -> None:
    """Fields set on the original do not reach the copy."""
    copy = shallow_copy(event)
    before = copy.model_dump()
    for name in type(event).model_fields:
        setattr(event, name, "changed")
    assert copy.model_dump() == before


@pytest.mark.parametrize("event", [note(1), chunk("a", "a"), note(1, more=1)])
def test_dynamic_attribute_set_on_the_original(event: Event) -> None:
    """Attributes beside the fields that are set on the original do not reach the copy."""
    copy = shallow_copy(event)
    before = copy.to_dict()
    event.late = "late"
    assert copy.to_dict() == before


def test_copy_is_shallow() -> None:
    """The values themselves are shared: copying prompts and documents would cost too much."""
    written = chunk("a", "a", raw={"n": [1]})
    assert shallow_copy(written).raw is written.raw
