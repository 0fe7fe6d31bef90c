"""What was recorded is what is replayed."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import LLM, MockLLM

from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    disconnect,
    fail,
    http,
    text,
    thinking,
    tool_call,
    usage,
)
from llama_index_streaming_ext.testing.cassette import ReplayLLM, record_llm, replay_llm
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.testing.cassette_files import ASK, lines, recorder
from tests.support.testing.golden_dumps import arecord, dump, record, wire
from tests.support.testing.real_classes import real
from tests.support.testing.scripts import turns

both_dialects = pytest.mark.parametrize("dialect", ["chat", "responses"])


TURNS = {
    "text": Turn(text("Hel", "lo", "!"), usage(3, 4)),
    "thinking": Turn(thinking("Let", " me", " see."), text("Yes", ".")),
    "tool": Turn(text("I", " look."), tool_call("weather", city="Paris", split="char")),
    "tools": Turn(tool_call("weather", city="Paris"), tool_call("weather", city="Rome")),
    "error": Turn(text("Hel"), fail("The provider broke.")),
    "reset": Turn(text("Hel"), disconnect()),
    "status": Turn(http(400, message="No such thing.")),
    "surrogate": Turn(text("\u2028\x85", "\ud83d", "é")),
}


every_turn = pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the cassette is."""
    return tmp_path / "calls.jsonl"


@both_dialects
@every_turn
def test_streams_are_replayed(path: Path, dialect: Dialect, turn: Turn) -> None:
    """A replayed stream has the chunks and the error of the recorded one."""
    llm = recorder(path, [turn], dialect)
    wanted = record(llm, lambda: llm.stream_chat(ASK))
    again = replay_llm(path, speed=0)
    got = record(again, lambda: again.stream_chat(ASK))
    assert (got.chunks, got.error) == (wanted.chunks, wanted.error)


@both_dialects
@every_turn
async def test_async_streams_are_replayed(path: Path, dialect: Dialect, turn: Turn) -> None:
    """A replayed async stream has the chunks and the error of the recorded one."""
    llm = recorder(path, [turn], dialect)
    wanted = await arecord(llm, lambda: llm.astream_chat(ASK))
    again = replay_llm(path, speed=0)
    got = await arecord(again, lambda: again.astream_chat(ASK))
    assert (got.chunks, got.error) == (wanted.chunks, wanted.error)


@both_dialects
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(turn=turns())
def test_any_stream_is_replayed(path: Path, dialect: Dialect, turn: Turn) -> None:
    """Whatever a provider sends, it is replayed as it was."""
    llm = recorder(path, [turn], dialect)
    wanted = record(llm, lambda: llm.stream_chat(ASK))
    again = replay_llm(path, speed=0)
    got = record(again, lambda: again.stream_chat(ASK))
    assert (got.chunks, got.error) == (wanted.chunks, wanted.error)


@pytest.mark.parametrize(
    "name",
    [
        "chat.text_usage.sse",
        "chat.tool_parallel.sse",
        "chat.refusal.sse",
        "chat.reasoning_content.sse",
        "responses.reasoning.sse",
        "responses.tool_single.sse",
        "responses.failed.sse",
    ],
)
def test_bodies_of_providers_are_replayed(path: Path, name: str) -> None:
    """What the real class makes of a real body comes back."""
    dialect: Dialect = "chat" if name.startswith("chat") else "responses"
    llm = recorder(path, [Turn.from_wire(wire(name))], dialect)
    wanted = record(llm, lambda: llm.stream_chat(ASK))
    again = replay_llm(path, speed=0)
    got = record(again, lambda: again.stream_chat(ASK))
    assert (got.chunks, got.error) == (wanted.chunks, wanted.error)


@both_dialects
def test_answers_that_are_not_streamed_are_replayed(path: Path, dialect: Dialect) -> None:
    """`chat` gives the same answer, with `raw` in the provider's type."""
    llm = recorder(path, [TURNS["tool"]], dialect)
    wanted = dump(llm.chat(ASK), llm)
    again = replay_llm(path, speed=0)
    assert dump(again.chat(ASK), again) == wanted


@both_dialects
async def test_async_answers_are_replayed(path: Path, dialect: Dialect) -> None:
    """`achat` gives the same answer."""
    llm = recorder(path, [TURNS["text"]], dialect)
    wanted = dump(await llm.achat(ASK), llm)
    again = replay_llm(path, speed=0)
    assert dump(await again.achat(ASK), again) == wanted


