"""Recordings: what `record` and `record_sync` keep of a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.response_synthesizers import (
    get_response_synthesizer,  # pyright: ignore[reportUnknownVariableType]
)
from llama_index.core.schema import NodeWithScore, TextNode

from llama_index_streaming_ext import AgentInput, AgentStream, Event, StopEvent, Usage
from llama_index_streaming_ext.events import StepStateChanged
from llama_index_streaming_ext.stream.event_stream import Ending, EventStream
from llama_index_streaming_ext.testing import record, record_sync, tool_call, usage
from tests.support.testing.streams import (
    HI,
    PATIENCE,
    SUNNY,
    Run,
    calling,
    either,
    llm,
    ours,
    shown,
)

NODES = [NodeWithScore(node=TextNode(text="Paris is sunny."), score=1.0)]


def chatting() -> Any:
    """A chat engine; untyped, as core's is in part."""
    return SimpleChatEngine.from_defaults(llm=llm(SUNNY), memory=ChatMemoryBuffer(token_limit=99))


def _tokens() -> Generator[str]:
    yield "a"


# --- what is taken --------------------------------------------------------------------------------


@either
async def test_a_run_of_an_agent(run: Run) -> None:
    """A handler's recording has its events, text, tool calls, usage and outcome."""
    rec = await record(run(calling(usage(12, 3))), timeout=PATIENCE)
    assert rec.deltas == ["Let me", " check.", "It is", " sunny."]
    assert rec.text == "Let me check.It is sunny."
    assert [(call.tool_name, call.tool_kwargs) for call in rec.tool_calls] == [
        ("weather", {"city": "Paris"})
    ]
    assert rec.tool_calls[0].result is not None
    assert rec.usage is not None
    assert rec.usage.calls == 2
    assert rec.outcome.status == "completed"
    assert str(rec.outcome.result) == "It is sunny."
    assert rec.error is None


@either
async def test_events_are_those_of_a_plain_reader(run: Run) -> None:
    """`events` leaves out what upstream calls internal, `records` does not."""
    rec = await record(run(calling()), timeout=PATIENCE)
    assert any(isinstance(record.event, StepStateChanged) for record in rec.records)
    assert not any(isinstance(event, StepStateChanged) for event in rec.events)
    assert isinstance(rec.events[0], AgentInput)
    assert isinstance(rec.events[-1], StopEvent)


async def test_a_run_that_others_read() -> None:
    """Recording a handler takes nothing away from other readers, before or after."""
    handler = ours(calling())
    first = await record(handler, timeout=PATIENCE)
    assert (await record(handler, timeout=PATIENCE)).records == first.records
    assert [type(event) async for event in handler.stream_events()] == [
        type(event) for event in first.events
    ]


async def test_an_event_stream() -> None:
    """A log that has no run is recorded with its own numbers, times and outcome."""
    now = iter([10.0, 11.0, 12.5])
    stream = EventStream("run", clock=lambda: next(now))
    stream.append(AgentStream(delta="a", response="a", current_agent_name="x"))
    stream.close(StopEvent(result="done"), Ending("completed", "done"))
    rec = await record(stream)
    assert [(r.seq, r.ts, r.terminal) for r in rec.records] == [(1, 11.0, False), (2, 12.5, True)]
    assert rec.times == [1.0, 2.5]
    assert rec.outcome == await stream.outcome()


async def test_a_reader_of_records() -> None:
    """Records that a reader gives are kept as they are."""
    handler = ours(calling())
    all_of_it = await record(handler, timeout=PATIENCE)
    rec = await record(handler.stream.read(types=AgentStream))
    assert rec.records == [r for r in all_of_it.records if isinstance(r.event, AgentStream)]


async def test_an_iterator_of_events() -> None:
    """A bare iterator of events is numbered from 1."""
    rec = await record(shown(Event(), StopEvent(result="done")))
    assert [r.seq for r in rec.records] == [1, 2]
    assert rec.outcome.result == "done"


