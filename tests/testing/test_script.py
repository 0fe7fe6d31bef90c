"""A script is data: what it is made of, what it means, and what it says when it is wrong."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import re
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext.testing import (
    Envelope,
    Framing,
    Playback,
    Request,
    Turn,
    UnexpectedLLMCall,
    disconnect,
    fail,
    finish,
    gate,
    http,
    parallel,
    refusal,
    text,
    thinking,
    tool_call,
    usage,
    wait,
)
from llama_index_streaming_ext.testing.script.turns import turns_of, words

ANY = cast("Any", None)
"""Stands for what the type checker would not let through."""


def asked(said: str) -> Request:
    """A request with one message."""
    return Request(messages=({"role": "user", "content": said},))


@given(st.text())
def test_words_lose_nothing(whole: str) -> None:
    """A str streams word by word, and joined it is what was written."""
    assert "".join(words(whole)) == whole


def test_each_string_is_one_delta() -> None:
    """What is written is what streams."""
    assert text("Let me", " check.").deltas == ("Let me", " check.")
    assert Turn("It is sunny.").parts == (text("It", " is", " sunny."),)


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.integers(1, 50))
def test_arguments_are_cut_without_loss(arguments: dict[str, Any], split: int) -> None:
    """However the arguments are cut, joined they are their JSON, and no piece is empty."""
    for way in (split, "json", "char"):
        call = tool_call("add", arguments, split=cast("Any", way))
        assert json.loads(call.arguments) == arguments
        assert all(call.fragments)


def test_split_counts_pieces() -> None:
    """A number as split is the number of pieces."""
    assert tool_call("weather", city="Paris").fragments == ('{"cit', 'y":"P', 'aris"}')
    assert len(tool_call("weather", city="Paris", split="char").fragments) == 16


def test_fragments_are_taken_as_given() -> None:
    """Raw fragments need not be JSON, and may have pauses between them."""
    call = tool_call("weather", fragments=['{"ci', wait(1), "t"])
    assert call.fragments == ('{"ci', wait(1), "t")
    assert call.arguments == '{"cit'


def test_turn_sums_up() -> None:
    """A turn knows its text and its tool calls, also mixed ones."""
    add, times = tool_call("add"), tool_call("times")
    turn = Turn(text("a"), thinking("x"), parallel(add, times), "b", tool_call("weather"))
    assert turn.text == "ab"
    assert [call.name for call in turn.tool_calls] == ["add", "times", "weather"]


def test_turns_are_equal_by_value() -> None:
    """Turns of the same parts are equal, and shown as their parts."""
    assert Turn(text("a"), usage(1, 2)) == Turn(text("a"), usage(1, 2))
    assert Turn(text("a")) != Turn(text("b"))
    assert repr(Turn(text("a"), when="x")) == "Turn(Text(deltas=('a',)), when='x')"


def lasts_in_paris(request: Request) -> bool:
    """A test of a request."""
    return request.last == "in Paris"


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        (None, True),
        ("Par", True),
        ("Rome", False),
        (re.compile("P.ris$"), True),
        (lasts_in_paris, True),
    ],
)
def test_when_matches_a_request(when: Any, matches: bool) -> None:
    """A turn may be kept for the requests that have a text, fit a pattern or pass a test."""
    assert Turn("x", when=when).matches(asked("in Paris")) is matches


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Turn(cast("Any", 5)), "Turn() takes text(...), thinking(...)"),
        (lambda: Turn(text("a"), http(429)), "http(...) is the whole answer"),
        (lambda: Turn(http(429), text("a")), "http(...) is the whole answer"),
        (lambda: text(cast("Any", ["a"])), "text() takes strings, one for each delta"),
        (lambda: tool_call("a", {"b": 1}, c=2), "as keywords or as a dict, not both"),
        (lambda: tool_call("a", cast("Any", "{}")), "for raw JSON write fragments=[...]"),
        (lambda: tool_call("a", fragments=["{}"], b=1), "or fragments=[...], not both"),
        (lambda: tool_call("a", fragments=[cast("Any", 1)]), "fragments= takes str, wait(...)"),
        (lambda: tool_call("a", split=0), 'a number of pieces, "json" or "char"'),
        (lambda: finish(cast("Any", "done")), "finish() takes one of 'stop', 'length'"),
        (lambda: wait(-1), "wait() takes seconds, 0 or more"),
        (lambda: http(200), "http() takes an error status, 400 to 599"),
        (lambda: gate(cast("Any", 1)), "gate() takes a name or an event"),
        (lambda: fail(cast("Any", 1)), "a function that makes one or a str"),
        (lambda: fail(cast("Any", lambda: 1)), "which is not an exception"),
        (lambda: parallel(cast("Any", text("a"))), "parallel() takes tool_call(...)s"),
        (lambda: parallel(order=cast("Any", "mixed")), '"interleaved" or "together"'),
        (lambda: Turn(framing={"rolle": "first"}), "framing= has no 'rolle'; it has role, calls"),
        (lambda: Turn(framing={"role": "last"}), "framing= role is one of 'openai', 'alone'"),
        (lambda: Turn(envelope=cast("Any", 1)), "envelope= takes Envelope(...) or a dict"),
        (lambda: turns_of(cast("Any", 1)), "A script is a Turn(...), a str, a list of those"),
        (lambda: turns_of(cast("Any", [text("a")])), "write Turn(text(...)) around it"),
        (lambda: turns_of(cast("Any", [tool_call("a")])), "write Turn(tool_call(...)) around it"),
        (lambda: turns_of([cast("Any", 1)]), "neither a Turn(...) nor a str"),
        (lambda: Turn.from_wire("hello"), "from_wire() takes server-sent events"),
        (lambda: Turn.from_wire('{"error": {}}'), "write Turn(http(status, message=...))"),
    ],
)
def test_mistakes_say_what_to_write(make: Callable[[], object], says: str) -> None:
    """A wrong script fails where it is written, and says what to write."""
    with pytest.raises((TypeError, ValueError)) as failed:
        make()
    assert says in str(failed.value)


def test_options_may_be_dicts() -> None:
    """Framing and envelope may be given as dicts of what differs."""
    turn = Turn(framing={"role": "first"}, envelope={"id": "a"})
    assert turn.framing == Framing(role="first")
    assert turn.envelope == Envelope(id="a")


class Peculiar(Exception):
    """An error whose arguments are not those of its constructor."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a"),
        Peculiar(code=7),
        OSError(104, "reset"),
        UnicodeDecodeError("a", b"", 0, 1, "b"),
    ],
)
def test_errors_are_fresh_each_time(error: Exception) -> None:
    """Each failure raises an equal error of its own, without a traceback of another."""
    make = pickle.loads(pickle.dumps(fail(error))).make
    first, second = make(), make()
    assert first is not second
    assert first is not error
    assert str(first) == str(error)
    assert vars(first) == vars(error)
    assert first.__traceback__ is None


