"""Events of an LLM call: its start and end, arguments as they are written, problems.

The text of an agent's call is core's `AgentStream`; these stand beside it. All of one call carry
its `call_id`, which is unique in the process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Self, cast

from pydantic import PrivateAttr
from pydantic_core import from_json

from llama_index_streaming_ext.events.upstream import Event
from llama_index_streaming_ext.events.usage import Usage


class LLMCallStarted(Event):
    """An LLM is asked."""

    call_id: str
    """The id of the call."""
    agent: str | None = None
    """The agent that asks, None where it is no agent."""
    iteration: int | None = None
    """The number of the agent's LLM call in this run, from 1; None if no agent makes the call."""
    model: str = ""
    """The name of the model."""
    parent_id: str | None = None
    """In a query: the work that the call is a part of."""
    purpose: str | None = None
    """In a query: what the call is for (`answer`, `synthesize`, `select`, `sub_questions`, ...)."""


class LLMCallFinished(Event):
    """An LLM call has ended, in whatever way."""

    call_id: str
    """The id of the call."""
    finish_reason: str | None = None
    """`stop`, `tool_calls`, `length`, `refusal`, `content_filter`, `truncated` (it just ended),
    `failed`, `cancelled`; None where the provider says nothing."""
    usage: Usage | None = None
    """The tokens that the provider counted, None where it said nothing."""
    ttft: float | None = None
    """Seconds from the request to the first text, thought or argument; None if there was none."""
    seconds: float = 0.0
    """The duration of the call, in seconds."""
    partial: bool = False
    """True if the call was broken off, so that `usage` is not complete."""


class ToolCallDelta(Event):
    """A piece of a tool call's arguments, as the model writes them.

    Joined, the deltas of one `tool_id` are the JSON text that the tool is called with.
    Arguments that a provider gives only as a dict are one delta, when they are complete.
    """

    tool_id: str
    """The id that the provider gave to the tool call."""
    tool_name: str
    """The tool that is going to be called."""
    index: int
    """The place of the call among those that the model makes at once, from 0."""
    delta: str
    """The text that this piece adds to the JSON; the first piece may be empty."""

    _so_far: Callable[[], str] | None = PrivateAttr(default=None)

    @property
    def text(self) -> str:
        """The JSON text up to and with this delta, as far as its log knows it."""
        return self._so_far() if self._so_far is not None else self.delta

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that there are so far; parsed when asked for. Strings may be partial.

        Empty where the model writes no JSON object: `text` has what it writes.
        """
        return partial_arguments(self.text)

    def joined(self, so_far: Callable[[], str]) -> Self:
        """Set the source of the text up to this delta."""
        self._so_far = so_far
        return self


class TruncatedToolCall(Event):
    """The model was cut off in the middle of a tool call's arguments, so the tool is not run."""

    tool_id: str
    """The id of the call that is not run."""
    tool_name: str
    """Its tool."""
    arguments: str
    """The JSON text as far as it was written."""
    retrying: bool
    """True if the model is told of the problem and asked again."""


class Incomplete(Event):
    """An LLM call ended before its answer was whole, or without an answer."""

    call_id: str
    """The id of the call."""
    reason: str
    """`length`, `refusal`, `content_filter`, `truncated` (the stream just ended), `failed`."""
    text: str = ""
    """The text of the answer so far; the text of the refusal if the model refused."""


class NotStreamed(Event):
    """An LLM cannot stream, so its answer comes in one piece."""

    call_id: str
    """The id of the call."""
    model: str = ""
    """The name of the model."""


class Retrying(Event):
    """The retry of an LLM call: text that the agent streamed in this call does not count.

    A user interface takes back what it has shown of the call.
    """

    call_id: str | None = None
    """The id of the call whose text does not count, None where it is not known."""
    agent: str = ""
    """The agent."""
    reason: str = ""
    """The problem, in the words that the model is told."""


class CodeDelta(Event):
    """A piece of the code that a CodeActAgent writes."""

    delta: str
    """The text that this piece adds to the code."""
    agent: str = ""
    """The agent that writes it."""
    tool_id: str = ""
    """The id of the tool call that will run it, if the model closes the code."""


def partial_arguments(text: str) -> dict[str, Any]:
    """Parse what there is of the JSON text of arguments; empty where it is no object."""
    try:
        parsed: object = from_json(text, allow_partial="trailing-strings") if text.strip() else {}
    except (ValueError, TypeError):
        # It takes no lone surrogates: half an emoji, which some models write.
        return arguments_of(text) or {}
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}


def arguments_of(text: str) -> dict[str, Any] | None:
    """Parse the JSON text of whole arguments; None where it is not (yet) a whole object.

    What Python's parser takes is whole, as tools are called with what it makes of it.
    """
    try:
        parsed: object = json.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else None
