"""The single agents: core's classes, whose runs are streams."""

from __future__ import annotations

from typing import Any

from llama_index.core.agent.workflow import CodeActAgent as CoreCodeActAgent
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.agent.workflow import ReActAgent as CoreReActAgent
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.memory import BaseMemory
from pydantic import field_validator

from .memory import fresh_memory
from .runs import AgentRuns
from .tools import expand_tool_specs


class SingleAgent(AgentRuns, BaseWorkflowAgent):
    """What our single agents add to core's."""

    keep_raw: bool = False
    """Keep the provider's raw chunk of every token, not only of the last one of each LLM call."""

    @field_validator("tools", mode="before")
    @classmethod
    def _expand_tool_specs(cls, tools: Any) -> Any:
        return tools if tools is None else expand_tool_specs(tools)

    def default_memory(self) -> BaseMemory:
        """The memory of a run that is given none, as core makes it."""
        return fresh_memory(self.llm)


class FunctionAgent(SingleAgent, CoreFunctionAgent):
    """Core's `FunctionAgent`, whose `run()` returns a `StreamingHandler`."""


class ReActAgent(SingleAgent, CoreReActAgent):
    """Core's `ReActAgent`, whose `run()` returns a `StreamingHandler`."""


class CodeActAgent(SingleAgent, CoreCodeActAgent):
    """Core's `CodeActAgent`, whose `run()` returns a `StreamingHandler`."""
