"""Keeping an LLM's chunks small: the log holds deltas, readers get whole `AgentStream`s.

`AgentStream.response` is the sum of the deltas of its LLM call (U21), so keeping it per token
costs quadratic memory. A `Token` keeps where its delta stands in its `Call`; the response is put
together when the token is read.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .events import AgentStream, Event
from .usage import Usage, says_the_end, usage_of

if TYPE_CHECKING:
    from llama_index.core.tools import ToolSelection

logger = logging.getLogger("llama_index_streaming_ext")

E = TypeVar("E", bound=Event)

# What an AgentStream has.
FIELDS = frozenset(AgentStream.model_fields)

# Agents that run side by side under one name: that many of their calls are told apart.
_OPEN_CALLS = 8


class Call:
    """The text of one LLM call, as its chunks brought it.

    Attributes:
        agent: the name of the agent that made the call.
        first: the response that the first chunk said (its delta, unless the LLM breaks L3).
        deltas: the delta of every chunk.
        last: the response that the newest chunk said; empty once the call is over.
        tools: the tool calls that the newest chunk said.
        built: the index of the token that was last read, and the response it got.
        newest: the newest token, while it may turn out to be the last one of the call.
        pending_raw: the raw chunk of `newest`, where only the end of the call says it is kept.
    """

    __slots__ = (
        "agent",
        "built",
        "deltas",
        "first",
        "last",
        "newest",
        "pending_raw",
        "tools",
    )

    def __init__(self, agent: str, response: str) -> None:
        self.agent = agent
        self.first = response
        self.last = ""
        self.deltas: list[str] = []
        self.tools: list[ToolSelection] = []
        self.built = (-1, "")
        self.newest: Token | None = None
        self.pending_raw: Any = None

    def goes_on_with(self, delta: str, response: str) -> bool:
        """Whether a chunk that says `response` is the next one of this call (L3)."""
        last = self.last
        return (
            len(response) == len(last) + len(delta)
            and response.endswith(delta)
            and response.startswith(last)
        )

    def response(self, index: int) -> str:
        """What the chunk at `index` said as its response."""
        at, text = self.built
        if index == at:
            return text
        if index == at + 1 and at >= 0:
            text += self.deltas[index]
        else:
            text = self.first + "".join(self.deltas[1 : index + 1])
        self.built = (index, text)
        return text


class Extras(NamedTuple):
    """What few chunks carry besides their delta."""

    thinking: str | None
    tools: list[ToolSelection]
    raw: Any
    usage: Usage | None
    data: dict[str, Any]


class Token:
    """The compact entry of one `AgentStream` in a log.

    Attributes:
        ts: Unix seconds.
        call: the LLM call that it is a chunk of.
        index: its place in that call, from 0.
        extras: what it carries besides its delta, None where it carries nothing.
    """

    __slots__ = ("call", "extras", "index", "ts")

    def __init__(self, ts: float, call: Call, index: int, extras: Extras | None) -> None:
        self.ts = ts
        self.call = call
        self.index = index
        self.extras = extras

    @property
    def delta(self) -> str:
        """The text that this chunk added."""
        return self.call.deltas[self.index]

    def event(self) -> AgentStream:
        """The event that was written, but for `raw` where it is not kept."""
        call, extras = self.call, self.extras
        return _agent_stream(self.delta, call.response(self.index), call.agent, extras)


class Compactor:
    """Turns the AgentStreams of one run into tokens.

    Args:
        keep_raw: keep the raw chunk of every token. By default it is kept of those that are known
            to end their call, and of the last one where that shows only when the call is over.
    """

    def __init__(self, *, keep_raw: bool = False) -> None:
        self._keep_raw = keep_raw
        self._open: dict[str, list[Call]] = {}

    def token(self, event: AgentStream, ts: float) -> Token:
        """The compact entry of an event."""
        fields = event.__dict__
        delta: str = fields["delta"]
        call = self._call(fields["current_agent_name"], delta, fields["response"])
        call.last = fields["response"]
        call.deltas.append(delta)
        index = len(call.deltas) - 1
        token = Token(ts, call, index, None)
        raw, tools, thinking = fields["raw"], fields["tool_calls"], fields["thinking_delta"]
        data = _data_of(event)
        if raw is not None or tools or thinking is not None or data:
            token.extras = self._extras(call, raw, tools, thinking, data)
        call.newest = token
        return token

    def calls_over(self, agent: str) -> None:
        """The LLM calls of an agent have ended: what only their last chunk keeps is kept now."""
        for call in self._open.pop(agent, ()):
            _end(call)

    def run_over(self) -> None:
        """The run has ended, and all its calls with it."""
        for agent in list(self._open):
            self.calls_over(agent)

    def _call(self, agent: str, delta: str, response: str) -> Call:
        """The open call that a chunk belongs to, else a new one."""
        calls = self._open.setdefault(agent, [])
        for call in reversed(calls):
            if call.goes_on_with(delta, response):
                return call
        call = Call(agent, response)
        calls.append(call)
        if len(calls) > _OPEN_CALLS:
            _end(calls.pop(0))
        return call

    def _extras(
        self,
        call: Call,
        raw: Any,
        tools: list[ToolSelection],
        thinking: str | None,
        data: dict[str, Any],
    ) -> Extras | None:
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
        return Extras(thinking, tools, raw, usage, dict(data))


def is_whole(event: AgentStream) -> bool:
    """Whether a chunk has all that it needs; one made without validation may not."""
    fields = event.__dict__
    return (
        fields.keys() >= FIELDS and type(fields["delta"]) is str and type(fields["response"]) is str
    )


def shallow_copy(event: E) -> E:
    """A copy of an event whose own fields can be set without changing the other (U3).

    What cannot be copied is given back as it is: not an event at all (upstream streams whatever it
    is given), or one whose class forbids it.
    """
    if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance]
        return event
    if type(event) is AgentStream:
        return _instance(dict(event.__dict__), dict(_data_of(event)))  # pyright: ignore[reportReturnType] # E is AgentStream
    try:
        copy = event.model_copy()
    except Exception:
        logger.debug("A %s cannot be copied; readers share it", type(event), exc_info=True)
        return event
    private = copy.__pydantic_private__
    if private is not None:
        # model_copy() shares the dynamic attributes.
        private["_data"] = dict(private["_data"])
    return copy


def _data_of(event: Event) -> dict[str, Any]:
    """The dynamic attributes of an event. `event.to_dict()` gives the same, ten times slower."""
    private = event.__pydantic_private__
    return private["_data"] if private else {}


def _end(call: Call) -> None:
    token, raw = call.newest, call.pending_raw
    if token is not None and raw is not None:
        kept = token.extras or Extras(None, [], None, None, {})
        token.extras = kept._replace(raw=raw)
    call.last, call.newest, call.pending_raw, call.tools = "", None, None, []


_set = object.__setattr__


def _agent_stream(
    delta: str, response: str, agent: str, extras: Extras | None = None
) -> AgentStream:
    """The event of a token."""
    if extras is None:
        tools, raw, thinking, data = [], None, None, {}
    else:
        tools, raw, thinking = list(extras.tools), extras.raw, extras.thinking
        data = dict(extras.data)
    fields: dict[str, Any] = {
        "delta": delta,
        "response": response,
        "current_agent_name": agent,
        "tool_calls": tools,
        "raw": raw,
        "thinking_delta": thinking,
    }
    return _instance(fields, data)


def _instance(fields: dict[str, Any], data: dict[str, Any]) -> AgentStream:
    """An `AgentStream` of values that were validated before, at a fifth of the cost.

    This is what `BaseModel.model_construct` does, without its loop over the fields.
    `tests/upstream/test_agent_stream_layout.py` tells the day an instance is made otherwise.
    """
    event = AgentStream.__new__(AgentStream)
    _set(event, "__dict__", fields)
    _set(event, "__pydantic_fields_set__", set(FIELDS))
    _set(event, "__pydantic_extra__", None)
    _set(event, "__pydantic_private__", {"_data": data})
    return event
