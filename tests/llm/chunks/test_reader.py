"""Tool calls, text and reasoning, read from the chunks of an LLM."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import MockLLM

from llama_index_streaming_ext.llm.chunks.reader import Fragment, reader_for
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, parallel, text, thinking, tool_call
from llama_index_streaming_ext.testing.strategies import chunkings
from tests.support.llm.reading_chunks import (
    ASK,
    Data,
    Dialect,
    call,
    chat_body,
    event_body,
    fake,
    openai,
    raw_chunk,
    read,
    read_calls,
    read_fake,
    read_recorded,
    recorded,
    said,
    shown,
)

both_dialects = pytest.mark.parametrize("dialect", ["chat", "responses"])
both_faiths = pytest.mark.parametrize("faithful", [True, False])
objects_or_dicts = pytest.mark.parametrize("as_dict", [False, True])


@both_dialects
@both_faiths
def test_fragments_come_as_they_are_written(dialect: Dialect, faithful: bool) -> None:
    """Each piece of the arguments is one fragment, with the call's id, name and place."""
    done = read_fake(
        Turn(tool_call("weather", id="a", fragments=['{"city":', ' "Par', 'is"}'])),
        dialect,
        faithful=faithful,
    )
    assert done.fragments == [
        Fragment("a", "weather", 0, '{"city":'),
        Fragment("a", "weather", 0, ' "Par'),
        Fragment("a", "weather", 0, 'is"}'),
    ]


@both_dialects
@both_faiths
@pytest.mark.parametrize("order", ["interleaved", "together"])
def test_calls_may_be_mixed(dialect: Dialect, faithful: bool, order: Any) -> None:
    """U72: calls whose pieces are mixed, or come in one delta, are each read whole."""
    calls = [tool_call("a", id="1", x=1), tool_call("b", id="2", y=[2, 3])]
    done = read_fake(Turn(parallel(*calls, order=order)), dialect, faithful=faithful)
    assert done.parsed() == {"1": {"x": 1}, "2": {"y": [2, 3]}}
    assert {f.tool_name: f.index for f in done.fragments} == {"a": 0, "b": 1}


@both_dialects
@pytest.mark.parametrize("order", ["interleaved", "together"])
def test_chunks_may_be_read_late(dialect: Dialect, order: Any) -> None:
    """U73: chunks that were pulled long before they are read give the same fragments."""
    calls = [tool_call("a", id="1", x=1), tool_call("b", id="2", y=[2, 3])]
    turn = Turn(tool_call("c", id="0", z=3), parallel(*calls, order=order))
    llm = fake(turn, dialect)
    assert read(list(llm.stream_chat(ASK)), llm).fragments == read_fake(turn, dialect).fragments


@pytest.mark.parametrize("name", ["chat.tool_parallel", "responses.tool_single"])
def test_chunks_of_the_real_classes_may_be_read_late(name: str) -> None:
    """U73: so do those of the real classes."""
    llm = recorded(name)
    late = read(list(llm.stream_chat(ASK)), llm)
    assert late.fragments == read_recorded(name).fragments


@both_dialects
def test_text_and_reasoning_add_up(dialect: Dialect) -> None:
    """The pieces of the text and of the reasoning are those that the model said."""
    done = read_fake(Turn(thinking("Hm", "m."), text("It is", " 4.")), dialect)
    assert "".join(piece.delta for piece in done.pieces) == done.reader.text == "It is 4."
    assert "".join(p.thinking or "" for p in done.pieces) == done.reader.thinking == "Hmm."


def test_parts_of_reasoning_are_lines() -> None:
    """Parts of reasoning are joined as the class joins them in the end: by line breaks."""

    def part(index: int, delta: str) -> Data:
        kind = "response.reasoning_summary_text.delta"
        place = {"item_id": "r", "output_index": 0, "summary_index": index}
        return {"type": kind, **place, "delta": delta}

    llm = openai(event_body(part(0, "One"), part(0, "."), part(1, "Two.")), "responses")
    done = read(llm.stream_chat(ASK), llm)
    assert [piece.thinking for piece in done.pieces] == ["One", ".", "\nTwo."]


