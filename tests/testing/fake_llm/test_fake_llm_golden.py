"""The fake yields, field by field, what the real classes yielded for the same bodies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.looks import check_all
from tests.support.testing.golden_dumps import (
    DATA,
    Dump,
    Recording,
    arecord,
    dump,
    expected,
    golden,
    record,
    wire,
)

STREAMS = sorted(path.stem for path in (DATA / "wire").glob("*.sse"))
FULL = sorted(path.stem for path in (DATA / "wire").glob("*.json"))
HI = [ChatMessage("hi")]


def get_weather(city: str) -> str:
    """Weather."""
    return f"Sunny in {city}"


TOOLS = [FunctionTool.from_defaults(get_weather)]


def fake(name: str, **kwargs: Any) -> FakeStreamingLLM:
    """A fake that answers with a recorded body."""
    dialect: Dialect = "chat" if name.startswith("chat.") else "responses"
    return FakeStreamingLLM([Turn.from_wire(wire(name))], dialect=dialect, **kwargs)


def check(recording: Recording, wanted: Dump) -> None:
    """Compares a stream with the golden one."""
    assert recording.chunks == wanted["chunks"]
    assert recording.error == wanted["error"]
    assert recording.mutated_later == wanted["mutated_later"]


@pytest.mark.parametrize("name", STREAMS)
def test_sync_stream_is_the_golden_one(name: str) -> None:
    """Every sync stream of a recorded body gives the chunks and the error of the real class."""
    streams: dict[str, Callable[[FakeStreamingLLM], Any]] = {
        "stream_chat": lambda llm: llm.stream_chat(HI),
        "stream_chat_with_tools": lambda llm: llm.stream_chat_with_tools(TOOLS, "hi"),
        "stream_complete": lambda llm: llm.stream_complete("hi"),
    }
    checks: list[tuple[str, Callable[[], None]]] = []
    for entry, stream in streams.items():
        llm = fake(f"{name}.sse")
        recording = record(llm, partial(stream, llm))
        wanted = expected(golden(f"{name}.stream"), entry)
        checks.append((entry, partial(check, recording, wanted)))
    check_all(checks)


@pytest.mark.parametrize("name", STREAMS)
async def test_async_stream_is_the_golden_one(name: str) -> None:
    """Every async stream of a recorded body gives the chunks and the error of the real class."""
    streams: dict[str, Callable[[FakeStreamingLLM], Any]] = {
        "astream_chat": lambda llm: llm.astream_chat(HI),
        "astream_chat_with_tools": lambda llm: llm.astream_chat_with_tools(TOOLS, "hi"),
        "astream_complete": lambda llm: llm.astream_complete("hi"),
    }
    checks: list[tuple[str, Callable[[], None]]] = []
    for entry, stream in streams.items():
        llm = fake(f"{name}.sse")
        recording = await arecord(llm, partial(stream, llm))
        wanted = expected(golden(f"{name}.stream"), entry)
        checks.append((entry, partial(check, recording, wanted)))
    check_all(checks)


@pytest.mark.parametrize("name", FULL)
def test_sync_answer_is_the_golden_one(name: str) -> None:
    """Every sync answer that is not streamed is the real class's."""
    answers = golden(f"{name}.full")
    llm = fake(f"{name}.json")
    assert dump(llm.chat(HI), llm) == expected(answers, "chat")["response"]
    llm = fake(f"{name}.json")
    assert dump(llm.complete("hi"), llm) == expected(answers, "complete")["response"]
    llm = fake(f"{name}.json")
    wanted = expected(answers, "chat_with_tools(parallel=False)")["response"]
    assert dump(llm.chat_with_tools(TOOLS, "hi"), llm) == wanted


@pytest.mark.parametrize("name", FULL)
async def test_async_answer_is_the_golden_one(name: str) -> None:
    """Every async answer that is not streamed is the real class's."""
    answers = golden(f"{name}.full")
    llm = fake(f"{name}.json")
    assert dump(await llm.achat(HI), llm) == expected(answers, "achat")["response"]
    llm = fake(f"{name}.json")
    assert dump(await llm.acomplete("hi"), llm) == expected(answers, "complete")["response"]


@pytest.mark.parametrize("name", STREAMS)
async def test_unfaithful_async_stream_is_the_sync_one(name: str) -> None:
    """Without the real class's defects the async face gives what the sync one gives."""
    llm = fake(f"{name}.sse", faithful=False)
    same = record(llm, lambda: fake(f"{name}.sse", faithful=False).stream_chat(HI))
    recording = await arecord(llm, lambda: llm.astream_chat(HI))
    assert recording.chunks == same.chunks
    assert recording.mutated_later == same.mutated_later == []
    if "quirk" not in name:
        assert recording.chunks == expected(golden(f"{name}.stream"), "stream_chat")["chunks"]


def test_unfaithful_stream_has_every_call_of_a_delta() -> None:
    """Without the real class's defects two calls in one delta are both there."""
    llm = fake("chat.quirk_two_deltas_one_chunk.sse", faithful=False)
    last = record(llm, lambda: llm.stream_chat(HI)).chunks[-1]
    cities = [call["tool_kwargs"]["city"] for call in last["tool_selections"]]
    assert cities == ["Paris", "Rome"]


def test_requested_usage_is_the_golden_one() -> None:
    """A stream that was asked for its usage ends with the real class's last chunk."""
    asked = {"stream_options": {"include_usage": True}}
    llm = fake("chat.text_usage.sse", additional_kwargs=asked)
    wanted = expected(golden("chat.text_usage.requested"), "stream_chat")
    assert record(llm, lambda: llm.stream_chat(HI)).chunks == wanted["chunks"]
