"""Core's agents, whose runs are streams."""

from __future__ import annotations

from .agents import CodeActAgent, FunctionAgent, ReActAgent
from .multi import AgentWorkflow

__all__ = ["AgentWorkflow", "CodeActAgent", "FunctionAgent", "ReActAgent"]
