"""Snapshot: the sum of a log so far, for readers that start late."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from llama_index_streaming_ext.events import (
    AgentInput,
    AgentOutput,
    AgentStream,
    Event,
    LLMCallFinished,
    LLMCallStarted,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.events.usage import Usage
from llama_index_streaming_ext.stream.deltas import AgentText, AnswerText, Token
from llama_index_streaming_ext.stream.origin import NOWHERE, Origin
from llama_index_streaming_ext.stream.usage_totals import UsageTotals

if TYPE_CHECKING:
    from llama_index.core.tools import ToolOutput


@dataclass(frozen=True, slots=True)
class ToolCallState:
    """Tool call in a snapshot.

    Attributes:
        tool_id: the id that the LLM gave the call.
        tool_name: the tool.
        tool_kwargs: the arguments.
        result: the output of the tool, None while it runs.
    """

    tool_id: str
    tool_name: str
    tool_kwargs: dict[str, Any]
    result: ToolOutput | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a run up to one record, for a reader that starts late.

    Show it, then go on with `stream.read(after=snapshot.seq)`.

    Attributes:
        seq: the `seq` of the last record that is in it.
        text: all deltas so far, joined, without those that were forwarded from inner runs.
        tool_calls: the tool calls so far, in the order they were made; not those of inner runs.
        current_agent: the name of the agent at work, None before the first one.
        usage: the tokens that the provider counted so far, those of forwarded runs included; None
            if no chunk had a count.
        done: True if the run has ended.
        finish_reason: the reason for the end of the last LLM call, None if the provider gave none.
    """

    seq: int
    text: str
    tool_calls: tuple[ToolCallState, ...]
    current_agent: str | None
    usage: Usage | None
    done: bool
    finish_reason: str | None = None


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
    _tally: UsageTotals = field(default_factory=UsageTotals)
    # Of the runs that were forwarded into this log, by their ids: their tokens are billed too.
    _forwarded: dict[str, UsageTotals] = field(default_factory=dict[str, UsageTotals])

    def add(self, entry: Token | Event, origin: Origin = NOWHERE) -> None:
        """Add the next entry of the log.

        Args:
            entry: the entry.
            origin: where it comes from. What was forwarded from an inner run counts as usage only.
        """
        self.seq += 1
        if origin.run_id is None:
            self._show(entry)
            _count(entry, self._tally)
        else:
            _count(entry, self._forwarded.setdefault(origin.run_id, UsageTotals()))

    def snapshot(self, *, done: bool) -> Snapshot:
        """Return the state of the run up to here."""
        return Snapshot(
            self.seq,
            self.text(),
            tuple(self._tool_calls.values()),
            self._agent,
            self._usage(done=done),
            done,
            self._tally.finish_reason,
        )

    def text(self) -> str:
        """Return all deltas, joined."""
        # Joining once and keeping the sum makes many snapshots of one run linear, not quadratic.
        if len(self._deltas) > 1:
            self._deltas[:] = ["".join(self._deltas)]
        return self._deltas[0] if self._deltas else ""

    def _usage(self, *, done: bool) -> Usage | None:
        total = self._tally.usage(done=done)
        for tally in self._forwarded.values():
            used = tally.usage(done=done)
            if used is not None:
                total = used if total is None else total + used
        return total

    def _show(self, entry: Token | Event) -> None:
        """Add what a late reader is shown."""
        if isinstance(entry, Token):
            if isinstance(entry.series, AgentText):
                self._add_delta(entry.delta, entry.series.agent)
            elif isinstance(entry.series, AnswerText):
                self._deltas.append(entry.delta)
        elif isinstance(entry, AgentStream):
            # A chunk that is kept whole: a subclass of AgentStream.
            self._add_delta(entry.delta, entry.current_agent_name)
        elif isinstance(entry, ToolCallResult):
            self._add_call(entry, entry.tool_output)
        elif isinstance(entry, ToolCall):
            self._add_call(entry)
        elif isinstance(entry, AgentInput | AgentOutput):
            self._agent = entry.current_agent_name

    def _add_delta(self, delta: str, agent: str) -> None:
        if delta:
            self._deltas.append(delta)
        self._agent = agent

    def _add_call(self, event: ToolCall | ToolCallResult, result: ToolOutput | None = None) -> None:
        kwargs = cast("dict[str, Any]", event.tool_kwargs)  # pyright: ignore[reportUnknownMemberType] # core says dict
        self._tool_calls[event.tool_id] = ToolCallState(
            event.tool_id, event.tool_name, kwargs, result
        )


def _count(entry: Token | Event, tally: UsageTotals) -> None:
    """Add what an entry says of the use of an LLM."""
    if isinstance(entry, Token):
        call, extras = entry.series, entry.extras
        if extras is not None and extras.usage is not None and isinstance(call, AgentText):
            tally.counted(call.agent, call, extras.usage)
    elif isinstance(entry, AgentStream):
        tally.said(entry)
    elif isinstance(entry, AgentOutput):
        tally.answered(entry)
    elif isinstance(entry, LLMCallStarted):
        tally.started(entry)
    elif isinstance(entry, LLMCallFinished):
        tally.finished(entry)
