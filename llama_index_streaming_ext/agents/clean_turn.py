"""A new turn on a context that was used before.

Core goes on with the turn before if that was broken off: the stopped tool runs again, an orphan
tool call goes out, two calls write one text (U29). The turns before also eat the new turn's time.
Here a message begins a turn of its own: the state stays, and what core keeps of one turn goes.
"""

from __future__ import annotations

from typing import Any, cast

from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow
from workflows import Context, Workflow

from llama_index_streaming_ext.agents.run_memory import at_once
from llama_index_streaming_ext.upstream.contexts import (
    is_before_its_run,
    stored_values,
    take_over,
)

_OF_ONE_TURN = (
    "current_tool_calls",
    "formatted_input_with_state",
    "memory",
    "num_iterations",
    "num_tool_calls",
    "user_msg_str",
)
"""The keys of the store under which core keeps what belongs to one turn. The memory is passed to
each run."""

_KEYS_OF_AGENTS = ("scratchpad_key", "reasoning_key")
"""The fields of agents that say under which key they keep the messages of a turn."""


def begin_anew(agent: Any, ctx: Context[Any]) -> None:
    """Let the next run on a context be a turn of its own.

    Args:
        agent: the agent or the workflow of agents that is run.
        ctx: the context, whose runs have ended, or which was restored from a dict.
    """
    if is_before_its_run(ctx) and not ctx.is_running:
        return  # nothing was broken off, and no time is gone
    try:
        store = ctx.store
    except RuntimeError:
        return  # a runtime whose contexts have no store of their own
    # The run gets it by `memory=`. Here it would be serialised, which core's memories cannot all.
    memory = at_once(store.get("memory", default=None))
    at_once(store.set("memory", None))
    try:
        kept = ctx.to_dict()
    except BaseException:
        at_once(store.set("memory", memory))
        raise
    values = stored_values(kept)
    if values is not None:
        for key in (*_OF_ONE_TURN, *_turn_keys(agent)):
            values.pop(key, None)
    begun = {"version": kept["version"], "state": kept["state"]}
    take_over(ctx, Context.from_dict(cast("Workflow", agent), begun))


def _turn_keys(agent: Any) -> list[str]:
    """Return the keys of the store in which agents keep the messages of a turn."""
    agents = agent.agents.values() if isinstance(agent, CoreAgentWorkflow) else (agent,)
    keys = [getattr(each, field, None) for each in agents for field in _KEYS_OF_AGENTS]
    return [key for key in keys if key]
