"""Engines that are found only during a query: `ToolRetrieverRouterQueryEngine` and its elder.

What is found is the user's own engine, so it is copied before anything is done with it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.query_engine import RetrieverRouterQueryEngine, ToolRetrieverRouterQueryEngine

from llama_index_streaming_ext.query.engine_copy.method_hooks import (
    Advice,
    ObjectProxy,
    enclosing,
    hook_method,
    hooks_of,
    is_face,
    part_of,
    twin,
)
from llama_index_streaming_ext.upstream.query_engines import (
    AQUERY,
    ENGINE_OF_NODE,
    QUERY,
    TOOL_ENGINE,
    TOOL_RETRIEVER,
)
from llama_index_streaming_ext.upstream.state import state_of

Prepare = Callable[[Any], Any]
"""Gives a query's own copy of an engine."""

Change = Callable[[list[Any], Sequence[Any]], None]
"""Changes the copies of what was found together; it also gets the tools that they came in."""

_BY = "llama_index_streaming_ext.query.engine_copy.retrieved_engines"


class _Finding(NamedTuple):
    """The handling of the engines that an engine retrieves. It never changes: copies share it."""

    prepare: Prepare = twin
    changes: tuple[Change, ...] = ()

    def engines(self, found: Sequence[Any], tools: Sequence[Any] = ()) -> list[Any]:
        """Return the copies of the engines that are to be asked instead."""
        copies = [self.prepare(engine) for engine in found]
        for change in self.changes:
            change(copies, tools)
        return copies

    @contextmanager
    def enclose(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Callable[[Any], Any]]:
        """Replace the tools that a retriever returns."""
        yield self.tools

    def tools(self, found: Sequence[Any]) -> list[Any]:
        """Return copies of tools, which ask the copies of their engines."""
        engines = self.engines([tool.query_engine for tool in found], found)
        return [_tool_with(*pair) for pair in zip(found, engines, strict=True)]


class _ToolHooks(dict[str, Advice]):
    """Hooks of a retriever of tools, with what they do."""

    def __init__(self, finding: _Finding) -> None:
        retrieve, aretrieve = enclosing(finding.enclose)
        super().__init__(retrieve=retrieve, aretrieve=aretrieve)
        self.finding = finding


class _EngineOf:
    """The function that makes a query engine of a node, of which copies are made."""

    def __init__(self, make: Callable[..., Any], finding: _Finding) -> None:
        self.make = make
        self.finding = finding

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.finding.engines([self.make(*args, **kwargs)])[0]


def finds(engine: BaseQueryEngine) -> bool:
    """Return True if an engine asks others that it retrieves during the query."""
    return isinstance(engine, ToolRetrieverRouterQueryEngine | RetrieverRouterQueryEngine)


def on_found(
    engine: BaseQueryEngine, *, prepare: Prepare | None = None, change: Change | None = None
) -> None:
    """Have the engines that an engine finds copied, and the copies changed before they are asked.

    Args:
        engine: one that `finds`; the query's own.
        prepare: how they are copied; it comes before all changes, whenever it was told.
        change: what is done to the copies, after the changes told before.
    """
    if isinstance(engine, ToolRetrieverRouterQueryEngine):
        _on_found_tools(engine, prepare, change)
    else:
        made = ENGINE_OF_NODE.of(engine)
        known = made if isinstance(made, _EngineOf) else _EngineOf(made, _Finding())
        finding = _with(known.finding, prepare, change)
        ENGINE_OF_NODE.set(engine, _EngineOf(known.make, finding))


def _on_found_tools(engine: Any, prepare: Prepare | None, change: Change | None) -> None:
    retriever = TOOL_RETRIEVER.of(engine)
    known = _Finding()
    if is_face(retriever, _BY):
        known = cast("_ToolHooks", hooks_of(retriever)).finding
        retriever = part_of(retriever)
    hooks = _ToolHooks(_with(known, prepare, change))
    TOOL_RETRIEVER.set(engine, ObjectProxy(retriever, hooks, by=_BY))
    advice, async_advice = enclosing(_enclose_query)
    hook_method(engine, QUERY, advice, by=_BY)
    hook_method(engine, AQUERY, async_advice, by=_BY)


def _with(finding: _Finding, prepare: Prepare | None, change: Change | None) -> _Finding:
    changes = (*finding.changes, change) if change else finding.changes
    return _Finding(prepare or finding.prepare, changes)


def _tool_with(tool: Any, engine: Any) -> Any:
    copy = twin(tool)
    TOOL_ENGINE.set(copy, engine)
    state_of(copy)["_found_as"] = tool
    return copy


@contextmanager
def _enclose_query(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Callable[[Any], Any]]:
    yield _with_found_tools


def _with_found_tools(response: Any) -> Any:
    """Core puts the tools into the metadata: as they were found, not the copies."""
    metadata = getattr(response, "metadata", None)
    if metadata and "retrieved_tools" in metadata:
        tools = metadata["retrieved_tools"]
        metadata["retrieved_tools"] = [state_of(tool).get("_found_as", tool) for tool in tools]
    return response
