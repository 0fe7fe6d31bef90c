"""Query engines as tools, and agents that ask them."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportDeprecated=false

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, TypeVar

from llama_index.core import QueryBundle
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import QueryEngineTool, ToolMetadata

from llama_index_streaming_ext import (
    Event,
    FunctionAgent,
    Record,
    StreamingHandler,
    StreamingQueryEngineTool,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call

E = TypeVar("E", bound=Event)

ANSWER = ["It", " is", " high", "."]
FOUND = [NodeWithScore(node=TextNode(text="The tower is high.", id_="tower"), score=1.0)]
FACES = [False, True]
"""The engine's sync face, and its async one."""


class Library(BaseRetriever):
    """A retriever whose async face waits for something."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return FOUND

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        await asyncio.sleep(0)
        return FOUND


class BlockingLibrary(BaseRetriever):
    """A retriever that blocks its thread until it is released; its async face is core's."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if not self.released.wait(120):
            raise TimeoutError("nobody could release it: the loop is held up")
        return FOUND


class Selecting(BaseSelector):
    """Selects the engines at some places, without an LLM."""

    def __init__(self, *places: int) -> None:
        self._places = places

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        selections = [SingleSelection(index=place, reason="") for place in self._places]
        return SelectorResult(selections=selections)

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        return self._select(choices, query)

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: Any) -> None:
        return


def engine(llm: Any = None, retriever: BaseRetriever | None = None, **options: Any) -> Any:
    """A query engine over a library of one page."""
    llm = llm or FakeStreamingLLM([Turn(text(*ANSWER))], usage="always")
    return RetrieverQueryEngine.from_args(retriever or Library(), llm=llm, **options)


def tool_of(
    query_engine: Any = None, use_async: bool | None = None, **options: Any
) -> StreamingQueryEngineTool:
    """The tool under test."""
    query_engine = query_engine or engine()
    return StreamingQueryEngineTool.from_defaults(
        query_engine, name="library", use_async=use_async, **options
    )


def calling(tool: QueryEngineTool, times: int = 1) -> FakeStreamingLLM:
    """The LLM of an agent that asks the tool, and then answers."""
    asked = tool_call(tool.metadata.get_name(), input="How high?")
    return FakeStreamingLLM([Turn(*[asked] * times), Turn(text("all", " done"))], usage="always")


def running(tool: QueryEngineTool, times: int = 1) -> StreamingHandler:
    """The run of an agent that asks the tool."""
    return FunctionAgent(tools=[tool], llm=calling(tool, times)).run(user_msg="hi")


def of(cls: type[E], read: list[Record]) -> list[E]:
    """The events of a class among records."""
    return [record.event for record in read if isinstance(record.event, cls)]
