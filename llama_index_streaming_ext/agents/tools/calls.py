"""How our agents call a tool: core's own code, which is told for which call it works."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.tools import AsyncBaseTool
from workflows import Context, step

from llama_index_streaming_ext.agents.tools.asked_by import remember_who_asked, who_asked
from llama_index_streaming_ext.agents.tools.generators import streaming_tool
from llama_index_streaming_ext.events import AgentOutput, AgentSetup, ToolCall, ToolCallResult
from llama_index_streaming_ext.llm.open_streams import open_streams
from llama_index_streaming_ext.run.progress import ToolAtWork, current_tool, working_on
from llama_index_streaming_ext.run.stream_writer import stream_writer
from llama_index_streaming_ext.stream.origin import coming_from, current_origin, running_id


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
