"""L8 over real HTTP: the server sees the client go, wherever the real OpenAI class is stopped."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext import AgentStream, FunctionAgent, LLMCallFinished, StreamingHandler
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, text, tool_call
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.laws.laws import PATIENCE, everything, examples
from tests.support.laws.stopped import check_log
from tests.support.laws.stops import (
    When,
    cancel_hard,
    cancel_run,
    leave,
    leave_by_cancel,
    leave_by_error,
)
from tests.support.provider_llms import DIALECTS, real

WORDS = 40
"""How many words the answer has; behind them it would go on for ever."""
WAYS = [cancel_run, cancel_hard, leave, leave_by_cancel, leave_by_error]


async def now() -> str:
    """The time."""
    return "noon"


async def words_read(handler: StreamingHandler, count: int) -> None:
    """Read so many words."""
    async for record in handler.stream.read(types=AgentStream):
        count -= record.event.delta == "word "
        if count <= 0:
            return


async def check_stopped(fake: FakeOpenAI, stop: Any, dialect: Dialect, at: int) -> None:
    """Ask, read some words, stop, and see what the server has seen."""
    handler = FunctionAgent(llm=real(fake, dialect), tools=[now]).run(user_msg="a story")
    await words_read(handler, at)
    await stop(handler, When(0, 0))
    assert (await handler.outcome()).status == "cancelled"
    answer = fake.requests[-1]
    assert await answer.await_closed(PATIENCE)
    assert answer.ended_by == "client"
    sent, asked = answer.bytes_sent, len(fake.requests)
    # All that the server has left to say may go now, and nobody takes it.
    fake.open(f"word {at}")
    fake.open("rest")
    records = await everything(handler.stream)
    check_log(records)
    ends = [r.event.finish_reason for r in records if isinstance(r.event, LLMCallFinished)]
    assert ends == ["tool_calls", "cancelled"][-asked:]
    assert (answer.bytes_sent, len(fake.requests)) == (sent, asked)


@examples(12)
@given(
    stop=st.sampled_from(WAYS),
    dialect=st.sampled_from(DIALECTS),
    at=st.integers(1, WORDS),
    after_a_tool=st.booleans(),
)
def test_the_server_sees_the_client_go(
    stop: Any, dialect: Dialect, at: int, after_a_tool: bool
) -> None:
    """It sends no more than what was read, since it holds there, and is closed upon."""
    said = [text(*["word "] * at), gate(f"word {at}"), text(*["word "] * (WORDS - at))]
    first = [Turn(tool_call("now"))] if after_a_tool else []
    fake = FakeOpenAI([*first, Turn(*said, gate("rest"))])
    with fake.serve():
        asyncio.run(check_stopped(fake, stop, dialect, at))
