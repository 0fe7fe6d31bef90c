"""The usage and the finish reasons of a run's LLM calls, summed as its records come."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field

from llama_index_streaming_ext.events import (
    AgentOutput,
    AgentStream,
    LLMCallFinished,
    LLMCallStarted,
)
from llama_index_streaming_ext.events.usage import Usage, usage_of


@dataclass(slots=True)
class UsageTotals:
    """Usage of the LLM calls of a run.

    A call through `StreamingLLM` says it by itself when it is over. Of other calls, the raw chunks
    and the agent's output say it.

    Attributes:
        finish_reason: why the last call ended, None where nobody has said it.
    """

    finish_reason: str | None = None
    _used: Usage | None = None
    _using: dict[tuple[str, object], Usage] = field(default_factory=dict[tuple[str, object], Usage])
    _open: dict[str, str | None] = field(default_factory=dict[str, str | None])
    # Calls of each agent that have said their usage, and whose output is still to come.
    _told: Counter[str] = field(default_factory=Counter[str])

    def usage(self, *, done: bool) -> Usage | None:
        """The calls that are over, and those that are going on.

        Args:
            done: whether the run has ended, so that a call without an end was broken off.
        """
        total = self._used
        for used in self._using.values():
            total = used if total is None else total + used
        if done and self._open:
            total = dataclasses.replace(total or Usage(), partial=True)
        return total

    def started(self, event: LLMCallStarted) -> None:
        """A call has begun."""
        self._open[event.call_id] = event.agent
        # What the call before said does not hold for this one, which may never end.
        self.finish_reason = None

    def finished(self, event: LLMCallFinished) -> None:
        """A call is over."""
        agent = self._open.pop(event.call_id, None)
        self.finish_reason = event.finish_reason
        used = event.usage
        if event.partial:
            used = dataclasses.replace(used or Usage(), partial=True)
        self._add(used)
        if agent is not None:
            self._told[agent] += 1
            for key in [key for key in self._using if key[0] == agent]:
                del self._using[key]

    def counted(self, agent: str, call: object, used: Usage) -> None:
        """A chunk says the usage of its call so far."""
        # Some providers count up from chunk to chunk, others say input and output in two of them.
        known = self._using.get((agent, call))
        self._using[agent, call] = used if known is None else known.grown_to(used)

    def said(self, event: AgentStream) -> None:
        """A chunk whose call is not known."""
        used = usage_of(event.raw)
        if used is not None:
            self.counted(event.current_agent_name, None, used)

    def answered(self, event: AgentOutput) -> None:
        """A call of an agent is over, and this is what came of it."""
        agent = event.current_agent_name
        if self._told[agent]:
            self._told[agent] -= 1
            return
        said = usage_of(event.raw)
        going_on = [key for key in self._using if key[0] == agent]
        # Agents of one name may work side by side: then the usage tells their calls apart.
        over = next((key for key in going_on if self._using[key] == said), None)
        if over is None and going_on:
            over = going_on[0]
        self._add(said if over is None else self._using.pop(over))

    def _add(self, used: Usage | None) -> None:
        if used is not None:
            self._used = used if self._used is None else self._used + used
