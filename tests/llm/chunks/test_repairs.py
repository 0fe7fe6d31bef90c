"""Chunks as they should have been."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ThinkingBlock
from llama_index.llms.openai.utils import (
    to_openai_message_dicts,  # pyright: ignore[reportUnknownVariableType]
)
from pydantic import BaseModel

from llama_index_streaming_ext.llm.chunks.reader import reader_for
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    parallel,
    text,
    thinking,
    tool_call,
)
from llama_index_streaming_ext.testing.strategies import scripts
from tests.support.llm.reading_chunks import (
    ASK,
    Data,
    Dialect,
    Read,
    blocks_of,
    call,
    chat_body,
    chat_data,
    event_body,
    fake,
    openai,
    read,
    read_calls,
    read_fake,
    read_recorded,
    read_shown,
    recorded,
    said,
    shown,
)

both_dialects = pytest.mark.parametrize("dialect", ["chat", "responses"])
both_faiths = pytest.mark.parametrize("faithful", [True, False])
TWO = parallel(tool_call("a", id="1", x=1), tool_call("b", id="2", y=2))


def plain(chunk: ChatResponse) -> Any:
    """Everything that a chunk holds, as it is now."""

    def values(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return values(dict(value))
        if isinstance(value, dict):
            return {k: values(v) for k, v in cast("Data", value).items()}
        if isinstance(value, list):
            return [values(item) for item in cast("list[Any]", value)]
        return copy.deepcopy(value)

    return values(chunk)


def sent(message: ChatMessage, dialect: Dialect = "chat") -> list[Data]:
    """What the real class sends of a message in a history."""
    dicts = to_openai_message_dicts([message], is_responses_api=dialect == "responses")
    return cast("list[Data]", dicts)


def selected(done: Read, dialect: Dialect = "chat") -> dict[str, Any]:
    """The tool calls that the real class finds in the last chunk, mended."""
    llm = openai("", dialect)
    found = llm.get_tool_calls_from_response(done.last, error_on_no_tool_call=False)
    return {selection.tool_id: selection.tool_kwargs for selection in found}


@both_dialects
@both_faiths
def test_mixed_calls_are_all_there(dialect: Dialect, faithful: bool) -> None:
    """U72: every call of the answer is in the message, whole, in the order of their beginning."""
    done = read_fake(Turn(text("So"), TWO), dialect, faithful=faithful)
    assert blocks_of(done.last) == [
        ("text", "So"),
        ("tool_call", ("1", "a", '{"x":1}')),
        ("tool_call", ("2", "b", '{"y":2}')),
    ]


@both_dialects
def test_messages_are_cumulative(dialect: Dialect) -> None:
    """U74: chunk by chunk a message has all that was said: reasoning, text, calls."""
    turn = Turn(thinking("Hm"), text("So", "."), tool_call("a", id="1", fragments=["{", "}"]))
    seen = [blocks_of(chunk) for chunk in read_fake(turn, dialect).repaired]
    stages = [blocks for i, blocks in enumerate(seen) if i == 0 or blocks != seen[i - 1]]
    hm, so = ("thinking", "Hm"), ("text", "So.")
    assert stages[-6:] == [
        [hm, ("text", "")],
        [hm, ("text", "So")],
        [hm, so],
        [hm, so, ("tool_call", ("1", "a", {}))],
        [hm, so, ("tool_call", ("1", "a", "{"))],
        [hm, so, ("tool_call", ("1", "a", "{}"))],
    ]


@both_faiths
def test_chat_without_calls_is_not_mended(faithful: bool) -> None:
    """Chunks of Chat Completions that have no tool calls stay the same objects."""
    llm = fake(Turn(thinking("Hm"), text("So", ".")), faithful=faithful)
    chunks = list(llm.stream_chat(ASK))
    done = read(chunks, llm)
    assert all(a is b for a, b in zip(chunks, done.repaired, strict=True))


def test_the_last_responses_chunk_stays() -> None:
    """U74: the last chunk of the Responses API has everything, and stays the same object."""
    for name in ("responses.text", "responses.tool_single", "responses.reasoning"):
        chunks = list(recorded(name).stream_chat(ASK))
        done = read(chunks, recorded(name))
        assert done.last is chunks[-1]


@both_dialects
@both_faiths
def test_held_chunks_do_not_change(dialect: Dialect, faithful: bool) -> None:
    """U73: a mended chunk is in the end what it was when it came, down to its raw chunk."""
    llm = fake(Turn(text("So"), tool_call("a", id="1", x=1), TWO), dialect, faithful=faithful)
    reader, held = reader_for(llm), list[tuple[ChatResponse, Any]]()
    for chunk in llm.stream_chat(ASK):
        reader.read(chunk)
        mended = reader.repaired(chunk)
        held.append((mended, plain(mended)))
    assert [plain(chunk) for chunk, _ in held] == [was for _, was in held]


@pytest.mark.parametrize("name", ["chat.tool_parallel", "responses.tool_single"])
def test_held_chunks_of_the_real_classes_do_not_change(name: str) -> None:
    """U73: what is mended of the real class's chunks is of their own."""
    llm = recorded(name)
    reader, held = reader_for(llm), list[tuple[ChatResponse, Any]]()
    for chunk in llm.stream_chat(ASK):
        reader.read(chunk)
        mended = reader.repaired(chunk)
        held.append((mended, plain(mended)))
    assert [plain(chunk) for chunk, _ in held] == [was for _, was in held]