@both_dialects
def test_completions_are_replayed(path: Path, dialect: Dialect) -> None:
    """`complete` and `stream_complete` give the same."""
    llm = recorder(path, [TURNS["text"], TURNS["text"]], dialect)
    wanted = [dump(a, llm) for a in (llm.complete("Hi"), *llm.stream_complete("Hi"))]
    again = replay_llm(path, speed=0)
    got = [dump(a, again) for a in (again.complete("Hi"), *again.stream_complete("Hi"))]
    assert got == wanted


async def test_async_completions_are_replayed(path: Path) -> None:
    """`acomplete` and `astream_complete` give the same."""
    llm = recorder(path, [TURNS["text"], TURNS["text"]])
    first = dump(await llm.acomplete("Hi"), llm)
    wanted = await arecord(llm, lambda: llm.astream_complete("Hi"))
    again = replay_llm(path, speed=0)
    assert dump(await again.acomplete("Hi"), again) == first
    assert (await arecord(again, lambda: again.astream_complete("Hi"))).chunks == wanted.chunks


def test_a_custom_llm_is_recorded_once(path: Path) -> None:
    """A class whose `chat` calls its own `complete` makes one call, not two."""
    llm = record_llm(MockLLM(max_tokens=3), path)
    list(llm.stream_chat(ASK))
    assert [line["call"] for line in lines(path) if "request" in line] == ["1"]


def test_it_still_is_what_it_was(path: Path) -> None:
    """A recorded LLM is of the class of the LLM, and says the same of itself."""
    llm = real([], "chat")
    recorded = record_llm(llm, path)
    assert isinstance(recorded, type(llm))
    assert (recorded.class_name(), recorded.metadata) == (llm.class_name(), llm.metadata)
    assert type(recorded).__name__ == type(llm).__name__


def test_attributes_are_shared(path: Path) -> None:
    """What is set on the recorded LLM is set on the LLM, and the other way round."""
    llm: Any = real([], "chat")
    recorded: Any = record_llm(llm, path)
    recorded.temperature = 0.7
    llm.model = "gpt-4o"
    assert (llm.temperature, recorded.model) == (0.7, "gpt-4o")


def test_the_class_is_made_once(path: Path) -> None:
    """Two LLMs of one class are of one class when they are recorded."""
    assert type(recorder(path, [])) is type(recorder(path, []))


def test_copies_record_in_the_same_cassette(path: Path) -> None:
    """A deep copy and a pickled LLM go on recording."""
    llm = record_llm(FakeStreamingLLM([Turn("one"), Turn("two"), Turn("three")]), path)
    llm.chat(ASK)
    copy.deepcopy(llm).chat(ASK)
    pickle.loads(pickle.dumps(llm)).chat(ASK)
    again = replay_llm(path, speed=0)
    assert [again.chat(ASK).message.content for _ in range(3)] == ["one", "two", "three"]


@pytest.mark.parametrize("replayed", [False, True])
def test_callbacks_see_each_call_once(path: Path, replayed: bool) -> None:
    """Neither recording nor replaying counts tokens twice."""
    llm: LLM = recorder(path, [TURNS["text"]])
    if replayed:
        llm.chat(ASK)
        llm = replay_llm(path, speed=0)
    counter = TokenCountingHandler(tokenizer=str.split)
    llm.callback_manager = CallbackManager([counter])
    llm.chat(ASK)
    assert len(counter.llm_token_counts) == 1


def test_a_replay_has_its_calls(path: Path) -> None:
    """A replayed LLM keeps a record of its calls, as a fake does."""
    record_llm(FakeStreamingLLM("one two"), path).complete("a")
    again = replay_llm(path, speed=0)
    again.complete("a")
    assert isinstance(again, ReplayLLM)
    assert [call.closed_by for call in again.calls] == ["finished"]
    assert again.left == []


def test_a_replay_says_what_the_llm_was(path: Path) -> None:
    """The metadata are those of the recorded LLM."""
    llm = recorder(path, [Turn("one")])
    llm.chat(ASK)
    assert replay_llm(path).metadata == llm.metadata


def test_the_file_grows_linearly(path: Path) -> None:
    """Cumulative text is written once: ten times the tokens are ten times the bytes."""
    sizes: list[int] = []
    for count in (100, 1000):
        list(recorder(path, [Turn(text(*["word "] * count))]).stream_chat(ASK))
        sizes.append(path.stat().st_size)
    assert sizes[1] < 11 * sizes[0]
