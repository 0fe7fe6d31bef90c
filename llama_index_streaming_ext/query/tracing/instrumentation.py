"""Core's instrumentation events of a query: retrievals, and LLM calls that are not seen otherwise.

A retriever is asked in many ways, by engines and by other retrievers, and it may be the user's own
object, which is not to be touched. But all of them tell core's dispatcher when they start and end.
So do LLMs (`unseen.py`), and the synthesizers of engines that core makes during the query.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import llama_index_instrumentation as instrumentation
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent, RetrievalStartEvent
from llama_index.core.instrumentation.events.synthesis import (
    SynthesizeEndEvent,
    SynthesizeStartEvent,
)
from llama_index.core.schema import QueryType
from llama_index_instrumentation.events.span import SpanDropEvent

from llama_index_streaming_ext.events.query import RetrievalStarted, SourcesRetrieved
from llama_index_streaming_ext.query.context.call_tree import UNKNOWN, Entered, Span, Work
from llama_index_streaming_ext.query.context.current_query import (
    QueryScope,
    current_query,
    enter_query,
    innermost,
)
from llama_index_streaming_ext.query.tracing.other_llm_calls import CALL_EVENTS, LLMSpans

_installing = threading.Lock()


class _Open(NamedTuple):
    place: Span
    parent_id: str
    entered: Entered


@contextmanager
def tracking(work: Work) -> Generator[None]:
    """Attribute the work in this context, and in copies of it, to a query.

    Each retrieval is a place in the tree, so that what a retriever asks an LLM, or another
    retriever, is seen to be a part of it.

    Example:
        >>> from llama_index.core.schema import NodeWithScore, TextNode
        >>> from llama_index.core.base.base_retriever import BaseRetriever
        >>> class OneNode(BaseRetriever):
        ...     def _retrieve(self, query_bundle):
        ...         return [NodeWithScore(node=TextNode(text="a fact"))]
        >>> found = []
        >>> with tracking(Work(found.append, "query")):
        ...     nodes = OneNode().retrieve("why")
        >>> [(type(event).__name__, event.call_id) for event in found]
        [('RetrievalStarted', 'query-1'), ('SourcesRetrieved', 'query-1')]
    """
    _install()
    with enter_query(work):
        yield


class QueryHandler(BaseEventHandler):
    """Takes core's events to the query that they belong to, if there is one.

    It does not serialise them: to serialise those that have a response drains it (U61).
    """

    @classmethod
    def class_name(cls) -> str:
        """The name of the handler."""
        return "QueryHandler"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Takes one event."""
        if innermost() is None:
            return
        take = _TAKES.get(type(event))
        query = current_query() if take is not None else None
        if take is not None and query is not None:
            take(query, event)


def _start(query: QueryScope, event: RetrievalStartEvent) -> None:
    work = query.work
    parent_id, call_id = work.current().call_id, work.new_id()
    question = text_of(event.str_or_query_bundle)
    work.write(RetrievalStarted(call_id=call_id, parent_id=parent_id, query=question))
    _enter(query, event.span_id, Span(call_id, "retrieve"), parent_id)


def _end(query: QueryScope, event: RetrievalEndEvent) -> None:
    work = query.work
    started = _leave(query, event.span_id)
    call_id = started.place.call_id if started else work.new_id()
    parent_id = started.parent_id if started else work.current().call_id
    # Copies, since postprocessors set the scores of the nodes that they are given.
    nodes = [node.model_copy() for node in event.nodes]
    work.write(SourcesRetrieved(call_id=call_id, parent_id=parent_id, nodes=nodes))


def _synthesize(query: QueryScope, event: SynthesizeStartEvent) -> None:
    here = query.work.current()
    # Those of the engine itself, and what they are at work for, are known (`observing.py`).
    if here.purpose == UNKNOWN:
        _enter(query, event.span_id, Span(here.call_id, "synthesize"), here.call_id)


def _enter(query: QueryScope, span_id: str | None, place: Span, parent_id: str) -> None:
    # What is begun outside of a span cannot be told from others' when it ends.
    if span_id is not None:
        entered = query.work.enter(place.purpose, place.call_id)
        query.of("places")[span_id] = _Open(place, parent_id, entered)


def _leave(query: QueryScope, span_id: str | None) -> _Open | None:
    started: _Open | None = query.of("places").pop(span_id or "", None)
    if started is not None:
        query.work.leave(started.entered)
    return started


# By class: there is an event for every token.
_TAKES: dict[type[BaseEvent], Callable[[QueryScope, Any], object]] = {
    RetrievalStartEvent: _start,
    RetrievalEndEvent: _end,
    SynthesizeStartEvent: _synthesize,
    SynthesizeEndEvent: lambda query, event: _leave(query, event.span_id),
    SpanDropEvent: lambda query, event: _leave(query, event.span_id),
    **CALL_EVENTS,
}


def text_of(query: QueryType) -> str:
    """Return the question as text."""
    return query if isinstance(query, str) else query.query_str


def _install() -> None:
    """See that the root dispatcher has the handlers: applications and tests may have reset it."""
    with _installing:
        # Any: core's lists of handlers are not typed in full.
        root: Any = instrumentation.get_dispatcher()
        if not any(isinstance(handler, QueryHandler) for handler in root.event_handlers):
            root.add_event_handler(QueryHandler())
        if not any(isinstance(handler, LLMSpans) for handler in root.span_handlers):
            root.add_span_handler(LLMSpans())
