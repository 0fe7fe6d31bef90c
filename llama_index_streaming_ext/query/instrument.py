"""Retrievals, seen through core's instrumentation.

A retriever is asked in many ways, by engines and by other retrievers, and it may be the user's own
object, which is not to be touched. But all of them tell core's dispatcher when they start and end.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import llama_index_instrumentation as instrumentation
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent, RetrievalStartEvent
from llama_index.core.schema import QueryType
from llama_index_instrumentation.events.span import SpanDropEvent

from ..events.query import RetrievalStarted, SourcesRetrieved
from .tree import Entered, Place, Work

_installing = threading.Lock()


class _Open(NamedTuple):
    place: Place
    parent_id: str
    entered: Entered


class _Tracked:
    """The retrievals of one query that are going on, by the id of their span."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.open: dict[str, _Open] = {}


_tracked: ContextVar[_Tracked | None] = ContextVar("llama_index_streaming_ext_query", default=None)


@contextmanager
def tracking(work: Work) -> Generator[None]:
    """What is retrieved in this context, and in what runs in copies of it, is that query's.

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
    token = _tracked.set(_Tracked(work))
    try:
        yield
    finally:
        _tracked.reset(token)


class RetrievalHandler(BaseEventHandler):
    """Takes core's events of retrievals to the query that they belong to, if there is one.

    It looks at no other events: to serialise those that have a response drains it (U61).
    """

    @classmethod
    def class_name(cls) -> str:
        """The name of the handler."""
        return "RetrievalHandler"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Takes one event."""
        tracked = _tracked.get()
        if tracked is None:
            return
        if isinstance(event, RetrievalStartEvent):
            _start(tracked, event)
        elif isinstance(event, RetrievalEndEvent):
            _end(tracked, event)
        elif isinstance(event, SpanDropEvent):
            _leave(tracked, event.span_id)


def _start(tracked: _Tracked, event: RetrievalStartEvent) -> None:
    work = tracked.work
    parent_id, call_id = work.current().call_id, work.new_id()
    query = text_of(event.str_or_query_bundle)
    work.write(RetrievalStarted(call_id=call_id, parent_id=parent_id, query=query))
    # Where a retriever is asked outside of a span, its end cannot be told from others'.
    if event.span_id is not None:
        place = Place(call_id, "retrieve")
        entered = work.enter(place.purpose, call_id)
        tracked.open[event.span_id] = _Open(place, parent_id, entered)


def _end(tracked: _Tracked, event: RetrievalEndEvent) -> None:
    work = tracked.work
    started = _leave(tracked, event.span_id)
    call_id = started.place.call_id if started else work.new_id()
    parent_id = started.parent_id if started else work.current().call_id
    # Copies, since postprocessors set the scores of the nodes that they are given.
    nodes = [node.model_copy() for node in event.nodes]
    work.write(SourcesRetrieved(call_id=call_id, parent_id=parent_id, nodes=nodes))


def _leave(tracked: _Tracked, span_id: str | None) -> _Open | None:
    started = tracked.open.pop(span_id, None) if span_id is not None else None
    if started is not None:
        tracked.work.leave(started.entered)
    return started


def text_of(query: QueryType) -> str:
    """What is asked, as text."""
    return query if isinstance(query, str) else query.query_str


def _install() -> None:
    """See that the root dispatcher has the handler: applications and tests may have reset it."""
    with _installing:
        root = instrumentation.get_dispatcher()
        if not any(isinstance(handler, RetrievalHandler) for handler in root.event_handlers):
            root.add_event_handler(RetrievalHandler())
