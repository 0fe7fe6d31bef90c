"""Retrievals are seen through core's instrumentation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import llama_index_instrumentation as instrumentation
import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llama_index_streaming_ext.events import RetrievalStarted, SourcesRetrieved
from llama_index_streaming_ext.query.context.call_tree import Span
from llama_index_streaming_ext.query.tracing.instrumentation import QueryHandler, tracking
from tests.support.query.asking import Log
from tests.support.query.core_engines import fake, plain


class Finding(BaseRetriever):
    """Finds one node."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=query_bundle.query_str), score=0.5)]


class Asking(BaseRetriever):
    """Asks another retriever, and notes where it is."""

    def __init__(self, inner: BaseRetriever, log: Log) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] -- core's loose types
        self.inner = inner
        self.log = log

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self.log.places.append(self.log.work.current())
        return self.inner.retrieve(query_bundle)


class Failing(BaseRetriever):
    """Fails."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        raise ConnectionError("no index")


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Leaves the root dispatcher with the handlers that it had."""
    root = instrumentation.get_dispatcher()
    before = root.event_handlers
    root.event_handlers = list(before)
    yield
    root.event_handlers = before


def _ids(log: Log) -> list[tuple[str, str, str | None]]:
    kinds = RetrievalStarted | SourcesRetrieved
    return [
        (type(event).__name__[0], event.call_id, event.parent_id)
        for event in log.events
        if isinstance(event, kinds)
    ]


def test_a_retrieval_has_one_id() -> None:
    """Its start and its end have the same, and the query as parent."""
    log = Log()
    with tracking(log.work):
        Finding().retrieve("why")
    assert _ids(log) == [("R", "q-1", "q"), ("S", "q-1", "q")]


async def test_an_async_retrieval_has_one_id() -> None:
    """As a sync one."""
    log = Log()
    with tracking(log.work):
        await Finding().aretrieve("why")
    assert _ids(log) == [("R", "q-1", "q"), ("S", "q-1", "q")]


def test_what_is_found_is_told() -> None:
    """The question as text, and the nodes with their scores."""
    log = Log()
    with tracking(log.work):
        Finding().retrieve(QueryBundle("why"))
    (started,), (found,) = log.of(RetrievalStarted), log.of(SourcesRetrieved)
    assert (started.query, [node.text for node in found.nodes]) == ("why", ["why"])


def test_what_becomes_of_the_nodes_is_not_seen() -> None:
    """A postprocessor that sets scores does not change what was found."""
    log = Log()
    with tracking(log.work):
        Finding().retrieve("why")[0].score = 9.0
    assert log.of(SourcesRetrieved)[0].nodes[0].score == 0.5


def test_a_retriever_within_a_retriever_is_a_part_of_it() -> None:
    """Its parent is the retrieval around it."""
    log = Log()
    with tracking(log.work):
        Asking(Finding(), log).retrieve("why")
    assert _ids(log) == [
        *(("R", "q-1", "q"), ("R", "q-2", "q-1")),
        *(("S", "q-2", "q-1"), ("S", "q-1", "q")),
    ]


def test_a_retriever_is_at_work() -> None:
    """What it asks an LLM for is retrieval."""
    log = Log()
    with tracking(log.work):
        Asking(Finding(), log).retrieve("why")
    assert log.places == [Span("q-1", "retrieve")]


def test_after_a_failed_retrieval_the_place_is_as_before() -> None:
    """Though core does not tell of its end."""
    log = Log()
    with tracking(log.work):
        with pytest.raises(ConnectionError):
            Failing().retrieve("why")
        assert log.work.current() == Span("q", "call")


async def test_retrievals_at_once_are_told_apart() -> None:
    """Each end has the id of its own start."""
    log, met = Log(), asyncio.Barrier(2)

    class Meeting(Finding):
        async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            await met.wait()
            return self._retrieve(query_bundle)

    with tracking(log.work):
        await asyncio.gather(Meeting().aretrieve("a"), Meeting().aretrieve("b"))
    asked = {event.call_id: event.query for event in log.of(RetrievalStarted)}
    found = {event.call_id: event.nodes[0].text for event in log.of(SourcesRetrieved)}
    assert asked == found == {"q-1": "a", "q-2": "b"}


async def test_queries_at_once_are_told_apart() -> None:
    """Each has its own retrieval, and nothing of the other's."""
    logs = [Log(), Log()]

    async def ask(log: Log, question: str) -> None:
        with tracking(log.work):
            await Finding().aretrieve(question)

    await asyncio.gather(ask(logs[0], "a"), ask(logs[1], "b"))
    assert [log.of(RetrievalStarted)[0].query for log in logs] == ["a", "b"]


def test_what_no_query_retrieves_is_not_seen() -> None:
    """After the query, and beside it."""
    log = Log()
    with tracking(log.work):
        pass
    Finding().retrieve("why")
    assert log.events == []


def test_there_is_one_handler() -> None:
    """However many queries there are."""
    for _ in range(3):
        with tracking(Log().work):
            pass
    handlers = instrumentation.get_dispatcher().event_handlers
    assert sum(isinstance(handler, QueryHandler) for handler in handlers) == 1


def test_a_handler_that_was_thrown_out_comes_back() -> None:
    """Tests of applications reset the dispatcher."""
    instrumentation.get_dispatcher().event_handlers = []
    log = Log()
    with tracking(log.work):
        Finding().retrieve("why")
    assert len(log.events) == 2


def test_handlers_of_others_go_on() -> None:
    """They see all that they saw before."""
    seen: list[str] = []

    class Mine(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            seen.append(event.class_name())

    instrumentation.get_dispatcher().add_event_handler(Mine())
    with tracking(Log().work):
        Finding().retrieve("why")
    assert seen == ["RetrievalStartEvent", "RetrievalEndEvent"]


def test_u61_a_streaming_response_is_not_touched() -> None:
    """The events that hold one pass by: the stream is as long as without us."""
    with tracking(Log().work):
        response = plain(fake(), streaming=True).query("why")
    assert "".join(response.response_gen) == "It is so. Indeed."


def test_a_log_that_is_closed_does_not_disturb_core() -> None:
    """What writing raises stays with the handler: core's dispatcher sees to that."""
    log = Log()

    def closed(event: Any) -> None:
        raise RuntimeError("the log is closed")

    log.work.write = closed
    with tracking(log.work):
        assert len(Finding().retrieve("why")) == 1