def test_reasoning_that_comes_whole_is_read() -> None:
    """Reasoning that was not streamed is read when its item is done."""
    item = {"id": "r", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    done_event = {"type": "response.output_item.done", "output_index": 0, "item": item}
    llm = openai(event_body(done_event), "responses")
    assert read(llm.stream_chat(ASK), llm).reader.thinking == "Hm."


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("chat.tool_single", {"call_abc": {"city": "Paris"}}),
        ("chat.tool_parallel", {"call_abc": {"city": "Paris"}, "call_def": {"city": "Rome"}}),
        ("chat.text_then_tool", {"call_abc": {"city": "Paris"}}),
        ("responses.tool_single", {"call_abc": {"city": "Paris"}}),
    ],
)
def test_recorded_calls_are_read(name: str, arguments: Data) -> None:
    """What OpenAI's servers sent, read through the real classes."""
    found = read_recorded(name).parsed()
    assert found.keys() == arguments.keys()
    assert found["call_abc"] == arguments["call_abc"]


async def test_two_calls_in_one_delta_are_two() -> None:
    """U72: the second call of a delta, which the class loses, is read, in tasks as well."""
    llm = recorded("chat.quirk_two_deltas_one_chunk")
    reader = reader_for(llm)
    fragments = [f async for c in await llm.astream_chat(ASK) for f in reader.read(c).fragments]
    assert [fragment.index for fragment in fragments] == [0, 1]


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_real_classes_over_a_fake_wire(dialect: Dialect) -> None:
    """The real classes are read as the fake LLM is."""
    turn = Turn(thinking("Hm"), text("So"), tool_call("a", id="1", x=1), tool_call("b", id="2"))
    wire = FakeOpenAI([turn])
    async with wire.mock():
        llm = wire.llm() if dialect == "chat" else wire.responses_llm()
        chunks = await llm.astream_chat(ASK)
        reader = reader_for(llm)
        pieces = [reader.read(chunk) async for chunk in chunks]
    fragments = [f for piece in pieces for f in piece.fragments] + list(reader.end())
    expected = read_fake(turn, dialect)
    assert (reader.text, reader.thinking) == (expected.reader.text, expected.reader.thinking)
    assert fragments == expected.fragments


@objects_or_dicts
def test_a_reused_index_begins_a_new_call(as_dict: bool) -> None:
    """A server that says index 0 for every call: another id, after whole arguments, is a call."""
    done = read_calls(
        [said(0, "a", '{"x":', id="1")],
        [said(0, None, "1}")],
        [said(0, "b", "", id="2")],
        [said(0, None, '{"y":2}')],
        as_dict=as_dict,
    )
    assert done.reader.tool_calls == [("1", "a", '{"x":1}'), ("2", "b", '{"y":2}')]


@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("rest", [{}, {"id": None}, {"id": ""}])
def test_missing_ids_are_made(index: int | None, rest: Data) -> None:
    """Calls without id, at one index or none, get the same ids in every run."""
    one, two = said(index, "a", '{"x":1}', **rest), said(index, "a", '{"x":2}', **rest)
    expected = {"call_0": {"x": 1}, "call_1": {"x": 2}}
    assert read_calls([one, two]).parsed() == expected
    assert read_calls([one], [two]).parsed() == expected


def test_missing_index_follows_the_id() -> None:
    """Pieces without index belong to the call with their id, or to the last one."""
    done = read_calls(
        [said(None, "a", "{", id="1")],
        [said(None, "b", "{", id="2")],
        [said(None, None, '"x":1}', id="1")],
        [said(None, None, "}", id="2")],
    )
    assert done.parsed() == {"1": {"x": 1}, "2": {}}


@pytest.mark.parametrize("index", [0, 1])
def test_an_id_twice_is_two_ids(index: int) -> None:
    """Calls that the server gave one id are told apart."""
    done = read_calls(
        [said(0, "a", '{"x":1}', id="a")],
        [said(index, "a", '{"x":', id="a")],
        [said(index, None, "2}")],
    )
    assert done.parsed() == {"a": {"x": 1}, "a_1": {"x": 2}}


def test_another_id_with_every_piece_is_one_call() -> None:
    """The first id stays where a server makes one for every piece."""
    done = read_calls(
        [said(0, "a", "", id="1")], [said(0, None, "{", id="2")], [said(0, None, "}", id="3")]
    )
    assert done.joined() == {"1": "{}"}