def test_errors_may_be_made_by_a_function() -> None:
    """A class or a function makes the error when it is due."""
    assert isinstance(fail(KeyError).make(), KeyError)
    assert str(fail(lambda: ValueError("a")).make()) == "a"


def test_script_forms_are_the_same() -> None:
    """A turn, a str and lists of them are scripts."""
    assert turns_of("a b") == turns_of(["a b"]) == turns_of([Turn("a b")]) == turns_of(Turn("a b"))


def test_playback_goes_through_the_turns() -> None:
    """Each call takes the next turn; then the script is over."""
    playback = Playback(["a", "b"])
    assert [playback.take(asked("x"))[0].text for _ in range(2)] == ["a", "b"]
    assert playback.left == []
    with pytest.raises(UnexpectedLLMCall, match="No turn is left") as failed:
        playback.take(asked("once more"))
    assert "once more" in str(failed.value)
    assert playback.unexpected == [failed.value]


def test_playback_keeps_turns_for_their_requests() -> None:
    """Turns with `when` wait for their request, and the error shows them."""
    playback = Playback([Turn("R", when="Rome"), Turn("P", when="Paris")])
    assert playback.take(asked("Paris"))[0].text == "P"
    with pytest.raises(UnexpectedLLMCall, match="none of which matches") as failed:
        playback.take(asked("Oslo"))
    assert failed.value.left == playback.left == [Turn("R", when="Rome")]
    copied = pickle.loads(pickle.dumps(failed.value))
    assert (str(copied), copied.left) == (str(failed.value), failed.value.left)


