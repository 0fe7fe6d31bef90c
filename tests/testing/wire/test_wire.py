"""A turn on the wire: what a provider would send for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from llama_index_streaming_ext.testing import (
    Request,
    Turn,
    fail,
    finish,
    http,
    parallel,
    refusal,
    text,
    thinking,
    tool_call,
    usage,
    wait,
)
from llama_index_streaming_ext.testing.script.parts import Usage
from llama_index_streaming_ext.testing.wire.encode import (
    before_answer,
    full_response,
    sse,
    wire_items,
)
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Comment,
    Dialect,
    Malformed,
    Truncated,
)
from tests.support.testing.golden_dumps import DATA, wire
from tests.support.testing.scripts import turns

STREAMS = sorted(path.name for path in (DATA / "wire").glob("*.sse"))
FULL = sorted(path.name for path in (DATA / "wire").glob("*.json"))
DIALECTS: list[Dialect] = ["chat", "responses"]
ASKED = Request(
    messages=({"role": "user", "content": "hi there"},),
    kwargs={"stream_options": {"include_usage": True}},
)
CITY = ['{"', "city", '":"', "Par", "is", '"}']
HELLO = ["Hello", "!", " How", " can", " I", " help", " —", " naïve", " 🙂", "?"]
ENVELOPE = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "model": "gpt-4o-mini-2024-07-18",
    "system_fingerprint": "fp_06737a9306",
}

WRITTEN = {
    "chat.empty": Turn(),
    "chat.text": Turn(text(*HELLO)),
    "chat.text_usage": Turn(text("Hello", "!", " How"), usage(19, 10)),
    "chat.length": Turn(text("Once", " upon"), finish("length")),
    "chat.refusal": Turn(refusal("I'm", " sorry", ".")),
    "chat.reasoning_content": Turn(thinking("2+2", " is", " 4."), text("It", " is 4.")),
    "chat.tool_single": Turn(tool_call("get_weather", id="call_abc", fragments=CITY)),
    "chat.text_then_tool": Turn(
        text("Let me", " check."), tool_call("get_weather", id="call_abc", fragments=CITY)
    ),
    "chat.tool_parallel": Turn(
        tool_call("get_weather", id="call_abc", fragments=CITY),
        tool_call("get_weather", id="call_def", fragments=[*CITY[:3], "Rome", '"}']),
    ),
    "chat.quirk_two_deltas_one_chunk": Turn(
        parallel(
            tool_call("get_weather", id="call_abc", city="Paris"),
            tool_call("get_weather", id="call_def", city="Rome"),
            order="together",
        ),
        framing={"role": "first"},
    ),
    "chat.err_midstream": Turn(
        text("Hi"),
        fail("The server had an error while processing your request. Sorry about that!"),
    ),
    "responses.text": Turn(text(*HELLO)),
    "responses.length": Turn(text("Once", " upon"), finish("length")),
    "responses.reasoning": Turn(thinking("**Adding", "** 2+2"), text("It", " is 4.")),
    "responses.tool_single": Turn(tool_call("get_weather", id="call_abc", fragments=CITY)),
    "responses.failed": Turn(text("On"), fail("The model failed to generate a response.")),
}


def dialect_of(name: str) -> Dialect:
    """The dialect of a body, which its name begins with."""
    return "chat" if name.startswith("chat.") else "responses"


def payloads(turn: Turn, request: Request, dialect: Dialect) -> list[dict[str, Any]]:
    """What the chunks of a turn say."""
    items = wire_items(turn, request, dialect)
    return [item.data for item in items if isinstance(item, Chunk)]


def anonymous(said: Any) -> Any:
    """What a provider said, without ids and padding, which are its own."""
    if isinstance(said, dict):
        fields = {k: v for k, v in said.items() if k not in ("obfuscation", "id", "item_id")}  # pyright: ignore[reportUnknownVariableType]
        return {k: anonymous(v) for k, v in fields.items()}  # pyright: ignore[reportUnknownVariableType]
    return [anonymous(item) for item in said] if isinstance(said, list) else said  # pyright: ignore[reportUnknownVariableType]


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_stream_is_sent_as_it_came(name: str) -> None:
    """A recorded stream goes out byte by byte as it came in."""
    turn = Turn.from_wire(wire(name))
    assert b"".join(map(sse, wire_items(turn, ASKED, dialect_of(name)))) == wire(name)


@pytest.mark.parametrize("name", FULL)
def test_recorded_answer_is_sent_as_it_came(name: str) -> None:
    """A recorded answer goes out as it came in, given as bytes, str or dict."""
    body = wire(name)
    for given_as in (body, body.decode(), json.loads(body)):
        turn = Turn.from_wire(given_as)
        assert full_response(turn, ASKED, dialect_of(name)) == json.loads(body)


@pytest.mark.parametrize("name", WRITTEN)
def test_written_turn_is_sent_as_the_provider_does(name: str) -> None:
    """A turn written by hand has the chunks that a provider sends for the same answer."""
    recorded = Turn.from_wire(wire(f"{name}.sse"))
    turn, dialect = WRITTEN[name], dialect_of(name)
    turn = Turn(*turn.parts, usage(37, 11), framing=turn.framing, envelope=ENVELOPE)
    if any(isinstance(part, Usage) for part in WRITTEN[name].parts):
        turn, request = WRITTEN[name], ASKED
        turn = Turn(*turn.parts, envelope=ENVELOPE)
    else:
        request = replace(ASKED, kwargs={})
    mine = [anonymous(said) for said in payloads(turn, request, dialect)]
    assert mine == [anonymous(said) for said in payloads(recorded, request, dialect)]


@pytest.mark.parametrize("name", sorted({n.split(".sse")[0] for n in STREAMS} & set(WRITTEN)))
def test_recorded_stream_says_its_parts(name: str) -> None:
    """What a recorded stream says is there as parts, for requests of another kind."""
    recorded = Turn.from_wire(wire(f"{name}.sse"))
    assert recorded.text == WRITTEN[name].text
    assert recorded.tool_calls == WRITTEN[name].tool_calls or "quirk" in name


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None)
@given(turn=turns())
def test_any_turn_survives_the_wire(dialect: Dialect, turn: Turn) -> None:
    """A turn that is recorded from its own bytes says the same as before."""
    body = b"".join(map(sse, wire_items(turn, ASKED, dialect)))
    again = Turn.from_wire(body)
    assert again.text == turn.text
    assert [c.arguments for c in again.tool_calls] == [c.arguments for c in turn.tool_calls]
    assert b"".join(map(sse, wire_items(again, ASKED, dialect))) == body


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None)
@given(turn=turns())
def test_whole_answer_survives_the_wire(dialect: Dialect, turn: Turn) -> None:
    """A turn that is recorded from its own JSON says the same as before."""
    again = Turn.from_wire(full_response(turn, ASKED, dialect))
    assert again.text == turn.text
    assert [c.arguments for c in again.tool_calls] == [c.arguments for c in turn.tool_calls]


@pytest.mark.parametrize("name", STREAMS + FULL)
def test_recorded_turn_speaks_the_other_dialect(name: str) -> None:
    """A turn recorded in one dialect can be played in the other, streamed and not."""
    turn = Turn.from_wire(wire(name))
    other: Dialect = "responses" if dialect_of(name) == "chat" else "chat"
    said = Turn.from_wire(b"".join(map(sse, wire_items(turn, ASKED, other))))
    assert said.text == turn.text
    assert Turn.from_wire(full_response(turn, ASKED, other)).text == turn.text


def test_usage_is_sent_when_asked_for() -> None:
    """Chat Completions sends the usage on request only; without `usage()` it is counted."""
    turn = Turn(text("a", "b"))
    assert [c["choices"] for c in payloads(turn, ASKED, "chat")][-1] == []
    counted = payloads(turn, ASKED, "chat")[-1]["usage"]
    assert (counted["prompt_tokens"], counted["completion_tokens"]) == (2, 2)
    quiet = payloads(turn, replace(ASKED, kwargs={}), "chat")
    assert all("usage" not in chunk for chunk in quiet)
    completed = payloads(Turn(usage(5, 6)), replace(ASKED, kwargs={}), "responses")[-1]
    assert completed["response"]["usage"]["total_tokens"] == 11


def test_ids_come_from_the_number_of_the_turn() -> None:
    """Tool calls without an id get one that no other call of the script has."""
    turn = Turn(tool_call("a"), tool_call("b"))
    body = full_response(turn, replace(ASKED, number=3))
    ids = [call["id"] for call in body["choices"][0]["message"]["tool_calls"]]
    assert ids == ["call_3_1", "call_3_2"]


def test_framing_moves_role_call_finish_and_usage() -> None:
    """A server that is only compatible may pack all of an answer into two chunks."""
    framing = {"role": "first", "calls": "whole", "finish": "last", "usage": "finish"}
    turn = Turn(text("a"), tool_call("add", id="c", x=1), framing=framing)
    chunks = payloads(turn, ASKED, "chat")
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["finish_reason"] for choice in choices] == [None, "tool_calls"]
    assert choices[0]["delta"] == {"role": "assistant", "content": "a"}
    assert choices[1]["delta"]["tool_calls"][0]["function"] == {
        "name": "add",
        "arguments": '{"x":1}',
    }
    assert chunks[1]["usage"]["total_tokens"] == 6


def test_role_may_be_in_every_chunk() -> None:
    """Some servers repeat the role in every chunk."""
    chunks = payloads(Turn(text("a", "b"), framing={"role": "every"}), ASKED, "chat")[:-1]
    assert {chunk["choices"][0]["delta"]["role"] for chunk in chunks} == {"assistant"}


def test_nothing_is_sent_before_a_pause_that_comes_first() -> None:
    """A pause at the beginning delays also what precedes the text."""
    dialects: list[Dialect] = ["chat", "responses"]
    for dialect in dialects:
        assert next(wire_items(Turn(wait(2), "a"), ASKED, dialect)) == wait(2)


def test_pauses_are_kept_without_streaming() -> None:
    """An answer that is not streamed waits, holds and fails where the turn does."""
    turn = Turn(wait(1), tool_call("a", fragments=["{", wait(2)]), parallel(tool_call("b")), "c")
    assert list(before_answer(turn)) == [wait(1), wait(2)]
    assert list(before_answer(Turn(http(429)))) == [http(429)]
    deep = parallel(tool_call("a", fragments=[wait(3)]))
    assert list(before_answer(Turn(deep))) == [wait(3)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_events_are_read_as_the_sdk_reads_them(newline: str) -> None:
    """Comments, ids, several data lines, broken JSON and a cut end are all kept."""
    body = ': ping\n\nevent: a\ndata: {"x":\ndata: 1}\n\ndata: {oops\n\ndata: 5\n\ndata: {"y'
    turn = Turn.from_wire(body.replace("\n", newline))
    assert turn.recorded is not None
    assert turn.recorded.items == (
        Comment(" ping"),
        Chunk({"x": 1}, "a"),
        Malformed("{oops"),
        Malformed("5"),
        Truncated('data: {"y'),
    )


def test_only_what_is_bytes_has_bytes() -> None:
    """Pauses and failures are nothing on the wire."""
    assert sse(wait(1)) == sse(fail("x")) == b""
    assert sse(Comment("x")) == b":x\n\n"
    assert sse(Malformed("{", "a")) == b"event: a\ndata: {\n\n"
