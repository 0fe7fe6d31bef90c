"""The tree of the work that one query makes: who asks whom, and what for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, NamedTuple

from llama_index_streaming_ext.events import Event

if TYPE_CHECKING:
    from llama_index_streaming_ext.query.context.options import QueryOptions


UNKNOWN = "call"
"""The purpose of LLM calls of which nothing is known."""

MEMORY = "memory"
"""The purpose of LLM calls while a memory is read or written."""


class Span(NamedTuple):
    """A place in the tree of a query's work."""

    call_id: str
    """The work that it is a part of: the parent of what is announced here."""
    purpose: str
    """The purpose of LLM calls here: `synthesize`, `select`, ...; `call` if nothing is known."""


class _Entry(NamedTuple):
    work: Work
    place: Span
    outer: _Entry | None


# One variable for all queries: contexts keep every variable that was ever set in them alive.
_entered: ContextVar[_Entry | None] = ContextVar("llama_index_streaming_ext_place", default=None)

Entered = Token["_Entry | None"]
"""The token that leads back from a place."""


class Work:
    """The work of one query, for all the threads and tasks that have a part in it.

    The place is found by the context, so it flows into tasks, into `asyncio.to_thread` and into
    core's own threads. Where core loses the context, the place is the query itself. A query inside
    of this one has a `Work` of its own, and neither sees the places of the other.

    Args:
        write: takes an event to the log of the query; it is called from any thread.
        query_id: the id of the query.

    Attributes:
        write: takes an event to the log of the query.
        query_id: the id of the query.
        options: how LLMs are set that are met only during the query; None if nobody sees those.

    Example:
        >>> work = Work(print, "query")
        >>> with work.at_work("select"):
        ...     work.current()
        Place(call_id='query', purpose='select')
        >>> work.new_id()
        'query-1'
    """

    def __init__(self, write: Callable[[Event], None], query_id: str) -> None:
        self.write = write
        self.query_id = query_id
        self.options: QueryOptions | None = None
        self._root = Span(query_id, UNKNOWN)
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        """An id for a piece of work: the same ones in the same order for the same query."""
        return f"{self.query_id}-{next(self._numbers)}"

    def current(self) -> Span:
        """Return the place of the caller; the query itself if the context knows no other."""
        entry = _entered.get()
        while entry is not None:
            if entry.work is self:
                return entry.place
            entry = entry.outer
        return self._root

    @contextmanager
    def at_work(self, purpose: str | None = None, call_id: str | None = None) -> Generator[Span]:
        """Be at a place within the current one.

        Args:
            purpose: what LLMs are asked for there; None for that of the current place.
            call_id: the id of the work that is done there; None if it is no work of its own.
        """
        entered = self.enter(purpose, call_id)
        try:
            yield self.current()
        finally:
            self.leave(entered)

    def enter(self, purpose: str | None = None, call_id: str | None = None) -> Entered:
        """As `at_work`, until `leave` is called with what this returns, in the same context."""
        here, entry = self.current(), _entered.get()
        outer = entry.outer if entry is not None and entry.work is self else entry
        place = Span(call_id or here.call_id, purpose or here.purpose)
        return _entered.set(_Entry(self, place, outer))

    def leave(self, entered: Entered) -> None:
        """Be again where one was before `enter`."""
        _entered.reset(entered)
