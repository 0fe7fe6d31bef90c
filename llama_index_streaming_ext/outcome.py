"""What a run has come to: the outcome of an ended one, the snapshot of one that goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from .compact import Token
from .events import AgentInput, AgentOutput, AgentStream, Event, ToolCall, ToolCallResult
from .usage import Usage, usage_of

if TYPE_CHECKING:
    from llama_index.core.tools import ToolOutput

Status = Literal["completed", "failed", "cancelled", "timed_out", "lost"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: `completed`; `failed` (a step raised); `cancelled`; `timed_out`; `lost` (the event
            loop was closed under the run, so nobody knows).
        result: what `await handler` gives; None unless completed.
        error: what `await handler` raises; None if completed.
        text: all deltas that were streamed, joined (L7).
        usage: the tokens that the provider counted so far, None where no chunk said any.
        steps: the steps that were active when the run timed out.
        started: Unix seconds.
        ended: Unix seconds.
    """

    status: Status
    result: Any
    error: BaseException | None
    text: str
    usage: Usage | None
    steps: tuple[str, ...]
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class ToolCallState:
    """A tool call as a late reader finds it.

    Attributes:
        tool_id: the id that the LLM gave the call.
        tool_name: the tool.
        tool_kwargs: the arguments.
        result: what the tool returned, None while it runs.
    """

    tool_id: str
    tool_name: str
    tool_kwargs: dict[str, Any]
    result: ToolOutput | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run up to one record: what a late reader shows before it reads on from `seq`.

    Attributes:
        seq: the last record that is in it; go on with `stream.read(after=snapshot.seq)`.
        text: all deltas so far, joined.
        tool_calls: the tool calls so far, in the order they were made.
        current_agent: the agent at work, None before the first one.
        usage: the tokens that the provider counted so far, None where no chunk said any.
        done: whether the run has ended.
    """

    seq: int
    text: str
    tool_calls: tuple[ToolCallState, ...]
    current_agent: str | None
    usage: Usage | None
    done: bool


@dataclass(slots=True)
class Fold:
    """The running sum of a log, from which snapshots are taken.

    Attributes:
        seq: the last entry that was added.
    """

    seq: int = 0
    _deltas: list[str] = field(default_factory=list[str])
    _tool_calls: dict[str, ToolCallState] = field(default_factory=dict[str, ToolCallState])
    _agent: str | None = None
    _used: Usage | None = None
    _using: dict[tuple[str, object], Usage] = field(default_factory=dict[tuple[str, object], Usage])

    def add(self, entry: Token | Event) -> None:
        """Add the next entry of the log."""
        self.seq += 1
        if isinstance(entry, Token):
            self._add_token(entry)
        elif isinstance(entry, AgentStream):
            self._add_chunk(entry)
        elif isinstance(entry, ToolCallResult):
            self._add_call(entry, entry.tool_output)
        elif isinstance(entry, ToolCall):
            self._add_call(entry)
        elif isinstance(entry, AgentInput):
            self._agent = entry.current_agent_name
        elif isinstance(entry, AgentOutput):
            self._agent = entry.current_agent_name
            self._end_call(entry)

    def snapshot(self, *, done: bool) -> Snapshot:
        """What the log says up to here."""
        return Snapshot(
            self.seq,
            self.text(),
            tuple(self._tool_calls.values()),
            self._agent,
            self.usage(),
            done,
        )

    def text(self) -> str:
        """All deltas, joined."""
        # Joining once and keeping the sum makes many snapshots of one run linear, not quadratic.
        if len(self._deltas) > 1:
            self._deltas[:] = ["".join(self._deltas)]
        return self._deltas[0] if self._deltas else ""

    def usage(self) -> Usage | None:
        """The calls that are over, and those that are going on."""
        total = self._used
        for used in self._using.values():
            total = used if total is None else total + used
        return total

    def _add_token(self, token: Token) -> None:
        if token.delta:
            self._deltas.append(token.delta)
        self._agent = token.call.agent
        if token.extras is not None and token.extras.usage is not None:
            self._count(token.call.agent, token.call, token.extras.usage)

    def _add_chunk(self, event: AgentStream) -> None:
        """A chunk that is kept whole: a subclass of AgentStream."""
        if event.delta:
            self._deltas.append(event.delta)
        self._agent = event.current_agent_name
        used = usage_of(event.raw)
        if used is not None:
            self._count(self._agent, None, used)

    def _count(self, agent: str, call: object, used: Usage) -> None:
        # Some providers count up from chunk to chunk, others say input and output in two of them.
        known = self._using.get((agent, call))
        self._using[agent, call] = used if known is None else known.grown_to(used)

    def _add_call(self, event: ToolCall | ToolCallResult, result: ToolOutput | None = None) -> None:
        kwargs = cast("dict[str, Any]", event.tool_kwargs)  # pyright: ignore[reportUnknownMemberType] # core says dict
        self._tool_calls[event.tool_id] = ToolCallState(
            event.tool_id, event.tool_name, kwargs, result
        )

    def _end_call(self, event: AgentOutput) -> None:
        said = usage_of(event.raw)
        going_on = [key for key in self._using if key[0] == event.current_agent_name]
        # Agents of one name may work side by side: then the usage tells their calls apart.
        over = next((key for key in going_on if self._using[key] == said), None)
        if over is None and going_on:
            over = going_on[0]
        used = said if over is None else self._using.pop(over)
        if used is not None:
            self._used = used if self._used is None else self._used + used
