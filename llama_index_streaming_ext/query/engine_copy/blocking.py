"""Whether an engine's async face holds up the event loop.

Much of what core calls async is not: the default of a retriever's `_aretrieve` calls `_retrieve`,
that of a vector store's `aquery` calls `query`, and several engines' `_aquery` call `_query`. Who
runs beside others on a loop asks the sync face of such an engine, in a thread.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.base_selector import BaseSelector
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import (
    CustomQueryEngine,
    MultiStepQueryEngine,
    RetryGuidelineQueryEngine,
    RetryQueryEngine,
    RetrySourceQueryEngine,
    SQLJoinQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.tools import QueryEngineTool
from llama_index.core.vector_stores.types import BasePydanticVectorStore

_WORKS: tuple[tuple[type, str], ...] = (
    (BaseQueryEngine, "_aquery"),
    (BaseRetriever, "_aretrieve"),
    (BaseEmbedding, "_aget_query_embedding"),
    (BasePydanticVectorStore, "aquery"),
    (BaseSelector, "_aselect"),
    (BaseNodePostprocessor, "_apostprocess_nodes"),
)
"""The parts that may take long, and the async methods that do what they do."""

_PARTS = (*(cls for cls, _ in _WORKS), QueryEngineTool)


_SYNC_INSIDE = (
    MultiStepQueryEngine,
    RetryGuidelineQueryEngine,
    RetryQueryEngine,
    RetrySourceQueryEngine,
    SQLJoinQueryEngine,
    TransformQueryEngine,
)
"""The engines of core's whose async methods call sync ones (canary: tests/upstream)."""


def blocks_the_loop(engine: BaseQueryEngine) -> bool:
    """Whether asking an engine by its async face would hold up the event loop.

    It would where an async method of one of its parts never waits for anything.

    Args:
        engine: any query engine.

    Example:
        >>> from llama_index.core import MockEmbedding, SummaryIndex
        >>> from llama_index.core.llms import MockLLM
        >>> index = SummaryIndex([], embed_model=MockEmbedding(2))
        >>> blocks_the_loop(index.as_query_engine(llm=MockLLM()))
        True
    """
    seen: dict[int, object] = {}
    todo: list[object] = [engine]
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        if any(never_waits(method) for method in _working_methods(part)):
            return True
        todo += _parts_of(part)
    return False


def works_synchronously(engine: BaseQueryEngine) -> bool:
    """Whether an engine's async face does most of its work by sync calls, its LLM calls too.

    Their calls could neither be seen nor stopped while they are made, as the loop stands still.

    Args:
        engine: any query engine.
    """
    seen: set[int] = set()
    todo: list[object] = [engine]
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, _SYNC_INSIDE) and _is_cores(type(part)):
            return True
        todo += [
            one for one in _parts_of(part) if isinstance(one, BaseQueryEngine | QueryEngineTool)
        ]
    return False


def _is_cores(cls: type) -> bool:
    """Whether a class has core's own async method."""
    method: Any = getattr(cls, "_aquery")  # noqa: B009 # core's hook
    return str(method.__module__).startswith("llama_index.core.")


def _working_methods(part: object) -> Iterator[Callable[..., Any]]:
    if isinstance(part, CustomQueryEngine):
        # Its own default is asked in a thread.
        if type(part).acustom_query is not CustomQueryEngine.acustom_query:
            yield type(part).acustom_query
        return
    for cls, name in _WORKS:
        if isinstance(part, cls):
            yield getattr(type(part), name)


@functools.lru_cache(maxsize=256)
def never_waits(method: Callable[..., Any]) -> bool:
    """Whether an async function has not one `await`, so that it is a sync one in disguise."""
    function = inspect.unwrap(method)
    if not inspect.iscoroutinefunction(function):
        return False
    names = {step.opname for step in dis.get_instructions(function)}
    return not names & {"GET_AWAITABLE", "GET_ANEXT"}


def _parts_of(part: object) -> list[object]:
    held: Iterable[Any] = getattr(part, "__dict__", {}).values()
    return [one for value in held for one in _each(value) if isinstance(one, _PARTS)]


def _each(value: Any) -> Iterable[Any]:
    if type(value) is dict:
        return cast("dict[Any, Any]", value).values()
    return cast("Iterable[Any]", value) if type(value) in (list, tuple) else (value,)
