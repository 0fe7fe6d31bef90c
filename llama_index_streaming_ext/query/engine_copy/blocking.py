"""Engines whose async methods hold up the event loop.

Who runs beside others on a loop asks the sync methods of such an engine, in a thread. Of core's
classes it is known which these are. A user's async method is taken at its word; where it blocks all
the same, the user says so with `use_async=False`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.upstream.async_methods import WORK, asks_synchronously, never_waits

_PARTS = (*(cls for cls, _ in WORK), QueryEngineTool)


def blocks_the_loop(engine: BaseQueryEngine) -> bool:
    """Return True if an async method of an engine, or of one of its parts, waits for nothing.

    Args:
        engine: any query engine.

    Example:
        >>> from llama_index.core import MockEmbedding, SummaryIndex
        >>> from llama_index.core.llms import MockLLM
        >>> index = SummaryIndex([], embed_model=MockEmbedding(2))
        >>> blocks_the_loop(index.as_query_engine(llm=MockLLM()))
        True
    """
    return any(map(never_waits, _with_parts(engine, _PARTS)))


def works_synchronously(engine: BaseQueryEngine) -> bool:
    """Return True if the async method of an engine does most of its work by sync calls.

    Its LLM calls are among them. They could neither be seen nor stopped while they are made, as the
    loop stands still.

    Args:
        engine: any query engine.
    """
    engines = _with_parts(engine, (BaseQueryEngine, QueryEngineTool))
    return any(isinstance(one, BaseQueryEngine) and asks_synchronously(one) for one in engines)


def _with_parts(engine: object, kinds: tuple[type, ...]) -> Iterator[object]:
    """Yield an engine and what it holds of some kinds, at whatever remove, each once."""
    seen: dict[int, object] = {}
    todo: list[object] = [engine]
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        yield part
        held: Iterable[Any] = getattr(part, "__dict__", {}).values()
        todo += [one for value in held for one in _each(value) if isinstance(one, kinds)]


def _each(value: Any) -> Iterable[Any]:
    if type(value) is dict:
        return cast("dict[Any, Any]", value).values()
    return cast("Iterable[Any]", value) if type(value) in (list, tuple) else (value,)
