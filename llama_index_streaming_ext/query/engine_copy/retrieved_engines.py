"""Engines that are found only during a query: `ToolRetrieverRouterQueryEngine` and its elder.

What is found is the user's own engine, so it is copied before anything is done with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.query_engine import RetrieverRouterQueryEngine, ToolRetrieverRouterQueryEngine

from llama_index_streaming_ext.query.engine_copy.method_hooks import (
    ObjectProxy,
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
    """What is done with what an engine finds. Never changed: twins of the engine share it."""

    prepare: Prepare = twin
    changes: tuple[Change, ...] = ()

    def engines(self, found: Sequence[Any], tools: Sequence[Any] = ()) -> list[Any]:
        """The copies of the engines that are to be asked instead."""
        copies = [self.prepare(engine) for engine in found]
        for change in self.changes:
            change(copies, tools)
        return copies

    def tools(self, ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Around the `retrieve` of a retriever of tools."""
        found = ask(*args, **kwargs)
        engines = self.engines([tool.query_engine for tool in found], found)
        return [_tool_with(*pair) for pair in zip(found, engines, strict=True)]

    async def atools(
        self, ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Around its `aretrieve`."""
        found = await ask(*args, **kwargs)
        return self.tools(lambda: found, (), {})


class _EngineOf:
    """The function that makes a query engine of a node, of which copies are made."""

    def __init__(self, make: Callable[..., Any], finding: _Finding) -> None:
        self.make = make
        self.finding = finding

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.finding.engines([self.make(*args, **kwargs)])[0]


def finds(engine: BaseQueryEngine) -> bool:
    """Whether an engine asks others that it finds during the query."""
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
    finding = _Finding()
    if is_face(retriever, _BY):
        finding = getattr(hooks_of(retriever)["retrieve"], "__self__")  # noqa: B009 -- bound method
        retriever = part_of(retriever)
    finding = _with(finding, prepare, change)
    hooks = {"retrieve": finding.tools, "aretrieve": finding.atools}
    TOOL_RETRIEVER.set(engine, ObjectProxy(retriever, hooks, by=_BY))
    hook_method(engine, QUERY, _tell_found_tools, by=_BY)
    hook_method(engine, AQUERY, _atell_found_tools, by=_BY)


def _with(finding: _Finding, prepare: Prepare | None, change: Change | None) -> _Finding:
    changes = (*finding.changes, change) if change else finding.changes
    return _Finding(prepare or finding.prepare, changes)


def _tool_with(tool: Any, engine: Any) -> Any:
    copy = twin(tool)
    TOOL_ENGINE.set(copy, engine)
    state_of(copy)["_found_as"] = tool
    return copy


def _tell_found_tools(
    ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return _with_found_tools(ask(*args, **kwargs))


async def _atell_found_tools(
    ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return _with_found_tools(await ask(*args, **kwargs))


def _with_found_tools(response: Any) -> Any:
    """Core puts the tools into the metadata: as they were found, not the copies."""
    metadata = getattr(response, "metadata", None)
    if metadata and "retrieved_tools" in metadata:
        tools = metadata["retrieved_tools"]
        metadata["retrieved_tools"] = [state_of(tool).get("_found_as", tool) for tool in tools]
    return response
