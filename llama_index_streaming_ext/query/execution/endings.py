"""Ends of queries: the last event, and the ending in the log."""

from __future__ import annotations

import asyncio

from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.errors import RunLost, StreamStopped
from llama_index_streaming_ext.events import QueryFailed, QueryFinished, QueryStopped, StopEvent
from llama_index_streaming_ext.events.usage import Usage
from llama_index_streaming_ext.stream.record import Ending

End = tuple[StopEvent, Ending]
"""The last event of a query, and the end of its log."""


def finished(query_id: str, text: str, sources: list[NodeWithScore], usage: Usage | None) -> End:
    """The end of a query that is answered.

    Args:
        query_id: the query.
        text: the whole answer.
        sources: what it is drawn from.
        usage: the tokens that the providers counted, None where they said nothing.
    """
    event = QueryFinished(call_id=query_id, text=text, sources=sources, usage=usage)
    return event, Ending("completed", text)


def stopped(query_id: str, text: str) -> End:
    """The end of a query that was stopped.

    Args:
        query_id: the query.
        text: the answer so far.
    """
    return QueryStopped(call_id=query_id), Ending("cancelled", error=StreamStopped(text))


def lost(query_id: str) -> End:
    """The end of a query whose event loop was closed while it was at work."""
    error = RunLost(query_id)
    return _failed(query_id, error), Ending("lost", error=error)


def failed(query_id: str, text: str, error: BaseException) -> End:
    """The end of a query whose engine raised, be it because it was stopped.

    Args:
        query_id: the query.
        text: the answer so far.
        error: what was raised.
    """
    if isinstance(error, asyncio.CancelledError | StreamStopped):
        return stopped(query_id, text)
    return _failed(query_id, error), Ending("failed", error=error)


def _failed(query_id: str, error: BaseException) -> QueryFailed:
    return QueryFailed(call_id=query_id, error=str(error), kind=type(error).__name__)