def test_only_the_last_may_be_mended() -> None:
    """Mending the last chunk alone gives what mending every chunk gives."""
    llm = recorded("chat.tool_parallel")
    reader, last = reader_for(llm), None
    for last in llm.stream_chat(ASK):
        reader.read(last)
    assert last is not None
    assert blocks_of(reader.repaired(last)) == blocks_of(read_recorded("chat.tool_parallel").last)


@pytest.mark.parametrize(
    "name",
    ["chat.quirk_two_deltas_one_chunk", "chat.tool_parallel", "chat.tool_single"],
)
def test_history_has_every_call(name: str) -> None:
    """The real class finds the calls of a mended message, and sends them back, with their ids."""
    done = read_recorded(name)
    sent_back = sent(done.last.message)[0]["tool_calls"]
    assert {c["id"]: c["function"]["arguments"] for c in sent_back} == done.joined()
    assert selected(done) == done.parsed()


def test_history_of_responses_has_every_call() -> None:
    """The class of the Responses API sends back every call of a mended message."""
    done = read_fake(Turn(text("So"), TWO), "responses", faithful=True)
    said_text, *calls = sent(done.last.message, "responses")
    assert said_text["content"] == "So"
    assert {c["call_id"]: c["arguments"] for c in calls} == done.joined()
    assert selected(done, "responses") == done.parsed()


def test_selections_without_blocks_are_right() -> None:
    """Where the class falls back to `additional_kwargs`, it finds the same calls."""
    done = read_recorded("chat.quirk_two_deltas_one_chunk")
    by_blocks = selected(done)
    done.last.message.blocks = []
    assert selected(done) == by_blocks


def test_calls_in_additional_kwargs_are_whole() -> None:
    """`additional_kwargs` has the server's own objects, mended: ids, types, names, arguments."""
    body = chat_body([said(0, "a", '{"x":1}'), {"index": 0, "function": {"name": "b"}}])
    llm = openai(body)
    done = read(llm.stream_chat(ASK), llm)
    calls = done.last.message.additional_kwargs["tool_calls"]
    assert [type(c).__name__ for c in calls] == ["ChoiceDeltaToolCall"] * 2
    assert [c.model_dump() for c in calls] == [
        {"index": 0, "id": "call_0", "type": "function", "function": function}
        | {"index": i, "id": f"call_{i}"}
        for i, function in enumerate(
            [{"name": "a", "arguments": '{"x":1}'}, {"name": "b", "arguments": ""}]
        )
    ]


def test_calls_may_be_dicts() -> None:
    """Where the raw chunk is a dict, so are the calls, and what servers add to them is kept."""
    done = read_calls([said(0, "a", "{}", id="1", extra_content={"google": 1})], as_dict=True)
    assert done.last.message.additional_kwargs["tool_calls"] == [
        {
            "index": 0,
            "id": "1",
            "type": "function",
            "function": {"name": "a", "arguments": "{}"},
            "extra_content": {"google": 1},
        }
    ]