def test_an_id_finds_its_call_at_a_reused_index() -> None:
    """A piece with the id of an earlier call belongs to that, whatever its index."""
    done = read_calls(
        [said(0, "a", "", id="1")],
        [said(0, "b", "{}", id="2")],
        [said(0, None, '{"x":1}', id="1")],
    )
    assert done.parsed() == {"1": {"x": 1}, "2": {}}


def test_an_id_and_name_with_every_piece_are_one_call() -> None:
    """An id and a name that are repeated are not added up."""
    pieces = [[said(0, "a", piece, id="1")] for piece in ("", '{"x":', "1}", "")]
    assert read_calls(*pieces).reader.tool_calls == [("1", "a", '{"x":1}')]


@pytest.mark.parametrize("names", [("get_", "weather"), ("get_", "get_weather"), ("get_weather",)])
def test_names_come_in_pieces(names: tuple[str, ...]) -> None:
    """A name that comes in pieces, or longer each time, is whole in every fragment."""
    heads = [[said(0, name, None, id="1")] for name in names]
    done = read_calls(*heads, [said(0, None, '{"x"')], [said(0, None, ":1}")])
    assert [fragment.tool_name for fragment in done.fragments] == ["get_weather"] * 2


def test_a_name_that_comes_late_is_waited_for() -> None:
    """Arguments before the name are told when it comes."""
    done = read_calls([said(0, None, '{"x"', id="1")], [said(0, "a", None)], [said(0, None, ":1}")])
    assert done.fragments == [Fragment("1", "a", 0, '{"x":1}')]


def test_a_name_that_never_comes_holds_nothing_back_for_ever() -> None:
    """Arguments of a call without a name are told at the end."""
    done = read_calls([said(0, None, "{}", id="1")])
    assert done.fragments == [Fragment("1", "", 0, "{}")]


@objects_or_dicts
def test_arguments_may_be_a_dict(as_dict: bool) -> None:
    """Arguments that a server sends as a dict are one fragment of JSON."""
    done = read_calls([said(0, "a", {"x": [1, "é"]}, id="1")], as_dict=as_dict)
    assert done.joined() == {"1": '{"x":[1,"é"]}'}


@both_dialects
def test_no_arguments_are_an_empty_object(dialect: Dialect) -> None:
    """A call of which no argument was sent is told as `{}`, at the end, once."""
    done = read_fake(Turn(tool_call("a", id="1", fragments=[])), dialect)
    assert done.parsed() == {"1": {}}
    assert not done.reader.end()


def test_a_call_without_a_function_is_none() -> None:
    """A call that never has a function is not told."""
    done = read_calls([{"index": 0, "id": "1", "type": "function"}])
    assert (done.fragments, done.reader.tool_calls) == ([], [])


def test_chat_chunks_may_have_the_whole_text_only() -> None:
    """A subclass that leaves `delta` out is read by what its text has grown by."""
    chunks = [raw_chunk().model_copy(update={"delta": None}) for _ in range(2)]
    chunks[1].message = ChatMessage(role="assistant", content="So")
    assert read(chunks, fake(Turn())).reader.text == "So"


def test_chunks_without_choices_are_read() -> None:
    """Chunks that have no choices, or none with a delta, add nothing."""
    body = 'data: {"id":"","choices":[]}\n\n' + chat_body({"content": "b"})
    llm = openai(body)
    assert read(llm.stream_chat(ASK), llm).reader.text == "b"


def test_responses_may_send_arguments_whole() -> None:
    """Arguments that only the finished item has are one fragment."""
    item = {"type": "function_call", "id": "f", "call_id": "1", "name": "a", "arguments": '{"x":1}'}
    event = {"type": "response.output_item.done", "output_index": 0, "item": item}
    llm = openai(event_body(event, event), "responses")
    assert read(llm.stream_chat(ASK), llm).fragments == [Fragment("1", "a", 0, '{"x":1}')]