async def test_the_chunks_of_an_llm() -> None:
    """An LLM's chunks have deltas, a usage and tool calls, also before they are awaited."""
    model = llm(SUNNY, tool_call("weather", city="Paris"), usage(12, 3))
    model.usage = "always"
    rec = await record(model.astream_chat(HI))
    assert rec.deltas == ["It is", " sunny."]
    assert rec.usage == Usage(12, 3, 1)
    assert [(call.tool_name, call.tool_kwargs) for call in rec.tool_calls] == [
        ("weather", {"city": "Paris"})
    ]


async def test_cut_off_arguments_of_chunks() -> None:
    """Arguments that an LLM did not finish are shown as far as they go."""
    cut = tool_call("weather", fragments=['{"city": "Par'])
    rec = await record(llm(cut).astream_chat(HI))
    assert rec.tool_calls[0].tool_kwargs == {"city": "Par"}


async def test_strings() -> None:
    """Bare strings are deltas."""
    rec = await record(shown("a", "", "b"))
    assert rec.deltas == ["a", "b"]
    assert len(rec) == 3


async def test_an_async_response() -> None:
    """The response of a query that streams asynchronously is recorded."""
    synthesizer = get_response_synthesizer(llm=llm(SUNNY), streaming=True)
    rec = await record(synthesizer.asynthesize("How is the weather?", NODES))
    assert rec.source == "AsyncStreamingResponse"
    assert rec.text == "It is sunny."


async def test_an_async_chat_response() -> None:
    """The response of a chat engine that streams asynchronously is recorded."""
    response = await chatting().astream_chat("hi")
    with pytest.raises(TypeError, match="Use `await record"):
        record_sync(response)
    rec = await record(response, timeout=PATIENCE)
    assert rec.text == "It is sunny."


def test_a_sync_response() -> None:
    """The response of a query that streams is recorded."""
    synthesizer = get_response_synthesizer(llm=llm(SUNNY), streaming=True)
    rec = record_sync(synthesizer.synthesize("How is the weather?", NODES))
    assert rec.source == "StreamingResponse"
    assert rec.text == "It is sunny."


async def test_a_sync_chat_response() -> None:
    """The response of a chat engine that streams is recorded, in its own way only."""
    response = chatting().stream_chat("hi")
    with pytest.raises(TypeError, match="Use record_sync"):
        await record(response)
    assert record_sync(response).text == "It is sunny."


def test_sync_chunks() -> None:
    """An LLM's chunks are recorded without a loop as well."""
    assert record_sync(llm(SUNNY).stream_complete("hi")).deltas == ["It is", " sunny."]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (Response("whole"), False),
        (3, False),
        ("whole", False),
        (iter("sync"), True),
        (StreamingResponse(_tokens()), True),
    ],
)
async def test_what_does_not_stream_asynchronously(source: Any, hint: bool) -> None:
    """Anything else is refused, with a hint where there is one."""
    with pytest.raises(TypeError, match="does not stream asynchronously") as refused:
        await record(source)
    assert ("record_sync" in str(refused.value)) == hint


async def _async_tokens() -> AsyncGenerator[str]:
    yield "a"


@pytest.mark.parametrize(
    "source",
    [Response("whole"), "whole", b"whole", {"a": 1}, _async_tokens(), EventStream("run")],
)
def test_what_does_not_stream_synchronously(source: Any) -> None:
    """Anything else is refused, with a hint where it is asynchronous."""
    with pytest.raises(TypeError, match="does not stream synchronously") as refused:
        record_sync(source)
    is_async = hasattr(source, "__aiter__") or isinstance(source, EventStream)
    assert ("await record" in str(refused.value)) == is_async


def test_an_async_response_is_not_recorded_synchronously() -> None:
    """A response whose generator is asynchronous is refused as well."""
    with pytest.raises(TypeError, match="Use `await record"):
        record_sync(AsyncStreamingResponse(_async_tokens()))
