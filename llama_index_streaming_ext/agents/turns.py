"""The turns of an agent: core's steps, which say what core keeps to itself.

An agent that hands over (`AgentChanged`), an answer that does not count (`Retrying`), a tool whose
output is the answer (U26), an object that is written (`AgentStreamStructuredOutput`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow
from llama_index.core.memory import BaseMemory
from workflows import Context, step

from llama_index_streaming_ext.agents.history import HANDOFF
from llama_index_streaming_ext.agents.iteration_limits import (
    gives_its_last_word,
    may_ask_again,
    site_of_the_last_word,
    the_last_answer_counts,
)
from llama_index_streaming_ext.agents.run_memory import put_back_memory
from llama_index_streaming_ext.agents.structured_output import AnswerCallObserver, structured
from llama_index_streaming_ext.agents.take_step import AgentSteps, core_at_work
from llama_index_streaming_ext.agents.tools.calls import announced_once
from llama_index_streaming_ext.agents.turn_history import begins_in_the_middle, last_turn
from llama_index_streaming_ext.events import (
    AgentChanged,
    AgentInput,
    AgentOutput,
    AgentSetup,
    AgentStream,
    Retrying,
    StopEvent,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.llm.observer import observed_by
from llama_index_streaming_ext.run.run import current_run
from llama_index_streaming_ext.run.step_context import StepContext
from llama_index_streaming_ext.stream.origin import Origin, coming_from, current_origin, running_id

_Parse = Callable[[Any, AgentOutput], Awaitable[StopEvent | AgentInput | ToolCall | None]]


class Turns:
    """Says what happens between an agent's LLM calls. It stands before a class of core's."""

    @step
    async def run_agent_step(self, ctx: Context[Any], ev: AgentSetup) -> AgentOutput:
        """Ask the agent once, as core does, and say if its answer does not count."""
        await put_back_memory(ctx)
        output: AgentOutput = await cast("Any", super()).run_agent_step(ctx, ev)
        if output.retry_messages and await may_ask_again(ctx):
            reason = output.retry_messages[-1].content or ""
            agent = output.current_agent_name
            call_id = current_origin().call_id
            ctx.write_event_to_stream(Retrying(call_id=call_id, agent=agent, reason=reason))
        return output

    @step
    async def parse_agent_output(
        self, ctx: Context[Any], ev: AgentOutput
    ) -> StopEvent | AgentInput | ToolCall | None:
        """Go on with what an agent has said, as core does.

        An answer counts although it is the last that may be given (U35), and an object is streamed
        as it is written.
        """
        agent = _agent_named(self, ev.current_agent_name)
        parse: _Parse = cast("Any", super()).parse_agent_output
        if not isinstance(agent, AgentSteps) or not agent.streaming_llm:
            async with the_last_answer_counts(ctx, ev):
                return await parse(ctx, ev)
        if await gives_its_last_word(ctx, ev):
            site = await site_of_the_last_word(ctx, agent, type(self))
            with observed_by(site), core_at_work():
                return await parse(StepContext(ctx, site.write_for_core), ev)
        async with the_last_answer_counts(ctx, ev):
            with _answering(ctx, agent) as inside:
                return await parse(inside, ev)

    @step
    async def call_tool(self, ctx: Context[Any], ev: ToolCall) -> ToolCallResult:
        """Call a tool, as core does; a call that begins again is not streamed again (U34)."""
        write = ctx.write_event_to_stream
        with announced_once(current_run(), ev) as is_new:
            inside = StepContext(ctx, lambda event: write(event) if is_new(event) else None)
            result: ToolCallResult = await cast("Any", super()).call_tool(inside, ev)
        await put_back_memory(ctx)
        return result

    @step
    async def aggregate_tool_results(
        self, ctx: Context[Any], ev: ToolCallResult
    ) -> AgentInput | StopEvent | None:
        """Go on with the results of tools, as core does.

        It is said that another agent goes on, and a tool's output that is the answer is streamed.
        """
        before = await ctx.store.get("current_agent_name", default=None)
        result = await cast("Any", super()).aggregate_tool_results(ctx, ev)
        after = await ctx.store.get("current_agent_name", default=None)
        output = result.result if isinstance(result, StopEvent) else None
        if before != after:
            called = output.tool_calls if isinstance(output, AgentOutput) else None
            called = called or await ctx.store.get("current_tool_calls", default=[])
            reason = _reason(called, after)
            changed = AgentChanged(from_agent=before, to_agent=after, reason=reason)
            with coming_from(Origin(agent=before)):
                ctx.write_event_to_stream(changed)
        if isinstance(output, AgentOutput):
            _stream_answer(ctx, output)
        if isinstance(result, AgentInput) and begins_in_the_middle(result.input):
            memory: BaseMemory = await ctx.store.get("memory")
            whole = last_turn(await memory.aget_all())
            return result.model_copy(update={"input": whole})
        return result


def _agent_named(of: object, name: str) -> object:
    """The agent of that name: the one itself, or one of a workflow's."""
    return of.agents.get(name) if isinstance(of, CoreAgentWorkflow) else of


@contextmanager
def _answering(ctx: Context[Any], agent: AgentSteps) -> Generator[StepContext, None, None]:
    """Observe the LLM calls that make an object of an agent's answer; yield core's context."""
    run = current_run()
    site = AnswerCallObserver(
        running_id(),
        ctx.write_event_to_stream,
        run.llm_calls if run is not None else None,
        agent=agent.name,
        on_incomplete=agent.on_incomplete,
        origin=current_origin()._replace(agent=agent.name),
    )
    wrap = structured if agent.streaming else None
    with observed_by(site), core_at_work(wrap):
        yield StepContext(ctx, site.write)


def _stream_answer(ctx: Context[Any], output: AgentOutput) -> None:
    """Stream a tool's output that is the answer, as answers are streamed (U26)."""
    said = output.response.content or ""
    name = output.current_agent_name
    # Core's step is begun for each result, and again when another came meanwhile; this comes once.
    with coming_from(Origin(agent=name)):
        ctx.write_event_to_stream(
            AgentStream(delta=said, response=said, current_agent_name=name, tool_calls=[])
        )
        ctx.write_event_to_stream(output)


def _reason(called: list[Any], to_agent: str) -> str:
    """Why an agent has handed over, in its own words."""
    for call in reversed(called):
        if call.tool_name == HANDOFF and call.tool_kwargs.get("to_agent") == to_agent:
            return str(call.tool_kwargs.get("reason", ""))
    return ""
