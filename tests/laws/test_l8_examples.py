"""What the properties of L8 have found, as the smallest examples."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from llama_index_streaming_ext import (
    Context,
    FunctionAgent,
    LLMCallFinished,
    LLMCallStarted,
    StreamingHandler,
    forward,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text, tool_call
from tests.support.laws.laws import everything
from tests.support.laws.stopped import Ledger, check_log
from tests.support.laws.stopped_agents import Note, Tools


def _asking_an_agent() -> Any:
    llm = FakeStreamingLLM([Turn(text("word "), gate("never"))])
    inner = FunctionAgent(name="inner", llm=llm)

    async def ask() -> str:
        """Ask another agent."""
        return str(await forward(inner.run(user_msg="a story")))

    return ask


def _asking_a_query() -> Any:
    llm = FakeStreamingLLM([Turn(text("word "), gate("never"))])
    return Tools(Ledger(), llm).all()["library"]


async def _stopped_within(tool: Any, name: str, **kwargs: Any) -> StreamingHandler:
    """A run that is stopped when an LLM call within its tool has begun."""
    llm = FakeStreamingLLM([Turn(tool_call(name, **kwargs))])
    handler: StreamingHandler = FunctionAgent(llm=llm, tools=[tool]).run(user_msg="ask")
    begun = 0
    async for _ in handler.stream.read(types=LLMCallStarted):
        begun += 1
        if begun == 2:
            break
    await handler.cancel_run()
    return handler


@pytest.mark.parametrize(
    ("make", "name", "kwargs"),
    [(_asking_an_agent, "ask", {}), (_asking_a_query, "library", {"input": "why"})],
    ids=["agent", "query"],
)
async def test_a_call_that_was_forwarded_is_over_in_the_log_of_a_run_that_is_stopped(
    make: Callable[[], Any], name: str, kwargs: dict[str, Any]
) -> None:
    """Its LLMCallFinished says that it was cancelled, and comes from where it has begun."""
    handler = await _stopped_within(make(), name, **kwargs)
    records = await everything(handler.stream)
    check_log(records)
    begun = [record for record in records if isinstance(record.event, LLMCallStarted)]
    over = [record for record in records if isinstance(record.event, LLMCallFinished)]
    assert over[-1].origin == begun[-1].origin
    assert (over[-1].event.finish_reason, over[-1].event.partial) == ("cancelled", True)


async def asks_while_it_is_stopped(ctx: Context) -> str:
    """Tell of an LLM call, as a library that reports late does."""
    try:
        ctx.write_event_to_stream(Note(n=0))
        await asyncio.Event().wait()
    finally:
        ctx.write_event_to_stream(LLMCallStarted(call_id="late"))
        ctx.write_event_to_stream(LLMCallFinished(call_id="late"))
    return "never"


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.filterwarnings("ignore:WorkflowHandler.cancel:DeprecationWarning")
async def test_a_call_that_begins_when_its_run_is_stopped_does_not_end_without_a_beginning(
    hard: bool,
) -> None:
    """It stands in the log as a whole, or not at all."""
    llm = FakeStreamingLLM([Turn(tool_call("asks_while_it_is_stopped"))])
    handler: StreamingHandler = FunctionAgent(llm=llm, tools=[asks_while_it_is_stopped]).run(
        user_msg="ask"
    )
    async for _ in handler.stream.read(types=Note):
        break
    if hard:
        handler.cancel()
    else:
        await handler.cancel_run()
    check_log(await everything(handler.stream))
