"""The query that is at work in a context, and the LLM call that it may be inside of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llama_index_streaming_ext.query.context.call_tree import Work

_T = TypeVar("_T")


class QueryScope:
    """A query, for the contexts that it works in.

    Args:
        work: the tree of its work.
        outer: the query that it is asked in, None if there is none.

    Attributes:
        work: the tree of its work.
        outer: the query that it is asked in, None if there is none.
        over: whether it has ended.
        going_on: what core's instrumentation has told the beginning of, by the ids of the spans:
            for each kind of work its own.
    """

    def __init__(self, work: Work, outer: QueryScope | None) -> None:
        self.work = work
        self.outer = outer
        self.over = False
        self.going_on: dict[str, dict[str, Any]] = {}

    def of(self, kind: str) -> dict[str, Any]:
        """The open work of each kind, by the ids of the spans."""
        return self.going_on.setdefault(kind, {})


_within: ContextVar[QueryScope | None] = ContextVar("llama_index_streaming_ext_query", default=None)
_asking: ContextVar[QueryScope | None] = ContextVar(
    "llama_index_streaming_ext_asking", default=None
)

innermost = _within.get
"""The innermost query in this context; None outside of all. This is the quickest look.

It may be over. Whoever is called for every token of a process looks here first.
"""


def current_query() -> QueryScope | None:
    """The innermost query that is at work in this context, None outside of one.

    What was started during a query, and goes on after it, has its context, but is no part of it.
    """
    query = innermost()
    while query is not None and query.over:
        query = query.outer
    return query


@contextmanager
def enter_query(work: Work) -> Generator[QueryScope]:
    """In this context, and in copies of it, that query is at work."""
    query = QueryScope(work, current_query())
    token = _within.set(query)
    try:
        yield query
    finally:
        query.over = True
        _within.reset(token)


@contextmanager
def inside_llm_call() -> Generator[None]:
    """In this context an LLM of the query is asked, by what sees it: what it does is its own."""
    token = _asking.set(current_query())
    try:
        yield
    finally:
        _asking.reset(token)


def enter_llm_call(query: QueryScope | None) -> QueryScope | None:
    """Begin what `asking` does; `end_asking` takes what this returns. For every chunk of a stream.

    Args:
        query: the query that is at work here.
    """
    before = _asking.get()
    _asking.set(query)
    return before


def leave_llm_call(before: QueryScope | None) -> None:
    """End what `begin_asking` has begun.

    Not by a token: a stream that is collected as garbage ends in another context.
    """
    _asking.set(before)


async def ask_seen(
    ask: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Ask an LLM of the query, as in `asking`."""
    with inside_llm_call():
        return await ask(*args, **kwargs)


def call_inside_llm_call(make: Callable[[], _T]) -> _T:
    """Ask an LLM of the query in a context that is there for that call only, to its end."""
    _asking.set(current_query())
    return make()


def is_inside_llm_call() -> bool:
    """Return True if this context is inside an LLM call of the query that is seen already."""
    query = _asking.get()
    return query is not None and query is current_query()
