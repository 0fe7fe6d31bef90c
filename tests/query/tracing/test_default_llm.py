"""`Settings.llm`, looked up while a query works: its calls are the query's, and nobody else's."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from llama_index.core import Settings, SummaryIndex, response_synthesizers
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine

from llama_index_streaming_ext import StreamingLLM, StreamingQueryEngine
from llama_index_streaming_ext.events import (
    LLMCallFinished,
    LLMCallStarted,
    NotStreamed,
    RetrievalStarted,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM
from llama_index_streaming_ext.threads.from_thread import call
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.query.asking import BOTH
from tests.support.query.core_engines import nodes
from tests.support.query.lookers import TOKENS, Looking, aask, ask, saying

WAYS = pytest.mark.parametrize("way", ["chat", "complete", "stream_chat", "stream_complete"])


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> FakeStreamingLLM:
    """The default LLM."""
    llm = saying()
    monkeypatch.setattr(Settings, "_llm", llm)
    return llm


class Making(CustomQueryEngine):
    """Makes an engine without saying which LLM is to be asked."""

    def custom_query(self, query_str: str) -> Any:
        """Ask that engine."""
        retriever: Any = SummaryIndex(nodes()).as_retriever()  # pyright: ignore[reportUnknownMemberType] # core's
        synthesizers: Any = response_synthesizers
        engine = RetrieverQueryEngine(retriever, synthesizers.get_response_synthesizer())
        return engine.query(query_str)


@BOTH
@WAYS
def test_a_call_is_seen(default: FakeStreamingLLM, way: str, is_async: bool) -> None:
    """It has its start and its end, by whichever method the LLM is asked."""
    seen = ask(Looking(way=way), is_async=is_async)
    assert (seen.text, seen.calls, len(default.calls)) == ("It is so.", [("call", "stop")], 1)


@BOTH
@WAYS
def test_what_it_says_is_shown(default: FakeStreamingLLM, way: str, is_async: bool) -> None:
    """With show="calls" it comes in tokens."""
    seen = ask(Looking(way=way), is_async=is_async, show="calls")
    assert (seen.shown, len(seen.of(NotStreamed))) == ("".join(TOKENS), 0)


def test_an_engine_made_during_a_query_is_seen(default: FakeStreamingLLM) -> None:
    """Its retrieval, and its LLM call with what that is for."""
    seen = ask(Making())
    assert len(seen.of(RetrievalStarted)) == 1
    assert {purpose for purpose, _ in seen.calls} == {"synthesize"}
    assert len(seen.calls) == len(default.calls)


def test_the_second_attempt_of_a_retry_is_at_work_on_something() -> None:
    """RetrySourceQueryEngine makes it over the default LLM: each call says what it is for."""
    from tests.support.query.matrix import Case, ours

    events = ours(Case("retry_source_twice", False, False, "answer")).events
    purposes = [event.purpose for event in events if isinstance(event, LLMCallStarted)]
    assert set(purposes) == {"synthesize", "evaluate"}


def test_tokens_are_counted_once(default: FakeStreamingLLM, monkeypatch: Any) -> None:
    """Core's counter has what it has without us."""
    counter = TokenCountingHandler(tokenizer=str.split)
    monkeypatch.setattr(Settings, "_callback_manager", CallbackManager([counter]))
    Looking().custom_query("why")
    alone = counter.total_llm_token_count
    counter.reset_counts()
    ask(Looking(), show="calls")
    assert counter.total_llm_token_count == alone


def test_it_is_the_object_itself(default: FakeStreamingLLM) -> None:
    """Nothing stands for it within a query."""
    found: list[Any] = []
    ask(Looking(look=lambda: found.append(Settings.llm) or found[0]))
    assert found[0] is default


