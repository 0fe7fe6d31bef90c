"""A context of core's holds all that it does in one private attribute (U29)."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import pytest
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent

from llama_index_streaming_ext import Context
from llama_index_streaming_ext.testing import FakeStreamingLLM
from llama_index_streaming_ext.upstream.contexts import (
    is_before_its_run,
    stored_values,
    take_over,
)


@pytest.mark.filterwarnings("ignore::workflows.context.state_store.UnserializableKeyWarning")
async def test_u29_a_context_has_another_face_once_it_runs() -> None:
    """Only a new or a restored context is one before its run."""
    agent = CoreFunctionAgent(llm=FakeStreamingLLM("Hello"))
    ctx = Context(agent)
    assert is_before_its_run(ctx)
    await agent.run(user_msg="Hi", ctx=ctx)
    assert not is_before_its_run(ctx)
    assert is_before_its_run(Context.from_dict(agent, ctx.to_dict()))


async def test_u29_a_context_can_take_over_another() -> None:
    """With its face, a context has the store of the other one."""
    agent = CoreFunctionAgent(llm=FakeStreamingLLM("Hello"))
    one, other = Context(agent), Context(agent)
    await other.store.set("key", "value")
    take_over(one, other)
    assert await one.store.get("key") == "value"


async def test_the_values_of_a_store_stand_in_its_snapshot() -> None:
    """The snapshot of a context has one entry a key."""
    agent = CoreFunctionAgent(llm=FakeStreamingLLM("Hello"))
    ctx = Context(agent)
    await ctx.store.set("key", "value")
    values = stored_values(ctx.to_dict())
    assert values is not None
    assert "key" in values
