"""Who calls an engine is told by the stack: what `upstream/callers.py` builds on."""

# Core's decorators and tools are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import MockEmbedding, SummaryIndex
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index_instrumentation import get_dispatcher

from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.query.response.sync import LiveResponse
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text
from llama_index_streaming_ext.upstream.callers import called_by_core


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


ASK = """
async def ask(engine, question):
    return str(await engine.aquery(question))
"""


@pytest.mark.parametrize(
    "module",
    ["llama_index.core.demo", "llama_index.packs.demo", "llama_index.retrievers.demo"],
)
async def test_the_text_of_an_answer_is_whole_in_every_module_of_llama_index(module: str) -> None:
    """Code of a pack or an integration gets a complete response, as core's own code does."""
    namespace: dict[str, Any] = {"__name__": module}
    exec(compile(ASK, module, "exec"), namespace)
    assert await namespace["ask"](_sunny(), "How is the weather?") == "It is sunny"


def _sunny() -> StreamingQueryEngine:
    llm = FakeStreamingLLM([Turn(text("It", " is", " sunny"))])
    index = SummaryIndex([TextNode(text="a")], embed_model=MockEmbedding(2))
    return StreamingQueryEngine(index.as_query_engine(llm=llm))


class Outer(CustomQueryEngine):
    """A user's engine, whose code asks another engine."""

    inner: Any
    seen: list[Any]

    def custom_query(self, query_str: str) -> str:
        """Ask the engine within, and keep its response."""
        self.seen.append(self.inner.query(query_str))
        return str(self.seen[-1])


def test_code_of_users_within_cores_spans_gets_a_live_response() -> None:
    """A custom engine and a function tool run inside core's spans and count as a person."""
    outer = Outer(inner=_sunny(), seen=[])
    assert str(outer.query("How is the weather?")) == "It is sunny"
    engine = _sunny()
    tool = FunctionTool.from_defaults(lambda: engine.query("How is the weather?"), name="ask")
    responses = [*outer.seen, tool.call().raw_output]
    assert [type(response) for response in responses] == [LiveResponse, LiveResponse]
    assert str(responses[-1]) == "It is sunny"
