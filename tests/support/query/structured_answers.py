"""Query engines that answer with an object."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import Any, TypeVar

from llama_index.core import QueryBundle
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from llama_index_streaming_ext import (
    Event,
    StreamingQueryEngine,
)
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse
from llama_index_streaming_ext.query.response.sync import LiveResponse

E = TypeVar("E", bound=Event)


class Height(BaseModel):
    """A structured answer without a field named `answer` (U63)."""

    place: str
    metres: int = 0
    notes: list[str] = []


ROCK = {"place": "Gull Rock", "metres": 38, "notes": ["a tower", "on a rock"]}

PIECES = [json.dumps(ROCK)[at : at + 6] for at in range(0, len(json.dumps(ROCK)), 6)]


class Pages(BaseRetriever):
    """Finds some pages."""

    def __init__(self, count: int, words: int) -> None:
        super().__init__()
        self._count = count
        self._words = words

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        page = "tower " * self._words
        return [NodeWithScore(node=TextNode(text=f"{page} {n}")) for n in range(self._count)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._retrieve(query_bundle)


def engine(llm: Any, *, pages: int = 1, words: int = 5, **options: Any) -> Any:
    """An engine that answers with a Height. Small windows, so that pages need several calls."""
    window = PromptHelper(context_window=1000, num_output=100)
    options = {"output_cls": Height, "prompt_helper": window, **options}
    prompts = {name: options.pop(name) for name in ("prompt_helper",)}
    made: Any = RetrieverQueryEngine.from_args(Pages(pages, words), llm=llm, **options)
    made._response_synthesizer._prompt_helper = prompts["prompt_helper"]
    return made


def asked(given: Any, **options: Any) -> LiveResponse:
    """The response of a sync query."""
    return StreamingQueryEngine(given, **options).query("How high?")


async def aasked(given: Any, **options: Any) -> AsyncLiveResponse:
    """The response of an async query."""
    return await StreamingQueryEngine(given, **options).aquery("How high?")


def of(cls: type[E], response: LiveResponse | AsyncLiveResponse) -> list[E]:
    """The events of a class in a response's log."""
    events = [record.event for record in response.stream.read_sync()]
    return [event for event in events if isinstance(event, cls)]
