"""Engines whose async methods hold up the event loop."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from llama_index.core.query_engine import CustomQueryEngine

from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.query.engine_copy.blocking import blocks_the_loop
from tests.support.query.core_engines import QUERY_ENGINES, fake
from tests.support.query.query_tools import BlockingLibrary, engine, tool_of


class Custom(CustomQueryEngine):
    """A user's engine that has only a sync method."""

    def custom_query(self, query_str: str) -> str:
        """Name the thread."""
        return threading.current_thread().name


class BlockingCustom(Custom):
    """A user's engine whose async method is a sync one in disguise."""

    async def acustom_query(self, query_str: str) -> str:
        """Name the thread."""
        return self.custom_query(query_str)


@pytest.mark.parametrize(
    ("asked", "blocks"),
    [
        (engine(), False),
        (engine(retriever=BlockingLibrary()), True),
        (Custom(), False),
        (BlockingCustom(), False),
        (QUERY_ENGINES["flare"](fake()), True),
    ],
    ids=["async retriever", "sync retriever", "custom", "blocking custom", "flare"],
)
def test_core_methods_that_block_are_known(asked: Any, blocks: bool) -> None:
    """A user's async method is taken at its word; core asks a custom engine in a thread."""
    assert blocks_the_loop(asked) is blocks


@pytest.mark.parametrize("use_async", [None, False, True])
async def test_the_user_says_how_an_engine_is_asked(use_async: bool | None) -> None:
    """With use_async=False the sync method is called in a thread of the query's own."""
    here = threading.current_thread().name
    adapter = StreamingQueryEngine(BlockingCustom(), use_async=use_async)
    answer = await (await adapter.aquery("where?")).get_response()
    assert (str(answer) == here) == (use_async is not False)


@pytest.mark.parametrize(("of_tool", "in_loop"), [(None, False), (True, False), (False, False)])
async def test_a_tool_asks_as_its_engine_says(of_tool: bool | None, in_loop: bool) -> None:
    """An engine that says use_async=False is asked in a thread by every tool."""
    here = threading.current_thread().name
    adapter = StreamingQueryEngine(BlockingCustom(), use_async=False)
    output = await tool_of(adapter, use_async=of_tool).acall("where?")
    assert (output.content == here) is in_loop
