"""`Settings.llm`, which core looks up while a query works.

For everybody else it is what it was: only what is read *in the context of a query* is seen by that
query. There is no public hook for it, so the getter of the class of `Settings` is wrapped: canary
`tests/upstream/test_met_llms.py`.
"""

from __future__ import annotations

from typing import Any, cast

from llama_index.core.settings import Settings

from llama_index_streaming_ext.query.context.current_query import (
    QueryScope,
    current_query,
    is_inside_llm_call,
)
from llama_index_streaming_ext.query.llms.context_llm import bind_to_context, unbound


class _SeenInQueries(property):
    """The property that there was, but within a query its LLM is one that the query sees."""


def see_default_llm() -> None:
    """See to it that queries see `Settings.llm`. It is done once; tests may have undone it."""
    cls: type = type(Settings)
    there: object = vars(cls).get("llm")
    if isinstance(there, property) and not isinstance(there, _SeenInQueries):
        cast("Any", cls).llm = _over(there)


def _over(there: property) -> _SeenInQueries:
    def read(settings: Any) -> Any:
        llm, query = there.__get__(settings), current_query()
        return llm if query is None or is_inside_llm_call() else _seen_by(query, llm)

    def write(settings: Any, llm: Any) -> None:
        # What was read within a query, and is put back there, must not stay for all.
        there.__set__(settings, _given(llm))

    return _SeenInQueries(read, write, there.fdel, there.__doc__)


def _seen_by(query: QueryScope, llm: Any) -> Any:
    """Who looks twice in a query finds the same object."""
    return _pairs(query).setdefault(str(id(llm)), (llm, bind_to_context(llm)))[1]


def _given(llm: Any) -> Any:
    query = current_query()
    # Of a `StructuredLLM` a query has a copy, which does not say what it is a copy of.
    pairs = _pairs(query).values() if query is not None else ()
    return next((given for given, seen in list(pairs) if seen is llm), unbound(llm))


def _pairs(query: QueryScope) -> dict[str, Any]:
    """The default LLMs that a query has met, each with what it sees of it, by its id."""
    return query.of("default llms")
