"""Deltas in a log: kept once, and put together to whole events when they are read.

`AgentStream.response` is the sum of the deltas of its LLM call (U21), so keeping it per token
costs quadratic memory. A `Token` keeps where its delta stands in its `Series`; the event is made
when the token is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from llama_index_streaming_ext.events import (
    AgentStream,
    AnswerDelta,
    Event,
    LLMCallDelta,
    ToolCallDelta,
)
from llama_index_streaming_ext.events.usage import Usage
from llama_index_streaming_ext.stream.origin import NOWHERE, Origin
from llama_index_streaming_ext.upstream.event_data import DYNAMIC, dynamic_attributes

if TYPE_CHECKING:
    from llama_index.core.tools import ToolSelection

E = TypeVar("E", bound=Event)

# What an AgentStream has.
FIELDS = frozenset(AgentStream.model_fields)


class DeltaExtras(NamedTuple):
    """Values that few chunks have besides their delta."""

    thinking: str | None = None
    tools: list[ToolSelection] = []  # noqa: RUF012 # a NamedTuple's default; never changed
    raw: Any = None
    usage: Usage | None = None
    data: dict[str, Any] = {}  # noqa: RUF012


class DeltaSeries:
    """Deltas that belong together, and the event of each one.

    Attributes:
        event_class: what its tokens are read as.
        deltas: the deltas.
        origin: where they come from.
    """

    __slots__ = ("deltas", "origin")

    event_class: ClassVar[type[Event]]

    def __init__(self, origin: Origin = NOWHERE) -> None:
        self.deltas: list[str] = []
        self.origin = origin

    def event(self, index: int, extras: DeltaExtras | None) -> Event:
        """Return the event of the delta at `index`."""
        raise NotImplementedError

    def next(self, ts: float, delta: str, extras: DeltaExtras | None = None) -> Token:
        """Take in the next delta.

        Args:
            ts: Unix seconds.
            delta: the delta.
            extras: what it carries besides.
        """
        deltas = self.deltas
        deltas.append(delta)
        return Token(ts, self, len(deltas) - 1, extras)


class Token:
    """The compact entry of one delta in a log.

    Attributes:
        ts: Unix seconds.
        series: what it is a delta of.
        index: its place there, from 0.
        extras: what it carries besides its delta, None where it carries nothing.
    """

    __slots__ = ("extras", "index", "series", "ts")

    def __init__(
        self, ts: float, series: DeltaSeries, index: int, extras: DeltaExtras | None
    ) -> None:
        self.ts = ts
        self.series = series
        self.index = index
        self.extras = extras

    @property
    def delta(self) -> str:
        """The text that it adds."""
        return self.series.deltas[self.index]

    def event(self) -> Event:
        """Return the event that was written, without `raw` if that is not kept."""
        return self.series.event(self.index, self.extras)


class AgentText(DeltaSeries):
    """The text of one LLM call of an agent, as its chunks brought it.

    Attributes:
        agent: the name of the agent that made the call.
        first: the response that the first chunk said (its delta, unless the LLM breaks L3).
        last: the response that the newest chunk said; empty once the call is over.
        tools: the tool calls that the newest chunk said.
        newest: the newest token, while it may turn out to be the last one of the call.
        pending_raw: the raw chunk of `newest`, where only the end of the call says it is kept.
    """

    __slots__ = ("agent", "built", "first", "last", "newest", "pending_raw", "tools")

    event_class = AgentStream

    def __init__(self, agent: str, response: str | None = None, origin: Origin = NOWHERE) -> None:
        super().__init__(origin)
        self.agent = agent
        self.first = response
        self.last = ""
        self.tools: list[ToolSelection] = []
        # The index of the token that was last read, and the response it got.
        self.built = (-1, "")
        self.newest: Token | None = None
        self.pending_raw: Any = None

    def goes_on_with(self, delta: str, response: str) -> bool:
        """Return True if a chunk with this `response` is the next one of this call (L3)."""
        last = self.last
        return (
            len(response) == len(last) + len(delta)
            and response.endswith(delta)
            and response.startswith(last)
        )

    def response(self, index: int) -> str:
        """Return the `response` of the chunk at `index`."""
        at, text = self.built
        if index == at:
            return text
        if index == at + 1 and at >= 0:
            text += self.deltas[index]
        else:
            first = self.deltas[0] if self.first is None else self.first
            text = first + "".join(self.deltas[1 : index + 1])
        self.built = (index, text)
        return text

    def event(self, index: int, extras: DeltaExtras | None) -> AgentStream:
        """Return the chunk at `index`."""
        return agent_stream(self.deltas[index], self.response(index), self.agent, extras)


class _UpTo(NamedTuple):
    """The text up to a delta. Equal for the same delta, so that its events are equal too."""

    deltas: list[str]
    last: int

    def __call__(self) -> str:
        return "".join(self.deltas[: self.last + 1])


class ToolArguments(DeltaSeries):
    """The arguments of one tool call, as the model writes them.

    Attributes:
        tool_id: the id that the provider gave to the call.
        tool_name: the tool.
        position: its place among the calls that are made at once, from 0.
    """

    __slots__ = ("position", "tool_id", "tool_name")

    event_class = ToolCallDelta

    def __init__(
        self, tool_id: str, tool_name: str, position: int, origin: Origin = NOWHERE
    ) -> None:
        super().__init__(origin)
        self.tool_id = tool_id
        self.tool_name = tool_name
        self.position = position

    def event(self, index: int, extras: DeltaExtras | None) -> ToolCallDelta:
        """Return the event of the piece at `index`."""
        fields = {
            "tool_id": self.tool_id,
            "tool_name": self.tool_name,
            "index": self.position,
            "delta": self.deltas[index],
        }
        event = _instance(ToolCallDelta, fields, {})
        return event.joined(_UpTo(self.deltas, index))


class AnswerText(DeltaSeries):
    """The answer of a query, as it comes.

    Attributes:
        call_id: the LLM call whose words it is, or else the query. It must not change once there
            are deltas: each reader is to see the same.
        parent_id: the work that this is a part of.
    """

    __slots__ = ("call_id", "parent_id")

    event_class = AnswerDelta

    def __init__(
        self, call_id: str, parent_id: str | None = None, origin: Origin = NOWHERE
    ) -> None:
        super().__init__(origin)
        self.call_id = call_id
        self.parent_id = parent_id

    def event(self, index: int, extras: DeltaExtras | None) -> AnswerDelta:
        """Return the event of the piece at `index`."""
        delta = self.deltas[index]
        fields = {"call_id": self.call_id, "parent_id": self.parent_id, "delta": delta}
        return _instance(AnswerDelta, fields, {})


class InnerCallText(DeltaSeries):
    """The text of an LLM call that is not the answer's.

    Attributes:
        call_id: the id of the call.
        parent_id: the work that it is a part of.
        purpose: what it is for.
    """

    __slots__ = ("call_id", "parent_id", "purpose")

    event_class = LLMCallDelta

    def __init__(
        self, call_id: str, parent_id: str | None, purpose: str, origin: Origin = NOWHERE
    ) -> None:
        super().__init__(origin)
        self.call_id = call_id
        self.parent_id = parent_id
        self.purpose = purpose

    def event(self, index: int, extras: DeltaExtras | None) -> LLMCallDelta:
        """Return the event of the piece at `index`."""
        fields = {
            "call_id": self.call_id,
            "parent_id": self.parent_id,
            "purpose": self.purpose,
            "delta": self.deltas[index],
        }
        return _instance(LLMCallDelta, fields, {})


def copy_of_token_event(event: AgentStream) -> AgentStream:
    """Return a shallow copy of an AgentStream with its dynamic attributes."""
    return _instance(AgentStream, dict(event.__dict__), dict(dynamic_attributes(event)))


def agent_stream(
    delta: str, response: str, agent: str, extras: DeltaExtras | None = None
) -> AgentStream:
    """Return an AgentStream of values that need no validation."""
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
    return _instance(AgentStream, fields, data)


_set = object.__setattr__


def _instance(cls: type[E], fields: dict[str, Any], data: dict[str, Any]) -> E:
    """Return an event of values that were validated before, at a fifth of the cost.

    This is what `BaseModel.model_construct` does, without its loop over the fields.
    `tests/upstream/test_agent_stream_layout.py` tells the day an instance is made otherwise.
    """
    event = cls.__new__(cls)
    _set(event, "__dict__", fields)
    _set(event, "__pydantic_fields_set__", set(fields))
    _set(event, "__pydantic_extra__", None)
    _set(event, "__pydantic_private__", {DYNAMIC: data})
    return event