def test_playback_may_go_on() -> None:
    """After the end the last turn is repeated, or the answer is empty, if that was asked for."""
    repeated = Playback(["a"], repeat_last=True)
    assert [repeated.take(asked("x"))[0].text for _ in range(3)] == ["a", "a", "a"]
    lenient = Playback(["a"], strict=False)
    assert [lenient.take(asked("x"))[0].text for _ in range(2)] == ["a", ""]


def test_playback_numbers_are_unique() -> None:
    """Each call has a number of its own, from which tool call ids are made."""
    playback = Playback([Turn("R", when="Rome"), Turn("P")], repeat_last=True)
    numbers = [playback.take(asked(said))[1].number for said in ("x", "Rome", "x", "x")]
    assert numbers == [2, 1, 3, 4]


def test_function_answers_by_request() -> None:
    """A function as script sees the request, and may return a turn or a str."""
    playback = Playback(lambda request: f"{request.number}: {request.last}")
    assert playback.take(asked("a"))[0].text == "1: a"
    assert playback.take(asked("b"))[0].text == "2: b"
    assert playback.left == []
    with pytest.raises(TypeError, match="The script's function returned None"):
        Playback(lambda request: ANY).take(asked("a"))


def test_copies_share_the_position() -> None:
    """A copied playback is the same one; a pickled one goes on by itself."""
    playback = Playback(["a", "b"])
    apart = pickle.loads(pickle.dumps(playback))
    assert copy.deepcopy(playback) is copy.copy(playback) is playback
    playback.take(asked("x"))
    assert apart.take(asked("x"))[0].text == "a"


def test_threads_share_the_turns() -> None:
    """Calls from many threads take each turn once."""
    playback = Playback([str(i) for i in range(200)])
    taken: list[str] = []

    def take() -> None:
        taken.extend(playback.take(asked("x"))[0].text for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [str(i) for i in range(200)]


def test_gates_are_named() -> None:
    """A gate has the name that it was given, or one of its own for an event; it can be pickled."""
    assert gate("go").name == "go"
    event = asyncio.Event()
    held = gate(event)
    assert held.event is event
    assert pickle.loads(pickle.dumps(held)).name == held.name != gate(threading.Event()).name


def test_request_reads_both_formats() -> None:
    """A request is the same to a script, whichever API it came through."""
    chat = Request.from_body(
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image"}]},
            ],
            "tools": [{"type": "function", "function": {"name": "add"}}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    responses = Request.from_body(
        {
            "instructions": "Be brief.",
            "input": "hi",
            "tools": [{"type": "function", "name": "add"}],
            "stream": True,
        },
        "responses",
    )
    assert chat.text == responses.text == "Be brief.\nhi"
    assert chat.tool_names == responses.tool_names == ("add",)
    assert chat.words == responses.words == 3
    assert chat.include_usage
    assert not responses.include_usage
    assert (chat.stream, chat.last, Request().last) == (True, "hi", "")


def test_request_reads_tool_outputs() -> None:
    """The output of a tool counts as the text of its message; other content has none."""
    items = [{"type": "function_call_output", "output": "22"}, {"type": "reasoning", "content": 1}]
    assert Request.from_body({"input": items}, "responses").text == "22\n"


def test_parts_are_shown_as_data() -> None:
    """Parts are plain values."""
    assert refusal("No") == refusal("No")
    assert disconnect() == disconnect()
    assert http(429, retry_after=2).headers() == {"retry-after": "2"}
    assert http(503, message="Busy").body()["error"]["message"] == "Busy"
    assert http(503).headers() == {}
