"""`Settings.llm`, which core looks up while a query works.

For everybody else it is what it was: only what is read *in the context of a query* is seen by that
query. There is no public hook for it, so the getter of the class of `Settings` is wrapped: canary
`tests/upstream/test_met_llms.py`.
"""

from __future__ import annotations

from typing import Any, cast

from llama_index.core.settings import Settings

from .met_llm import as_it_was, met
from .within import is_asking, query_here


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
        llm = there.__get__(settings)
        return llm if query_here() is None or is_asking() else met(llm)

    def write(settings: Any, llm: Any) -> None:
        # What was read within a query, and is put back there, must not stay for all.
        there.__set__(settings, as_it_was(llm))

    return _SeenInQueries(read, write, there.fdel, there.__doc__)
