"""One agent that serves many runs at once: nothing of one gets into another."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from llama_index_streaming_ext import (
    AgentStream,
    AgentWorkflow,
    FunctionAgent,
    LLMCallStarted,
    Record,
    ToolOutputDelta,
    ToolProgress,
    emit_progress,
    forward,
)
from llama_index_streaming_ext.testing import Request, Turn, check_stream, text, tool_call
from llama_index_streaming_ext.testing.script.request import message_text
from tests.support.agents.llm_kinds import LLMs, result_id


def said_by_user(request: Request) -> str:
    """Return the last message of the user."""
    return [message_text(m) for m in request.messages if m.get("role") == "user"][-1]


def has_results(request: Request) -> bool:
    """Return True if tools have been called."""
    return any(result_id(message) for message in request.messages)


def answers(request: Request) -> Turn:
    """Calls two tools for the user, then speaks of nobody else."""
    user = said_by_user(request)
    if has_results(request):
        return Turn(text(*[user] * 5))
    return Turn(text(user), tool_call("work", user=user), tool_call("count", user=user))


async def work(user: str) -> str:
    """Works for a user, here and in a thread."""
    emit_progress(user)
    await asyncio.to_thread(emit_progress, user)
    return user


def count(user: str) -> Iterator[str]:
    """Counts for a user, in a thread."""
    for _ in range(3):
        emit_progress(user)
        yield user


async def test_runs_at_once_know_nothing_of_each_other(llms: LLMs) -> None:
    """Tokens, progress, what tools yield, and the ids of calls stay with their run."""
    agent = FunctionAgent(llm=llms(answers), tools=[work, count])
    team = AgentWorkflow(agents=[agent])
    users = [f"<{number}>" for number in range(10)]
    handlers = [(team if user in users[::2] else agent).run(user_msg=user) for user in users]
    call_ids: list[str] = []
    for user, handler in zip(users, handlers, strict=True):
        assert (await handler.outcome()).text == user * 6
        read = [record async for record in handler.stream.read()]
        assert said(read) == {user, ""}
        call_ids += [r.event.call_id for r in read if isinstance(r.event, LLMCallStarted)]
        await check_stream(handler)
    assert len(set(call_ids)) == len(call_ids) == 2 * len(users)


def said(read: list[Record]) -> set[str]:
    """All that is said in a run's tokens, progress and tool output."""
    return {
        event.message if isinstance(event, ToolProgress) else event.delta
        for event in (record.event for record in read)
        if isinstance(event, AgentStream | ToolProgress | ToolOutputDelta)
    }


async def test_an_agent_may_run_inside_a_tool_of_its_own(llms: LLMs) -> None:
    """The inner run is forwarded into the outer one, and neither is taken for the other."""

    def script(request: Request) -> Turn:
        if said_by_user(request) == "inner":
            return Turn(text("from", " within"))
        if has_results(request):
            return Turn(text("from", " without"))
        return Turn(tool_call("again"))

    async def again() -> str:
        """Asks the agent itself."""
        return str(await forward(agents[0].run(user_msg="inner")))

    agents: list[Any] = [FunctionAgent(llm=llms(script), tools=[again])]
    handler = agents[0].run(user_msg="outer")
    outcome = await handler.outcome()
    assert outcome.text == "from without"
    inner = [r async for r in handler.stream.read(types=AgentStream) if r.origin.run_id]
    assert "".join(record.event.delta for record in inner) == "from within"
    await check_stream(handler)
