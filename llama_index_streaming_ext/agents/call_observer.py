"""Observer of an agent's LLM calls: tokens go into the log, and core gets the last chunk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from llama_index.core.agent.workflow.codeact_agent import EXECUTE_TOOL_NAME
from pydantic import BaseModel

from llama_index_streaming_ext.agents.scaffolding import Piece
from llama_index_streaming_ext.events import (
    AgentStream,
    CodeDelta,
    Event,
    Incomplete,
    LLMCallStarted,
)
from llama_index_streaming_ext.events.calls import arguments_of
from llama_index_streaming_ext.llm.observer import CallObserver, OnIncomplete
from llama_index_streaming_ext.run.run import current_run
from llama_index_streaming_ext.run.step_writer import StepWriter, writer_of
from llama_index_streaming_ext.stream.deltas import (
    AgentText,
    DeltaExtras,
    DeltaSeries,
    ToolArguments,
)
from llama_index_streaming_ext.stream.origin import Origin, coming_from, running_id

if TYPE_CHECKING:
    from llama_index.core.tools import ToolSelection

    from llama_index_streaming_ext.stream.event_stream import EventStream


class Splitter(Protocol):
    """Tells what a model writes around its answer from the answer, while it streams."""

    def feed(self, delta: str) -> list[Piece]:
        """The pieces that are certain now."""
        ...

    def end(self) -> list[Piece]:
        """The pieces that were held back."""
        ...


class AgentCallObserver(CallObserver):
    """One turn of an agent at its LLM, from `take_step` on.

    Where the run is ours and its runtime the basic one, tokens go straight into its log;
    elsewhere they take upstream's way, by the context.

    Args:
        ctx: the context that the agent was given.
        agent: the agent's name.
        iteration: how many times it has asked in this run, from 1.
        origin: where what it writes comes from.
        on_incomplete: what to do about an answer that is not whole.
        max_lead: how many chunks the LLM may be ahead of the readers.
        splitter: makes what tells the scaffolding of a call from its answer.
        takes_text: whether the text is written here, not by the agent.

    Attributes:
        origin: where what is written comes from.
        incomplete: what was said about the last call, None where its answer is whole.
        written: the arguments that the model has written in the last call, by the tool call's id.
    """

    def __init__(
        self,
        ctx: Any,
        agent: str,
        iteration: int,
        origin: Origin,
        *,
        on_incomplete: OnIncomplete,
        max_lead: int | None,
        splitter: Callable[[], Splitter] | None,
        takes_text: bool,
    ) -> None:
        run = current_run()
        super().__init__(running_id(), self._write, run.llm_calls if run else None)
        self.agent = agent
        self.iteration = iteration
        self.on_incomplete = on_incomplete
        self.max_lead = max_lead
        self.writes_text = takes_text
        self.incomplete: Incomplete | None = None
        self.written: dict[str, ToolArguments] = {}
        self._wrote_code = False
        self._ctx = ctx
        self._writer: StepWriter | None = writer_of(ctx)
        self._stream: EventStream | None = self._writer.pump.stream if self._writer else None
        self._new_splitter = splitter
        self._splitter: Splitter | None = None
        self._of_step = origin
        self.origin = origin
        self._text = AgentText(agent)
        self._actions: list[ToolArguments] = []

    # What the LLM's wrapper calls

    async def on_start(self, started: LLMCallStarted) -> None:
        """A call is going to be made; what was written before it is in the log first."""
        self.origin = self._of_step._replace(call_id=started.call_id)
        self._text = AgentText(self.agent or "", origin=self.origin)
        self._splitter = self._new_splitter() if self._new_splitter is not None else None
        self._actions = []
        self.written = {}
        self._wrote_code = False
        self.incomplete = None
        if self._writer is None:
            self._write(started)
            return
        # A marker: when it is in the log, so is all that was published before.
        seen = asyncio.get_running_loop().create_future()
        with coming_from(self.origin):
            self._writer.write(started, lambda: None if seen.done() else seen.set_result(None))
        await seen

    def on_text(self, call_id: str, delta: str, thinking: str | None, raw: Any) -> None:
        """Write the next token, or what the splitter makes of it."""
        if self._splitter is not None:
            self._pieces(self._splitter.feed(delta), thinking)
            return
        kept = raw if self._stream is not None and self._stream.keep_raw else None
        if thinking is None and kept is None:
            self._put(self._text, delta)
        else:
            self._put(self._text, delta, DeltaExtras(thinking=thinking, raw=_dumped(kept)))

    def on_arguments_delta(self, series: ToolArguments, delta: str) -> None:
        """Write the next piece of a tool call's arguments."""
        self._put(series, delta)

    def on_arguments(self, tool_id: str, tool_name: str, index: int, call_id: str) -> ToolArguments:
        """The model begins to write the arguments of a tool call."""
        series = ToolArguments(tool_id, tool_name, index, self.origin._replace(tool_id=tool_id))
        self.written[tool_id] = series
        return series

    async def wait_for_room(self, lead: int) -> int:
        """Wait until the readers are less than `lead` chunks behind."""
        if self._stream is not None:
            await self._stream.room(lead)
        return 0

    # What core's agent calls

    def write_for_core(self, event: Event) -> None:
        """Write what core's agent writes by its context, but for the text, which is written."""
        if type(event) is AgentStream and self.writes_text:
            self._last(event)
        else:
            self._write(event)

    def _last(self, event: AgentStream) -> None:
        """The last chunk, which is all of the call that core has seen."""
        if self._splitter is not None:
            self._pieces(self._splitter.end(), None)
        said = "".join(self._text.deltas)
        if self._splitter is None and event.response != said:
            # The LLM breaks L3: what it says is kept as it is, but for the text that is there.
            self._write(event.model_copy(update={"delta": ""}))
            return
        self._put(self._text, "", DeltaExtras(tools=event.tool_calls, raw=event.raw))

    # Writing

    def _write(self, event: Event) -> None:
        if isinstance(event, Incomplete):
            self.incomplete = event
        with coming_from(self.origin):
            self._ctx.write_event_to_stream(event)

    def _put(self, series: DeltaSeries, delta: str, extras: DeltaExtras | None = None) -> None:
        if self._stream is not None:
            self._stream.append_delta(series, delta, extras)
        else:
            self._write(series.next(0.0, delta, extras).event())

    def _pieces(self, pieces: list[Piece], thinking: str | None) -> None:
        if thinking:
            self._put(self._text, "", DeltaExtras(thinking=thinking))
        for kind, text in pieces:
            if kind == "answer":
                self._put(self._text, text)
            elif kind == "thought":
                self._put(self._text, "", DeltaExtras(thinking=text))
            elif kind == "code":
                self._wrote_code = True
                self._write(CodeDelta(delta=text, agent=self.agent or "", tool_id=self._code_id))
            elif kind == "action":
                self._begin_action(text)
            elif self._actions:
                self._put(self._actions[-1], text)

    @property
    def _code_id(self) -> str:
        return f"{self.origin.call_id}-execute"

    def _begin_action(self, name: str) -> None:
        index = len(self._actions)
        call_id = self.origin.call_id or ""
        self._actions.append(self.on_arguments(f"{call_id}-tool-{index}", name, index, call_id))
        self._put(self._actions[-1], "")

    # What came of it

    def name_tool_calls(self, calls: list[ToolSelection]) -> None:
        """Give tool calls the ids that their arguments were streamed with.

        Core names those of a ReActAgent at random, when the text is there.
        """
        for call in calls:
            if self._wrote_code and call.tool_name == EXECUTE_TOOL_NAME:
                call.tool_id = self._code_id
            # Of several actions in one text core takes the first or the last, by how it begins.
            for series in self._actions if len(calls) == 1 else ():
                if series.tool_name == call.tool_name:
                    call.tool_id = series.tool_id

    def cut_off(self, calls: list[ToolSelection]) -> ToolArguments | None:
        """The first tool call whose arguments are no whole JSON object, None where all are.

        It does not matter what the provider says about the end. What a ReAct model writes is read
        by core's forgiving parser, and counts as cut off only where the answer is not whole.
        """
        if self.incomplete is None and self._actions:
            return None
        for call in calls:
            series = self.written.get(call.tool_id)
            if series is not None and arguments_of("".join(series.deltas)) is None:
                return series
        return None


def _dumped(raw: Any) -> Any:
    """A raw chunk as core's agents put it into their events."""
    return raw.model_dump() if isinstance(raw, BaseModel) else raw