def test_other_classes_keep_their_calls_where_they_are() -> None:
    """A class that speaks as OpenAI's do, and shows no tool calls, is not given any."""
    raw = chat_data(said(0, "a", "{}", id="1"))
    chunk = shown(raw=raw)
    done = read_shown(chunk)
    assert done.parsed() == {"1": {}}
    assert done.last is chunk


def test_other_classes_are_mended_where_they_show_calls() -> None:
    """A class that speaks as OpenAI's do, and shows tool calls in blocks, has them all."""
    raw = chat_data(said(0, "a", "{}", id="1"), said(1, "b", "{}", id="2"))
    done = read_shown(shown(call("{}", "1", "a"), raw=raw))
    assert [block for _, block in blocks_of(done.last)] == [("1", "a", "{}"), ("2", "b", "{}")]
    assert done.last.message.additional_kwargs == {}


def test_any_class_gets_the_ids_that_it_lacks() -> None:
    """Calls that a class shows without id have those of the fragments; the rest is as it was."""
    done = read_shown(shown(call({"x": 1}, None), call({"x": 2}, "b")))
    assert [block for _, block in blocks_of(done.last)] == [
        ("call_0", "weather", {"x": 1}),
        ("b", "weather", {"x": 2}),
    ]


def test_any_class_is_otherwise_left_alone() -> None:
    """Chunks of a class that nobody knows stay the same objects."""
    chunk = shown(call({"x": 1}))
    assert read_shown(chunk).last is chunk


def test_a_response_that_is_cut_off_has_its_text() -> None:
    """U74: where no complete response ends the stream, the last chunk has all that was said."""
    done = read_recorded("responses.length")
    assert done.last.message.content == done.reader.text != ""


def test_a_complete_response_without_output_has_everything() -> None:
    """Servers that leave the output out of the complete response lose nothing."""
    completed: Data = {"type": "response.completed", "response": {"output": []}}
    item = {"type": "function_call", "id": "f", "call_id": "1", "name": "a", "arguments": "{}"}
    llm = openai(
        event_body(
            {"type": "response.output_text.delta", "delta": "So"},
            {"type": "response.output_item.done", "output_index": 1, "item": item},
            completed,
        ),
        "responses",
    )
    done = read(llm.stream_chat(ASK), llm)
    assert blocks_of(done.last) == [("text", "So"), ("tool_call", ("1", "a", "{}"))]


def test_two_messages_are_said_once() -> None:
    """The complete response has each message once; the class repeats the first."""

    def message(said: str) -> Data:
        part: Data = {"type": "output_text", "text": said, "annotations": []}
        head = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
        return {**head, "content": [part]}

    output = [message("a"), message("b")]
    llm = openai(
        event_body({"type": "response.completed", "response": {"output": output}}), "responses"
    )
    done = read(llm.stream_chat(ASK), llm)
    assert blocks_of(done.last) == [("text", "a"), ("text", "b")]


def test_reasoning_keeps_what_the_server_needs() -> None:
    """The reasoning that the class has shown is kept with its id, which histories need."""
    done = read_recorded("responses.reasoning")
    for chunk in done.repaired[-4:]:
        block = chunk.message.blocks[0]
        assert isinstance(block, ThinkingBlock)
        assert block.additional_information["id"].startswith("rs_")


SCRIPTS = scripts(
    {name: st.dictionaries(st.text(max_size=3), st.text(max_size=3)) for name in ("a", "b")},
    failures=False,
)


@both_dialects
@both_faiths
@settings(deadline=None, max_examples=50)
@given(script=SCRIPTS)
def test_fragments_are_what_tools_are_called_with(
    dialect: Dialect, faithful: bool, script: list[Turn]
) -> None:
    """L5: a call's fragments parse to what the class finds in the last chunk, mended."""
    llm = FakeStreamingLLM(script, dialect=dialect, faithful=faithful)
    for _ in script:
        done = read(llm.stream_chat(ASK), llm)
        found = llm.get_tool_calls_from_response(done.last, error_on_no_tool_call=False)
        assert done.parsed() == {call.tool_id: call.tool_kwargs for call in found}
