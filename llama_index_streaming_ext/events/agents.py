"""What agents do besides asking an LLM: tools at work, hand-offs."""

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
    """What it is doing."""
    current: float | None = None
    """How much is done, in the unit of `total`; None if it is not said."""
    total: float | None = None
    """How much there is to do; None if it is not known."""
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
