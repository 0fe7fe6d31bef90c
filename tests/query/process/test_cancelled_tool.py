"""A cancelled agent stops the query of its tool at the server."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportDeprecated=false

from __future__ import annotations

from typing import Any

import pytest

from llama_index_streaming_ext import (
    ToolOutputDelta,
)
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    gate,
    text,
    wait,
)
from tests.support.query.query_tools import (
    FACES,
    engine,
    running,
    tool_of,
)


@pytest.mark.parametrize("use_async", FACES)
@pytest.mark.parametrize("stalled", [False, True])
async def test_cancelling_the_agent_stops_the_query(use_async: bool, stalled: bool) -> None:
    """The provider sees the query's stream closed, also while it has nothing to send (L8)."""
    parts: list[Any] = [text("It "), gate("never")] if stalled else [text("It "), wait(0.01)] * 6000
    fake = FakeOpenAI([Turn(*parts)])
    with fake.serve():
        handler = running(tool_of(engine(fake.llm()), use_async))
        async for event in handler.stream_events():
            if isinstance(event, ToolOutputDelta):
                break
        await handler.cancel_run()
        await fake.requests[0].await_closed(timeout=120)
        assert fake.requests[0].ended_by == "client"
        fake.open("never") if stalled else None
    assert (await handler.outcome()).status == "cancelled"
