"""Who calls an engine is told by the stack: what `query/callers.py` builds on."""

# Core's decorators and tools are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index_instrumentation import get_dispatcher

from llama_index_streaming_ext.query.execution.callers import called_by_core


class Asked(CustomQueryEngine):
    """An engine that says whether core has asked it."""

    def query(self, str_or_query_bundle: Any) -> Any:
        """Asked by whom?"""
        return called_by_core()

    def aquery(self, str_or_query_bundle: Any) -> Any:
        """Asked by whom? Told at once, not when it is awaited."""
        core = called_by_core()

        async def answer() -> bool:
            return core

        return answer()

    def custom_query(self, query_str: str) -> Any:
        """Never asked."""
        raise NotImplementedError


def _in_thread() -> Any:
    return asyncio.run(_to_thread())


async def _to_thread() -> Any:
    return await asyncio.to_thread(Asked().query, "why")


async def _executor() -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, Asked().query, "why")


async def _gather() -> Any:
    return any(await asyncio.gather(Asked().aquery("why"), Asked().aquery("why")))


async def _task() -> Any:
    return await asyncio.create_task(Asked().aquery("why"))


def _spanned() -> Any:
    return get_dispatcher(__name__).span(lambda: Asked().query("why"))()


BY_A_PERSON: dict[str, Callable[[], Any]] = {
    "plainly": lambda: Asked().query("why"),
    "partial": lambda: functools.partial(Asked().query, "why")(),
    "span": _spanned,
    "to_thread": _in_thread,
    "run_in_executor": lambda: asyncio.run(_executor()),
    "gather": lambda: asyncio.run(_gather()),
    "create_task": lambda: asyncio.run(_task()),
    "a function tool": lambda: (
        FunctionTool.from_defaults(lambda: Asked().query("why"), name="ask").call().raw_output
    ),
}

BY_CORE: dict[str, Callable[[], Any]] = {
    "a tool": lambda: QueryEngineTool.from_defaults(Asked()).call("why").raw_output,
    "a tool, async": lambda: (
        asyncio.run(QueryEngineTool.from_defaults(Asked()).acall("why")).raw_output
    ),
    "a tool of the method": lambda: (
        FunctionTool.from_defaults(Asked().query, name="ask").call("why").raw_output
    ),
}


@pytest.mark.parametrize("way", BY_A_PERSON)
def test_a_person_is_told_from_core(way: str) -> None:
    """However the call is made, the frame above the engine's is the person's own."""
    assert BY_A_PERSON[way]() is False


@pytest.mark.parametrize("way", BY_CORE)
def test_core_is_told_from_a_person(way: str) -> None:
    """The frame above the engine's is core's, but for spans."""
    assert BY_CORE[way]() is True
