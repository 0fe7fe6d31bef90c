"""Structured output of agents, as it is written.

Core asks the LLM for an object of `output_cls` when an agent's answer is there, and writes one
`AgentStreamStructuredOutput`. Here the LLM is asked in the same way, by the same code of core and
of the provider's class, but the answer is streamed, and what is certain of the object is written
while it comes. Classes that do not ask by their own chat methods give one event, as upstream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from pydantic import BaseModel

from llama_index_streaming_ext.events import AgentStreamStructuredOutput, Event, LLMCallStarted
from llama_index_streaming_ext.llm.observer import (
    CallObserver,
    RunCalls,
    current_observer,
    observed_by,
)
from llama_index_streaming_ext.llm.options import Options
from llama_index_streaming_ext.llm.overlay import inner_of, options_of, wrap
from llama_index_streaming_ext.llm.partial_json import GrowingObject
from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM, StreamingToolLLM
from llama_index_streaming_ext.llm.structured_request import asks_past_its_chat, json_schema
from llama_index_streaming_ext.stream.deltas import ToolArguments
from llama_index_streaming_ext.stream.origin import Origin, coming_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index_streaming_ext.llm.observer import OnIncomplete, RunCalls


class AnswerCallObserver(CallObserver):
    """Observer of the LLM calls after an agent's answer, which make an object of `output_cls`.

    Args:
        run_id: the run.
        write: writes into its stream.
        calls: the LLM calls of the run.
        agent: the agent.
        on_incomplete: what to do about an answer that is not whole.
        origin: where what is written here comes from.

    Attributes:
        origin: where what is written here comes from, with the call that is being made.
    """

    def __init__(
        self,
        run_id: str,
        write: Callable[[Event], None],
        calls: RunCalls | None,
        *,
        agent: str,
        on_incomplete: OnIncomplete | None,
        origin: Origin,
    ) -> None:
        super().__init__(run_id, self.write_from_here, calls)
        self.agent = agent
        self.on_incomplete = on_incomplete
        self.origin = origin
        self._write_event = write

    async def on_start(self, started: LLMCallStarted) -> None:
        """A call is going to be made."""
        self.origin = self.origin._replace(call_id=started.call_id)
        self.write(started)

    def write_from_here(self, event: Event) -> None:
        """Write an event, with its origin."""
        with coming_from(self.origin):
            self._write_event(event)

    def structured(self, output_cls: type[BaseModel]) -> StructuredCallObserver:
        """Return the observer of a call that asks for an object."""
        return StructuredCallObserver(self, output_cls)


class StructuredCallObserver(AnswerCallObserver):
    """Observer of a call that asks for an object: the certain part is written as it comes.

    Args:
        site: where the agent is at work.
        output_cls: the class of the object.

    Attributes:
        reads: where the object is written: in the text, or in the arguments of a tool call.
    """

    writes_text = True

    def __init__(self, site: AnswerCallObserver, output_cls: type[BaseModel]) -> None:
        super().__init__(
            site.run_id,
            site._write_event,
            site.calls,
            agent=site.agent or "",
            on_incomplete=site.on_incomplete,
            origin=site.origin,
        )
        self.reads: Literal["text", "arguments"] = "text"
        self._output_cls = output_cls
        self._object: GrowingObject | None = None
        self._begun = False
        self._said = False
        self._site = site

    async def on_start(self, started: LLMCallStarted) -> None:
        """A call is going to be made. One that asks again says nothing of what it gets."""
        self._object = None if self._said else GrowingObject(self._output_cls)
        self._begun = False
        await super().on_start(started)
        # What core writes of the whole object comes from this call, too.
        self._site.origin = self.origin

    def on_text(self, call_id: str, delta: str, thinking: str | None, raw: Any) -> None:
        """The text goes on; the object begins with its first brace."""
        if self.reads != "text":
            return
        if not self._begun:
            before, brace, after = delta.partition("{")
            self._begun = bool(brace)
            delta = delta[len(before) :] if after or brace else ""
        if delta:
            self._feed(delta)

    def on_arguments(self, tool_id: str, tool_name: str, index: int, call_id: str) -> ToolArguments:
        """The arguments of a tool call begin: those of the first one are the object."""
        return ToolArguments(tool_id, tool_name, index)

    def on_arguments_delta(self, series: ToolArguments, delta: str) -> None:
        """The arguments go on. The call is none of the agent's, so nothing is said of it."""
        if self.reads == "arguments" and series.position == 0:
            self._feed(delta)

    def _feed(self, piece: str) -> None:
        so_far = self._object.feed(piece) if self._object is not None else None
        if so_far is not None:
            self._said = True
            self.write(AgentStreamStructuredOutput(output=so_far))


class StructuredLLM(StreamingLLM):
    """A `StreamingLLM` that streams what it is asked for an object, at the site of an agent."""

    if not TYPE_CHECKING:
        __slots__ = ()

    async def astructured_predict(
        self,
        output_cls: type[Any],
        prompt: Any,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Answer a prompt with an object, in the way of the inner LLM's class."""
        site = current_observer()
        asking = site.structured(output_cls) if isinstance(site, AnswerCallObserver) else site
        with observed_by(asking):
            if asking is not site and asks_past_its_chat(self.inner):
                messages = prompt.format_messages(**prompt_args)
                kwargs = {**json_schema(output_cls), **(llm_kwargs or {})}
                answer = await self.achat(messages, **kwargs)
                return output_cls.model_validate_json(answer.message.content or "")
            return await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)

    async def achat(self, *args: Any, **kwargs: Any) -> ChatResponse:
        """Answer a chat; where an object is asked for, streaming."""
        site = current_observer()
        if not isinstance(site, StructuredCallObserver):
            return await super().achat(*args, **kwargs)
        site.reads = "text"
        return await _last(await self.astream_chat(*args, **kwargs))


class StructuredToolLLM(StructuredLLM, StreamingToolLLM):
    """Further methods of a `StructuredLLM` whose inner LLM calls functions."""

    if not TYPE_CHECKING:
        __slots__ = ()

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        """Answer a chat with tools; where an object is asked for, streaming."""
        site = current_observer()
        if not isinstance(site, StructuredCallObserver):
            return await super().achat_with_tools(*args, **kwargs)
        site.reads = "arguments"
        return await _last(await self.astream_chat_with_tools(*args, **kwargs))

    def get_tool_calls_from_response(self, *args: Any, **kwargs: Any) -> Any:
        """The tool calls of an answer; where an object is asked for, the first one.

        Answers that are not streamed are cut to the first one by the provider's class.
        """
        calls: list[Any] = cast("Any", super()).get_tool_calls_from_response(*args, **kwargs)
        return calls[:1] if isinstance(current_observer(), StructuredCallObserver) else calls


def structured(llm: LLM) -> LLM:
    """An agent's LLM as core gets it where it may ask for an object."""
    options = options_of(llm) if isinstance(llm, StreamingLLM) else Options()
    inner = inner_of(llm)
    calls_functions = isinstance(inner, FunctionCallingLLM)
    return wrap(inner, StructuredToolLLM if calls_functions else StructuredLLM, options)


async def _last(chunks: Any) -> Any:
    """The last chunk of a stream, which is all of the answer."""
    last: Any = None
    async for chunk in chunks:
        last = chunk
    if last is None:
        raise ValueError("The LLM has answered nothing.")
    return last
