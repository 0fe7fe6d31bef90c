"""Core's agents, whose runs are streams."""

from __future__ import annotations

from llama_index_streaming_ext.agents.single import CodeActAgent, FunctionAgent, ReActAgent
from llama_index_streaming_ext.agents.workflow import AgentWorkflow

__all__ = ["AgentWorkflow", "CodeActAgent", "FunctionAgent", "ReActAgent"]
