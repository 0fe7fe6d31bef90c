"""Tool calls of agents: core's own code, with the origin of each call and each call once."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.tools import AsyncBaseTool
from workflows import Context, step

from llama_index_streaming_ext.agents.tools.generators import streaming_tool
from llama_index_streaming_ext.events import (
    AgentOutput,
    AgentSetup,
    Event,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.llm.open_streams import open_streams
from llama_index_streaming_ext.run.progress import ToolAtWork, current_tool, working_on
from llama_index_streaming_ext.run.run import Run, current_run
from llama_index_streaming_ext.run.stream_writer import stream_writer
from llama_index_streaming_ext.stream.origin import Origin, coming_from, current_origin, running_id

# The ids of the LLM calls, by the ids of the tool calls that they asked for.
_asked: weakref.WeakKeyDictionary[Run, dict[str, str]] = weakref.WeakKeyDictionary()
# By the identity of the event: upstream passes the same one each time that a step is run again.
_announced: weakref.WeakKeyDictionary[Run, dict[int, ToolCall]] = weakref.WeakKeyDictionary()


class ToolCalls:
    """Says of each tool call where it comes from. It stands before an agent's class of core's."""

    @step
    async def run_agent_step(self, ctx: Context[Any], ev: AgentSetup) -> AgentOutput:
        """Ask the agent once, as core does, and remember which LLM call asked for which tools."""
        output: AgentOutput = await cast("Any", super()).run_agent_step(ctx, ev)
        # The agent's step has said where its output comes from.
        remember_who_asked(output, current_origin())
        return output

    @step
    async def call_tool(self, ctx: Context[Any], ev: ToolCall) -> ToolCallResult:
        """Call a tool, as core does; its records carry the agent, the call and its start.

        What it returns is core's `ToolCallResult` itself: of a subclass the run would hang (U27).
        """
        origin = current_origin()._replace(
            agent=await self._agent_at_work(ctx),
            call_id=who_asked(ev.tool_id),
            tool_id=ev.tool_id,
            started=time.time(),
        )
        tool = ToolAtWork(ev.tool_id, ev.tool_name, running_id(), origin, stream_writer(ctx))
        with coming_from(origin), working_on(tool), open_streams() as streams:
            # Core's @step is untyped.
            result: ToolCallResult = await cast("Any", super()).call_tool(ctx, ev)
            if result.tool_output.is_error:
                await streams.aclose()
            return result

    async def get_tools(self, *args: Any, **kwargs: Any) -> Sequence[AsyncBaseTool]:
        """The tools, as core gives them; the one that is being called streams what it yields.

        Args:
            *args: as core's.
            **kwargs: as core's.
        """
        tools: Sequence[AsyncBaseTool] = await cast("Any", super()).get_tools(*args, **kwargs)
        called = current_tool()
        if called is None:
            return tools
        return [
            streaming_tool(tool, called) if tool.metadata.name == called.tool_name else tool
            for tool in tools
        ]

    async def _agent_at_work(self, ctx: Context[Any]) -> str | None:
        if isinstance(self, BaseWorkflowAgent):
            return self.name
        return await ctx.store.get("current_agent_name", default=None)


def remember_who_asked(output: AgentOutput, origin: Origin) -> None:
    """Keep in mind which LLM call of the current run asked for the tools in an agent's output.

    Args:
        output: what the agent made of the LLM's answer.
        origin: where the answer comes from.
    """
    run = current_run()
    if run is not None and origin.call_id is not None:
        # Some models give the same id again later: the last one who asked is the one.
        asked = _asked.setdefault(run, {})
        asked.update((tool.tool_id, origin.call_id) for tool in output.tool_calls)


def who_asked(tool_id: str) -> str | None:
    """Return the id of the LLM call that asked for a tool call of this run; None if unknown."""
    run = current_run()
    return _asked.get(run, {}).get(tool_id) if run is not None else None


@contextmanager
def announced_once(
    run: Run | None, call: ToolCall
) -> Generator[Callable[[Event], bool], None, None]:
    """Stream a tool call once, however often its step is begun because it waits for an event (U34).

    In a context that was serialised and goes on in a new run, the call is streamed again: the new
    run has a log of its own, and each result in it has its call (L4).

    Args:
        run: the run, None where it is none of ours.
        call: the call.

    Yields:
        A function that returns False for this very call when it comes again.
    """
    calls = _announced.setdefault(run, {}) if run is not None else {}

    def is_new(event: Event) -> bool:
        if type(event) is not ToolCall or event.tool_id != call.tool_id:
            return True
        if id(call) in calls:
            return False
        calls[id(call)] = call
        return True

    yield is_new
    # It has a result: the same id may be used for another call.
    calls.pop(id(call), None)
