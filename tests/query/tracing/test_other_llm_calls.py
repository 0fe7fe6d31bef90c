"""LLMs that users' code makes during a query: their calls are announced all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import llama_index_instrumentation as instrumentation
import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import MockLLM
from pydantic import BaseModel

from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.events import Incomplete, LLMCallFinished, LLMCallStarted
from llama_index_streaming_ext.query.context.current_query import current_query
from llama_index_streaming_ext.query.context.options import QueryOptions
from llama_index_streaming_ext.query.tracing.instrumentation import tracking
from llama_index_streaming_ext.query.tracing.other_llm_calls import LLMSpans
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    fail,
    finish,
    text,
    tool_call,
    wait,
)
from tests.support.query.asking import BOTH, Log
from tests.support.query.lookers import TOKENS, Looking, aask, ask, default_llm, saying

WAYS = pytest.mark.parametrize("way", ["chat", "complete", "stream_chat", "stream_complete"])


@BOTH
@WAYS
def test_a_call_is_seen_once(way: str, is_async: bool) -> None:
    """Its start and its end, also where the LLM answers by another of its methods."""
    seen = ask(Looking(look=saying, way=way), is_async=is_async)
    assert (seen.text, seen.calls) == ("It is so.", [("call", "stop")])


@BOTH
@WAYS
def test_an_llm_that_answers_by_another_method_is_seen_once(way: str, is_async: bool) -> None:
    """Core's MockLLM chats by completing, and tells of both."""
    seen = ask(Looking(look=lambda: MockLLM(max_tokens=3), way=way), is_async=is_async)
    assert len(seen.calls) == 1


@BOTH
@WAYS
def test_what_it_says_is_shown(way: str, is_async: bool) -> None:
    """With show="calls": in tokens where it is asked for those, in one piece elsewhere."""
    seen = ask(Looking(look=saying, way=way), is_async=is_async, show="calls")
    assert seen.shown == "".join(TOKENS)


def test_the_model_is_told() -> None:
    """As of any call."""
    llm = saying()
    (started,) = ask(Looking(look=lambda: llm)).of(LLMCallStarted)
    assert started.model == llm.metadata.model_name


@BOTH
@WAYS
def test_a_call_that_fails_has_its_end(way: str, is_async: bool) -> None:
    """The query fails, and its log says which call."""
    look = lambda: saying(text("It"), fail(ConnectionError("gone")))  # noqa: E731
    run = StreamingQueryEngine(Looking(look=look, way=way))
    events: list[Any] = asyncio.run(_events(run)) if is_async else _events_sync(run)
    ends = [event.finish_reason for event in events if isinstance(event, LLMCallFinished)]
    assert ends == ["failed"]


def test_an_answer_that_is_cut_off_is_said() -> None:
    """As of any call."""
    seen = ask(Looking(look=lambda: saying(text("It"), finish("length"))))
    assert [event.reason for event in seen.of(Incomplete)] == ["length"]


async def test_many_at_once_have_their_own() -> None:
    """Each of fifty queries at once sees one call."""
    adapter = StreamingQueryEngine(Looking(look=saying))
    all_seen = await asyncio.gather(*(aask(adapter) for _ in range(50)))
    assert [len(seen.calls) for seen in all_seen] == [1] * 50


def test_what_nobody_sees_for_is_let_alone() -> None:
    """Where a query has not said how LLMs are seen, nothing is written."""
    log = Log()
    with tracking(log.work):
        saying().complete("why")
    assert log.events == []


def _events_sync(engine: StreamingQueryEngine) -> list[Any]:
    run = engine.start("why")
    run.wait_sync()
    return [record.event for record in run.stream.read_sync()]


async def _events(engine: StreamingQueryEngine) -> list[Any]:
    run = engine.start("why", is_async=True)
    await run.wait()
    return [record.event async for record in run.stream.read()]


def test_the_handler_of_spans_is_there_once() -> None:
    """However many queries there are."""
    for _ in range(2):
        ask(Looking(look=saying))
    root: Any = instrumentation.get_dispatcher()
    assert sum(isinstance(handler, LLMSpans) for handler in root.span_handlers) == 1


def test_nothing_is_kept_of_calls_that_are_over() -> None:
    """A long query does not grow with them."""
    log = Log()
    log.work.options = QueryOptions()
    with tracking(log.work):
        query = current_query()
        saying().complete("why")
        list(MockLLM(max_tokens=2).stream_complete("why"))
    assert query is not None
    assert [kept for kept in query.going_on.values() if kept] == []


async def test_a_call_that_is_stopped_has_its_end() -> None:
    """It is cancelled with the task of the query."""
    llm = saying(text("It"), wait(60))
    run = StreamingQueryEngine(Looking(look=lambda: llm, way="chat")).start("why", is_async=True)
    async for record in run.stream.read():
        if isinstance(record.event, LLMCallStarted):
            run.stop()
    await run.stopped()
    ends = [record.event async for record in run.stream.read(types=LLMCallFinished)]
    assert [end.finish_reason for end in ends] == ["cancelled"]  # pyright: ignore[reportAttributeAccessIssue] # by its type


# LLMs that ask other LLMs


class Late(FakeStreamingLLM):
    """Asks another LLM when its own first chunk is out."""

    inner: Any = None

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        """Stream what the other one says."""

        async def chunks() -> AsyncGenerator[ChatResponse]:
            yield ChatResponse(message=ChatMessage("", role="assistant"), delta="")
            async for chunk in await self.inner.astream_chat(messages):
                yield chunk

        return chunks()

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        """Stream what the other one says."""

        def chunks() -> Generator[ChatResponse]:
            yield ChatResponse(message=ChatMessage("", role="assistant"), delta="")
            yield from self.inner.stream_chat(messages)

        return chunks()


@BOTH
def test_an_llm_that_asks_another_late_is_seen_once(
    monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    """As one that asks it at once: else its tokens would be counted twice."""
    late = Late([Turn(text("no"))])  # pyright: ignore[reportCallIssue] # it takes what its base does
    late.inner = saying()
    monkeypatch.setattr(Settings, "_llm", late)
    seen = ask(Looking(way="stream_chat"), is_async=is_async)
    assert (seen.text, seen.calls) == ("It is so.", [("call", "stop")])


class Fact(BaseModel):
    """A structured answer."""

    answer: str


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # core's own
@BOTH
@pytest.mark.parametrize("way", ["chat", "complete", "stream_chat"])
@pytest.mark.parametrize("made", [True, False], ids=["made", "default"])
def test_a_structured_llm_is_seen_once(
    monkeypatch: pytest.MonkeyPatch, made: bool, way: str, is_async: bool
) -> None:
    """The call is that of the LLM in it."""
    answers = FakeStreamingLLM([Turn(tool_call("Fact", {"answer": "so"}))], repeat_last=True)
    structured = answers.as_structured_llm(Fact)
    monkeypatch.setattr(Settings, "_llm", structured)
    look = (lambda: structured) if made else default_llm
    seen = ask(Looking(look=look, way=way), is_async=is_async)
    assert (seen.text, seen.calls) == ('{"answer":"so"}', [("call", "tool_calls")])
