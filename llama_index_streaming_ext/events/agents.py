"""Events of agents beside their LLM calls: tools at work, hand-offs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from llama_index_streaming_ext.events.upstream import Event


class ToolProgress(Event):
    """A tool says how far it is (`emit_progress`)."""

    tool_id: str
    """The id of the tool call."""
    tool_name: str
    """The tool."""
    message: str = ""
    """The current activity, as text for people."""
    current: float | None = None
    """The amount done so far, in the unit of `total`; None if it is unknown."""
    total: float | None = None
    """The amount to do in all; None if it is unknown."""
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Whatever else the tool says."""


class ToolOutputDelta(Event):
    """A piece of what a tool gives, as it is made: what a generator tool yields."""

    tool_id: str
    """The id of the tool call."""
    tool_name: str
    """The tool."""
    delta: str
    """The piece, as text."""
    value: Any = None
    """The piece as it was yielded, where it was no str."""


class AgentChanged(Event):
    """An agent handed over to another (`handoff`)."""

    from_agent: str
    """The agent that was at work."""
    to_agent: str
    """The agent that goes on."""
    reason: str = ""
    """Why, in the words of the first."""
