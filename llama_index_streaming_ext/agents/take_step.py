"""Steps of an agent: core's own code, with the LLM wrapped and its calls observed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.agent.workflow.workflow_events import AgentOutput
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.memory import BaseMemory
from pydantic import Field
from workflows import Context

from llama_index_streaming_ext.agents.call_observer import AgentCallObserver, Splitter
from llama_index_streaming_ext.agents.truncation import CUT_OFF, truncated, without_tool_calls
from llama_index_streaming_ext.llm.observer import OnIncomplete, observed_by
from llama_index_streaming_ext.llm.options import Options
from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM, streaming
from llama_index_streaming_ext.run.step_context import StepContext
from llama_index_streaming_ext.stream.origin import come_from, current_origin
from llama_index_streaming_ext.upstream.agents import reads_stream_as_core_does

# How an agent of ours wraps its `llm` where core's code is at work for it.
_core_at_work: ContextVar[Callable[[LLM], LLM] | None] = ContextVar(
    "llama_index_streaming_ext.core", default=None
)


@contextmanager
def core_at_work(wrap: Callable[[LLM], LLM] | None = None) -> Generator[None, None, None]:
    """Give core's code the wrapped LLMs of our agents inside the block.

    Args:
        wrap: wraps an LLM; None for the usual wrapper.
    """
    token = _core_at_work.set(wrap or wrapped)
    try:
        yield
    finally:
        _core_at_work.reset(token)


class AgentSteps(BaseWorkflowAgent):
    """Mixin with the steps of an agent; it comes before core's agent class."""

    streaming_llm: bool = True
    """Wrap the LLM in a `StreamingLLM` while the agent works; False gives upstream's stream."""
    on_incomplete: OnIncomplete = "event"
    """Reaction to an answer that is cut off, refused, filtered or broken off: `"event"` writes an
    `Incomplete` and goes on, `"raise"` fails the run with a subclass of `IncompleteResponse`."""
    truncated_retries: int = Field(default=1, ge=0)
    """Number of times that a model is asked again after it was cut off in the arguments of a tool
    call. The tool is never run with such arguments."""
    max_lead: int | None = Field(default=None, ge=1)
    """Number of chunks that the LLM may be ahead of the slowest reader; None for any. A reader
    that is open and does not read on holds the run up: leave it by `aclose()`."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "llm" and (wrap := _core_at_work.get()) is not None and self.streaming_llm:
            return wrap(value)
        return value

    def new_splitter(self) -> Callable[[], Splitter] | None:
        """Return a factory of splitters between answer and scaffolding; None if there is none."""
        return None

    async def take_step(
        self,
        ctx: Any,
        llm_input: list[ChatMessage],
        tools: Sequence[Any],
        memory: BaseMemory,
    ) -> AgentOutput:
        """Ask the LLM once, as core's agent does; its chunks go straight into the log."""
        if not self.streaming_llm or not _is_in_a_run(ctx):
            return await super().take_step(ctx, llm_input, tools, memory)
        site = await self._site(ctx)
        inside: Any = StepContext(ctx, site.write_for_core) if site.writes_text else ctx
        retries = self.truncated_retries
        while True:
            with observed_by(site), core_at_work():
                output = await super().take_step(inside, llm_input, tools, memory)
            site.name_tool_calls(output.tool_calls)
            cut = site.cut_off(output.tool_calls)
            if cut is None:
                break
            site.write(truncated(cut, retrying=retries > 0))
            output = without_tool_calls(output)
            await self.forget_tool_calls(ctx, output.response, CUT_OFF if retries > 0 else None)
            if retries <= 0:
                break
            retries -= 1
        # The step writes the output itself, right after this.
        come_from(site.origin)
        return output

    async def forget_tool_calls(self, ctx: Any, said: ChatMessage, note: str | None) -> None:
        """Take the tool calls of the last answer out of the history, as nobody answers them.

        Args:
            ctx: the context of the step.
            said: the rest of the model's answer.
            note: the message to the model, None if it is not asked again.
        """
        key: str | None = getattr(self, "scratchpad_key", None)
        if key is None:
            return
        history: list[ChatMessage] = await ctx.store.get(key, default=[])
        kept = [said] if said.content else []
        told = [ChatMessage(role="user", content=note)] if note else []
        await ctx.store.set(key, [*history[:-1], *kept, *told])

    async def _site(self, ctx: Any) -> AgentCallObserver:
        done: int = await ctx.store.get("num_iterations", default=0)
        return AgentCallObserver(
            ctx,
            self.name,
            done + 1,
            current_origin()._replace(agent=self.name),
            on_incomplete=self.on_incomplete,
            max_lead=self.max_lead,
            splitter=self.new_splitter(),
            takes_text=self.streaming and reads_stream_as_core_does(type(self)),
        )


def _is_in_a_run(ctx: Any) -> bool:
    """Return True if events can be written; `LLM.predict_and_call` uses an agent without a run."""
    # In a step a Context is always running, and asking it is deprecated.
    return isinstance(ctx, Context) or ctx.is_running


def wrapped(llm: LLM) -> LLM:
    """Return an agent's LLM, wrapped unless the user has wrapped it already."""
    return llm if isinstance(llm, StreamingLLM) else streaming(llm, Options())