@pytest.mark.parametrize("missing", ["output_index", "item_id"])
def test_responses_may_leave_places_out(missing: str) -> None:
    """Pieces are assigned by their place in the output or by their item."""
    item = {"type": "function_call", "status": "in_progress", "name": "a", "arguments": ""}
    events: list[Data] = [
        {"type": "response.output_item.added", "item": {**item, "id": f, "call_id": c}}
        for f, c in (("f0", "1"), ("f1", "2"))
    ]
    events += [
        {"type": "response.function_call_arguments.delta", "item_id": f, "delta": delta}
        for f, delta in (("f0", "{"), ("f1", "{"), ("f0", "}"), ("f1", '"x":1}'))
    ]
    for place, event in zip((0, 1, 0, 1, 0, 1), events, strict=True):
        event["output_index"] = place
        event.pop(missing, None)
    llm = openai(event_body(*events), "responses")
    assert read(llm.stream_chat(ASK), llm).parsed() == {"1": {}, "2": {"x": 1}}


def test_responses_rewritten_arguments_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments that end as others than were streamed are logged, and not told again."""
    place: Data = {"output_index": 0, "item_id": "f"}
    item = {"type": "function_call", "id": "f", "call_id": "1", "name": "a", "arguments": ""}
    kind = "response.function_call_arguments"
    llm = openai(
        event_body(
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": f"{kind}.delta", **place, "delta": '{"x":1}'},
            {"type": f"{kind}.done", **place, "arguments": '{"y":1}'},
        ),
        "responses",
    )
    done = read(llm.stream_chat(ASK), llm)
    assert done.joined() == {"1": '{"x":1}'}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_openai_class_without_raw_is_read_by_its_messages() -> None:
    """A subclass that yields chunks of its own is read like any class."""
    llm = openai("")
    assert read([shown(call('{"x"')), shown(call('{"x": 1}'))], llm).parsed() == {"a": {"x": 1}}


def test_a_reader_that_read_nothing_has_nothing() -> None:
    """Before the first chunk there is nothing, and no error."""
    reader, chunk = reader_for(MockLLM()), shown()
    assert (reader.text, reader.thinking, reader.tool_calls, reader.end()) == ("", "", [], ())
    assert reader.repaired(chunk) is chunk


def test_many_fragments_are_read_in_linear_time() -> None:
    """Nothing is joined, or parsed, while fragments are read."""
    reader = reader_for(fake(Turn()))
    message = ChatMessage(role="assistant", content="")
    raw = {"choices": [{"delta": {"tool_calls": [said(0, "a", "}", id="1")]}}]}
    chunk = ChatResponse(message=message, delta="", raw=raw)
    for _ in range(20_000):
        reader.read(chunk)
    assert reader.tool_calls == [("1", "a", "}" * 20_000)]


ARGUMENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3)


@st.composite
def mixed_calls(draw: st.DrawFn) -> tuple[list[Data], list[list[tuple[int, str]]]]:
    """Arguments of some calls; and their pieces, mixed in any way, in deltas of any size."""
    arguments = draw(st.lists(ARGUMENTS, min_size=1, max_size=4))
    left = [list(draw(chunkings(json.dumps(kwargs)))) for kwargs in arguments]
    order = draw(st.permutations([i for i, pieces in enumerate(left) for _ in pieces]))
    deltas: list[list[tuple[int, str]]] = []
    for i in order:
        if not deltas or draw(st.booleans()):
            deltas.append([])
        deltas[-1].append((i, left[i].pop(0)))
    return arguments, deltas


@settings(deadline=None)
@given(mixed=mixed_calls(), as_dict=st.booleans())
def test_any_order_gives_each_call_its_arguments(
    mixed: tuple[list[Data], list[list[tuple[int, str]]]], as_dict: bool
) -> None:
    """However the pieces of calls are mixed, each call's fragments are its arguments."""
    arguments, deltas = mixed
    seen: set[int] = set()

    def sent(i: int, piece: str) -> Data:
        first = i not in seen
        seen.add(i)
        return said(i, "tool", piece, id=f"id{i}") if first else said(i, None, piece)

    done = read_calls(*[[sent(i, p) for i, p in delta] for delta in deltas], as_dict=as_dict)
    assert done.parsed() == {f"id{i}": kwargs for i, kwargs in enumerate(arguments)}
