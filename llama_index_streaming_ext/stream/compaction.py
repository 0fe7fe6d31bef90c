"""Compaction: the LLM call of an `AgentStream`, and the token that is kept of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from llama_index_streaming_ext.events import AgentStream, Event
from llama_index_streaming_ext.events.usage import says_the_end, usage_of
from llama_index_streaming_ext.stream.deltas import (
    FIELDS,
    AgentText,
    DeltaExtras,
    Token,
    copy_of_token_event,
)
from llama_index_streaming_ext.stream.origin import NOWHERE, Origin
from llama_index_streaming_ext.upstream.event_data import dynamic_attributes, set_dynamic_attributes

if TYPE_CHECKING:
    from llama_index.core.tools import ToolSelection

logger = logging.getLogger("llama_index_streaming_ext")

E = TypeVar("E", bound=Event)

# Agents that run side by side under one name: that many of their calls are told apart.
_OPEN_CALLS = 8


class Compactor:
    """Compactor of the AgentStreams of one run into tokens.

    Args:
        keep_raw: keep the raw chunk of every token. By default it is kept of those that are known
            to end their call, and of the last one where that shows only when the call is over.
    """

    def __init__(self, *, keep_raw: bool = False) -> None:
        self._keep_raw = keep_raw
        self._open: dict[str, list[AgentText]] = {}

    def token(self, event: AgentStream, ts: float, origin: Origin = NOWHERE) -> Token:
        """Return the compact entry of an event."""
        fields = event.__dict__
        delta: str = fields["delta"]
        call = self._call(fields["current_agent_name"], delta, fields["response"], origin)
        call.last = fields["response"]
        token = call.next(ts, delta)
        raw, tools, thinking = fields["raw"], fields["tool_calls"], fields["thinking_delta"]
        data = dynamic_attributes(event)
        if raw is not None or tools or thinking is not None or data:
            token.extras = self._extras(call, raw, tools, thinking, data)
        call.newest = token
        return token

    def calls_over(self, agent: str) -> None:
        """Close the open LLM calls of an agent: the values of their last chunk are kept now."""
        for call in self._open.pop(agent, ()):
            _end(call)

    def run_over(self) -> None:
        """Close all open LLM calls, as the run has ended."""
        for agent in list(self._open):
            self.calls_over(agent)

    def _call(self, agent: str, delta: str, response: str, origin: Origin) -> AgentText:
        """Return the open call that a chunk belongs to, else a new one."""
        calls = self._open.setdefault(agent, [])
        for call in reversed(calls):
            if call.goes_on_with(delta, response) and call.origin == origin:
                return call
        call = AgentText(agent, response, origin)
        calls.append(call)
        if len(calls) > _OPEN_CALLS:
            _end(calls.pop(0))
        return call

    def _extras(
        self,
        call: AgentText,
        raw: Any,
        tools: list[ToolSelection],
        thinking: str | None,
        data: dict[str, Any],
    ) -> DeltaExtras | None:
        usage = None
        if raw is not None:
            usage = usage_of(raw)
            if not self._keep_raw and not says_the_end(raw):
                # Only the end of the call can tell whether this chunk is its last one.
                call.pending_raw, raw = raw, None
            else:
                call.pending_raw = None
        if tools:
            # Growing arguments parse to the same value for many chunks (U22): keep it once.
            tools = call.tools if tools == call.tools else list(tools)
            call.tools = tools
        if raw is None and usage is None and not tools and thinking is None and not data:
            return None
        return DeltaExtras(thinking, tools, raw, usage, dict(data))


def is_whole(event: AgentStream) -> bool:
    """Return True if a chunk has all of its fields; one made without validation may not."""
    fields = event.__dict__
    return (
        fields.keys() >= FIELDS and type(fields["delta"]) is str and type(fields["response"]) is str
    )


def shallow_copy(event: E) -> E:
    """Return a copy of an event whose fields can be set without a change to the original.

    What cannot be copied is given back as it is: not an event at all (upstream streams whatever it
    is given), or one whose class forbids it.
    """
    if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance]
        return event
    if type(event) is AgentStream:
        return copy_of_token_event(event)  # pyright: ignore[reportReturnType] # E is AgentStream
    try:
        copy = event.model_copy()
    except Exception:
        logger.debug("A %s cannot be copied; readers share it", type(event), exc_info=True)
        return event
    # model_copy() shares the dynamic attributes.
    set_dynamic_attributes(copy, dict(dynamic_attributes(copy)))
    return copy


def _end(call: AgentText) -> None:
    token, raw = call.newest, call.pending_raw
    if token is not None and raw is not None:
        kept = token.extras or DeltaExtras()
        token.extras = kept._replace(raw=raw)
    call.last, call.newest, call.pending_raw, call.tools = "", None, None, []
