"""All results of the tool calls that a model has made at once are in its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.multi_agent_workflow import handoff
from llama_index.core.memory import BaseMemory

from llama_index_streaming_ext.events import ToolCallResult

HANDOFF = handoff.__name__
"""The name of the tool by which an agent hands over to another."""


class WholeHistory(BaseWorkflowAgent):
    """Keeps the results of all tool calls. It stands before core's agent class.

    Core's agents stop at the first tool that returns directly, and forget the results of those
    that were called beside it; the next request then has tool calls without a result, which
    providers refuse.
    """

    async def handle_tool_call_results(
        self, ctx: Any, results: list[ToolCallResult], memory: BaseMemory
    ) -> None:
        """Add results to the history, as core does, but all of them.

        Args:
            ctx: the context of the step.
            results: the results, in the order in which they came.
            memory: the memory of the run.
        """
        await super().handle_tool_call_results(ctx, in_order_of_history(results), memory)


def direct_result(results: Sequence[ToolCallResult]) -> ToolCallResult | None:
    """The result that is the answer of the turn, None where the agent goes on.

    Core takes the first that returns directly and is no error; a hand-off is such a one, too.
    """
    for result in results:
        if result.return_direct and not result.tool_output.is_error:
            return None if result.tool_name == HANDOFF else result
    return None


def in_order_of_history(results: Sequence[ToolCallResult]) -> list[ToolCallResult]:
    """The results as core's agents are to get them: what ends the turn is the last.

    The others do not return directly, for core would stop there.
    """
    last = direct_result(results)
    others = [
        result
        if not result.return_direct or result.tool_name == HANDOFF
        else result.model_copy(update={"return_direct": False})
        for result in results
        if result is not last
    ]
    return others if last is None else [*others, last]
