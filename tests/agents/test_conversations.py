"""Agents that are talked to more than once: contexts and memories."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_streaming_ext import AgentWorkflow, Context, FunctionAgent
from llama_index_streaming_ext.testing import Turn, gate, text
from llama_index_streaming_ext.testing.script.request import message_text
from tests.support.agents.llm_kinds import LLMs


def talking(llms: LLMs, *answers: str) -> FunctionCallingLLM:
    """An LLM that gives these answers, one a call."""
    return llms([Turn(text(answer)) for answer in answers])


def user_messages(llms: LLMs, llm: LLM, call: int) -> list[str]:
    """Return the messages of people at a call."""
    asked = llms.asked(llm)[call]
    return [message_text(message) for message in asked.messages if message["role"] == "user"]


@pytest.mark.parametrize("kind", ["agent", "workflow"])
async def test_a_reused_context_remembers(llms: LLMs, kind: str) -> None:
    """The turns before are there, on every pydantic (U30)."""
    llm = talking(llms, "Hello Ada.", "You are Ada.", "Ada.")
    agent: Any = FunctionAgent(llm=llm)
    if kind == "workflow":
        agent = AgentWorkflow(agents=[agent])
    ctx = Context(agent)
    await agent.run(user_msg="I am Ada.", ctx=ctx)
    await agent.run(user_msg="Who am I?", ctx=ctx)
    await agent.run("Again?", None, None, ctx)
    assert user_messages(llms, llm, 2) == ["I am Ada.", "Who am I?", "Again?"]


async def test_a_restored_context_remembers(llms: LLMs) -> None:
    """Also through `to_dict` and `from_dict`."""
    llm = talking(llms, "Hello Ada.", "You are Ada.")
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    await agent.run(user_msg="I am Ada.", ctx=ctx)
    await agent.run(user_msg="Who am I?", ctx=Context.from_dict(agent, ctx.to_dict()))
    assert user_messages(llms, llm, 1) == ["I am Ada.", "Who am I?"]


async def test_a_memory_of_ones_own_is_remembered(llms: LLMs) -> None:
    """A memory that was passed once goes on with its context."""
    llm = talking(llms, "Hello Ada.", "You are Ada.")
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    memory = ChatMemoryBuffer.from_defaults(llm=llm)  # pyright: ignore[reportUnknownMemberType]
    await agent.run(user_msg="I am Ada.", ctx=ctx, memory=memory)
    await agent.run(user_msg="Who am I?", ctx=ctx)
    assert user_messages(llms, llm, 1) == ["I am Ada.", "Who am I?"]


async def test_a_memory_survives_a_stop(llms: LLMs) -> None:
    """With a context of its own for each turn, and one memory, the conversation goes on."""
    llm = llms([Turn(text("a", "b"), gate("never")), Turn(text("four"))])
    agent = FunctionAgent(llm=llm)
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    async with agent.run(user_msg="A story, please", memory=memory) as handler:
        async for _ in handler.text_stream():
            break
    assert str(await agent.run(user_msg="What is 2 + 2?", memory=memory)) == "four"
    assert user_messages(llms, llm, 1) == ["A story, please", "What is 2 + 2?"]


async def test_runs_without_a_context_remember_nothing(llms: LLMs) -> None:
    """Each run has a memory of its own, as upstream."""
    llm = talking(llms, "a", "b")
    agent = FunctionAgent(llm=llm)
    await agent.run(user_msg="one")
    await agent.run(user_msg="two")
    assert user_messages(llms, llm, 1) == ["two"]
