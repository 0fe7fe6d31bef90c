"""Which recording answers which call."""

from __future__ import annotations

import asyncio
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import LLM, ChatMessage

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text
from llama_index_streaming_ext.testing.cassette import (
    Cassette,
    CassetteMismatch,
    record_llm,
    replay_llm,
)
from tests.support.testing.cassette_files import ASK, recorder
from tests.support.testing.real_classes import real


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the cassette is."""
    return tmp_path / "calls.jsonl"


def test_equal_requests_match_in_order(path: Path) -> None:
    """The first of two equal requests gets the first answer, whatever was asked between."""
    llm = record_llm(FakeStreamingLLM([Turn("one"), Turn("other"), Turn("two")]), path)
    for asked in ("a", "b", "a"):
        llm.complete(asked)
    again = replay_llm(path, speed=0)
    assert [again.complete(asked).text for asked in ("b", "a", "a")] == ["other", "one", "two"]


def test_a_call_more_than_was_recorded(path: Path) -> None:
    """An equal request that was asked often enough fails, and is kept."""
    record_llm(FakeStreamingLLM("one"), path).complete("a")
    again = replay_llm(path, speed=0)
    again.complete("a")
    with pytest.raises(CassetteMismatch, match="was recorded once, and is asked once more"):
        again.complete("a")
    assert len(again.mismatches) == 1


def test_another_request_fails_with_a_diff(path: Path) -> None:
    """The diff has the line that differs, against the nearest recording."""
    llm = record_llm(FakeStreamingLLM([Turn("one"), Turn("two")]), path)
    llm.chat([ChatMessage("Be brief.", role="system"), ChatMessage("How is Paris?")])
    llm.chat([ChatMessage("Something else")])
    asked = [ChatMessage("Be brief.", role="system"), ChatMessage("How is Rome?")]
    with pytest.raises(CassetteMismatch) as error:
        replay_llm(path, speed=0).chat(asked)
    assert "-  How is Paris?\n+  How is Rome?" in error.value.diff
    assert error.value.left == 2
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_another_model_is_another_request(path: Path) -> None:
    """Where the real class is replayed, its model is a part of the request."""
    recorder(path, [Turn("one")]).chat(ASK)
    llm: Any = real([], "chat")
    llm.model = "gpt-4o"
    with pytest.raises(CassetteMismatch, match='-model: "gpt-4o-mini"\n\\+model: "gpt-4o"'):
        Cassette(path, speed=0).wrap(llm).chat(ASK)


def test_recorded_async_replayed_sync(path: Path) -> None:
    """Whether a call is async does not matter."""
    llm = record_llm(FakeStreamingLLM("one"), path)
    asyncio.run(llm.achat(ASK))
    assert replay_llm(path, speed=0).chat(ASK).message.content == "one"


async def test_concurrent_calls_interleave(path: Path) -> None:
    """Calls at once are kept apart by their numbers, in tasks."""
    script = [Turn(text(*f"{name}1 {name}2".split()), when=name) for name in "abcdefgh"]
    llm = record_llm(FakeStreamingLLM(script), path)

    async def ask(asked: LLM, name: str) -> str:
        stream = await asked.astream_chat([ChatMessage(name)])
        return "".join([chunk.delta or "" async for chunk in stream])

    wanted = await asyncio.gather(*(ask(llm, name) for name in "abcdefgh"))
    again = replay_llm(path, speed=0)
    assert await asyncio.gather(*(ask(again, name) for name in "abcdefgh")) == wanted


def test_threads_interleave(path: Path) -> None:
    """Every line is whole, whatever thread wrote it."""
    llm = record_llm(FakeStreamingLLM(lambda request: Turn(text(*request.last * 20))), path)

    def ask(name: str) -> None:
        list(llm.stream_chat([ChatMessage(name)]))

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = replay_llm(path, speed=0)
    for name in "hgfedcba":
        got = again.stream_chat([ChatMessage(name)])
        assert "".join(chunk.delta or "" for chunk in got) == name * 20


def test_what_is_new_is_added(path: Path) -> None:
    """With record="new", known calls are replayed and others are made and added."""
    record_llm(FakeStreamingLLM("one"), path).complete("a")
    llm = Cassette(path, record="new", speed=0).wrap(FakeStreamingLLM("two"))
    assert [llm.complete("a").text, llm.complete("b").text] == ["one", "two"]
    again = replay_llm(path, speed=0)
    assert [again.complete("b").text, again.complete("a").text] == ["two", "one"]


def test_what_is_left_is_readable(path: Path) -> None:
    """A recording that was not asked for says what it answers."""
    record_llm(FakeStreamingLLM("one"), path).chat(ASK)
    assert repr(replay_llm(path).left) == "[<RecordedCall 1 'Hi': 1 chunks, finished>]"


def test_a_pickled_replay_goes_on_where_it_was(path: Path) -> None:
    """It is independent from then on."""
    llm = record_llm(FakeStreamingLLM(["one", "two"]), path)
    llm.complete("a")
    llm.complete("a")
    again = replay_llm(path, speed=0)
    again.complete("a")
    other = pickle.loads(pickle.dumps(again))
    assert [again.complete("a").text, other.complete("a").text] == ["two", "two"]
