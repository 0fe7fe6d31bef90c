"""Limits of the number of LLM calls of an agent, and its last answer at the limit."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from llama_index.core.agent.workflow.base_agent import DEFAULT_MAX_ITERATIONS
from workflows import Context

from llama_index_streaming_ext.agents.call_observer import AgentCallObserver
from llama_index_streaming_ext.agents.take_step import AgentSteps
from llama_index_streaming_ext.events import AgentOutput
from llama_index_streaming_ext.stream.origin import current_origin
from llama_index_streaming_ext.upstream.agents import reads_last_answer_as_core_does


async def iterations(ctx: Context[Any]) -> tuple[int, int]:
    """Return the number of answers, the one that has just come included, and its limit."""
    done: int = await ctx.store.get("num_iterations", default=0)
    limit: int = await ctx.store.get("max_iterations", default=DEFAULT_MAX_ITERATIONS)
    return done + 1, limit


async def may_ask_again(ctx: Context[Any]) -> bool:
    """Return True if the LLM may be asked again after the answer that has just come."""
    done, limit = await iterations(ctx)
    return done < limit or await _gives_a_last_word(ctx)


async def gives_its_last_word(ctx: Context[Any], output: AgentOutput) -> bool:
    """Return True if an agent is at its limit and is now asked for its last answer."""
    done, limit = await iterations(ctx)
    return done >= limit and not is_final(output) and await _gives_a_last_word(ctx)


def is_final(output: AgentOutput) -> bool:
    """Return True if an output is the final answer of an agent."""
    return not output.tool_calls and not output.retry_messages


@asynccontextmanager
async def the_last_answer_counts(
    ctx: Context[Any], output: AgentOutput
) -> AsyncGenerator[None, None]:
    """Let core accept an answer that is the last one that may be given (U35).

    Core fails at the n-th answer whatever it is; so it is told that it is an earlier one.
    """
    done, limit = await iterations(ctx)
    if done < limit or not is_final(output):
        yield
        return
    await ctx.store.set("num_iterations", limit - 2)
    try:
        yield
    finally:
        await ctx.store.set("num_iterations", done)


async def site_of_the_last_word(
    ctx: Context[Any], agent: AgentSteps, asks: type
) -> AgentCallObserver:
    """Return the observer of an agent's last answer, which has no scaffolding.

    Args:
        ctx: the context of the step.
        agent: the agent.
        asks: the class that asks: the agent's, or that of its workflow.
    """
    done, _ = await iterations(ctx)
    return AgentCallObserver(
        ctx,
        agent.name,
        done + 1,
        current_origin()._replace(agent=agent.name),
        on_incomplete=agent.on_incomplete,
        max_lead=agent.max_lead,
        splitter=None,
        takes_text=agent.streaming and reads_last_answer_as_core_does(asks),
    )


async def _gives_a_last_word(ctx: Context[Any]) -> bool:
    return await ctx.store.get("early_stopping_method", default="force") == "generate"
