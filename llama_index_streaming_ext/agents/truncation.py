"""Tool calls in whose arguments the model was cut off: they are not run (U23)."""

from __future__ import annotations

from llama_index.core.agent.workflow.workflow_events import AgentOutput
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage

from llama_index_streaming_ext.events import TruncatedToolCall
from llama_index_streaming_ext.stream.deltas import ToolArguments

CUT_OFF = (
    "Your last message was cut off in the middle of the arguments of a tool call, so the tool was "
    "not run. Make the call again, with shorter arguments."
)
"""The message to a model that was cut off."""


def truncated(call: ToolArguments, *, retrying: bool) -> TruncatedToolCall:
    """Return the event of a tool call that is not run.

    Args:
        call: its arguments, as far as they were written.
        retrying: True if the model is asked again.
    """
    text = "".join(call.deltas)
    return TruncatedToolCall(
        tool_id=call.tool_id, tool_name=call.tool_name, arguments=text, retrying=retrying
    )


def without_tool_calls(output: AgentOutput) -> AgentOutput:
    """Return the output of a model without its tool calls."""
    response = output.response
    blocks = [block for block in response.blocks if not isinstance(block, ToolCallBlock)]
    others = {k: v for k, v in response.additional_kwargs.items() if k != "tool_calls"}
    said = ChatMessage(role=response.role, blocks=blocks, additional_kwargs=others)
    return output.model_copy(update={"response": said, "tool_calls": []})
