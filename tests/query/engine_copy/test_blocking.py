"""Whether an engine's async face holds up the event loop."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.query_engine import CustomQueryEngine

from llama_index_streaming_ext.query.engine_copy.blocking import blocks_the_loop
from tests.support.query.query_tools import BlockingLibrary, engine


class Custom(CustomQueryEngine):
    """A user's engine that has only a sync method."""

    def custom_query(self, query_str: str) -> str:
        """Answer."""
        return "yes"


class BlockingCustom(Custom):
    """A user's engine whose async method is a sync one in disguise."""

    async def acustom_query(self, query_str: str) -> str:
        """Answer."""
        return self.custom_query(query_str)


@pytest.mark.parametrize(
    ("asked", "blocks"),
    [
        (engine(), False),
        (engine(retriever=BlockingLibrary()), True),
        (Custom(), False),
        (BlockingCustom(), True),
    ],
    ids=["async retriever", "sync retriever", "custom", "blocking custom"],
)
def test_an_engine_blocks_if_a_part_of_it_never_waits(asked: Any, blocks: bool) -> None:
    """An async method without a single `await` blocks; core asks a custom engine in a thread."""
    assert blocks_the_loop(asked) is blocks