@BOTH
def test_a_copy_is_asked_as_it_is_set(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    """A copy that a query sets otherwise is seen, and has its own settings."""
    monkeypatch.setattr(Settings, "_llm", MockLLM(max_tokens=3))
    seen = ask(
        Looking(look=lambda: Settings.llm.model_copy(update={"max_tokens": 2})), is_async=is_async
    )
    assert (seen.text, seen.calls) == ("text text", [("call", None)])


def test_what_is_kept_belongs_to_no_query(default: FakeStreamingLLM) -> None:
    """The next query sees its own call, and outside of queries the LLM is asked as ever."""
    kept = functools.cache(lambda: Settings.llm)
    engine = Looking(look=lambda: kept())
    first, second = ask(engine), ask(engine)
    assert len(first.calls) == len(second.calls) == 1
    assert kept().complete("why").text == "It is so."
    assert len(default.calls) == 3


def test_a_mock_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only says that it is an LLM is not wrapped."""
    from unittest.mock import MagicMock

    mock = MagicMock(spec=MockLLM)
    mock.complete.return_value.text = "so"
    mock.complete.return_value.__dict__.pop("message", None)
    monkeypatch.setattr(Settings, "_llm", mock)
    found: list[Any] = []
    adapter = StreamingQueryEngine(Looking(look=lambda: found.append(Settings.llm) or saying()))
    adapter.query("why").get_response()
    assert found == [mock]


def test_options_of_a_wrapped_default_hold_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A StreamingLLM that is the default is itself again outside of the query."""
    streaming = StreamingLLM(saying(), strict=True)
    monkeypatch.setattr(Settings, "_llm", streaming)
    seen = ask(Looking())
    assert (len(seen.calls), Settings.llm is streaming) == (1, True)


async def test_many_at_once_have_their_own(default: FakeStreamingLLM) -> None:
    """Each of fifty queries at once sees one call, and no two the same."""
    adapter = StreamingQueryEngine(Looking())
    all_seen = await asyncio.gather(*(aask(adapter) for _ in range(50)))
    ids = {event.call_id for seen in all_seen for event in seen.of(LLMCallFinished)}
    assert ([len(seen.calls) for seen in all_seen], len(ids)) == ([1] * 50, 50)


async def test_what_goes_on_after_a_query_is_no_part_of_it(default: FakeStreamingLLM) -> None:
    """A task that was started during a query which was stopped has the LLM as it is."""
    begun, over, later = asyncio.Event(), asyncio.Event(), list[asyncio.Task[Any]]()

    async def after() -> Any:
        await over.wait()
        return Settings.llm, (await Settings.llm.acomplete("why")).text

    class Starting(CustomQueryEngine):
        def custom_query(self, query_str: str) -> str:
            return ""

        async def acustom_query(self, query_str: str) -> str:
            later.append(asyncio.create_task(after()))
            begun.set()
            await asyncio.Event().wait()
            return ""

    run = StreamingQueryEngine(Starting()).start("why", is_async=True)
    await begun.wait()
    run.stop()
    await run.stopped()
    over.set()
    llm, said = await later[0]
    assert (llm is default, said) == (True, "It is so.")


def test_sync_calls_on_the_background_loop_are_seen(default: FakeStreamingLLM) -> None:
    """They hold it up, as without us, but do not wait for it."""

    class Blocking(CustomQueryEngine):
        def custom_query(self, query_str: str) -> str:
            return ""

        async def acustom_query(self, query_str: str) -> str:
            return Settings.llm.complete(query_str).text

    adapter = StreamingQueryEngine(Blocking())
    seen = call(lambda: aask(adapter), StopSignal())
    assert (seen.text, seen.calls) == ("It is so.", [("call", "stop")])


def test_a_getter_that_a_test_has_put_there_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it gives is seen in queries, and given elsewhere."""
    llm = saying()
    monkeypatch.setattr(type(Settings), "llm", property(lambda _: llm))
    seen = ask(Looking())
    assert (seen.calls, Settings.llm is llm) == ([("call", "stop")], True)
