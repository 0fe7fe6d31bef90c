"""The LLMs of a query: every call is seen, shown while it is made, and stopped with the query."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.events import Event, Incomplete, LLMCallStarted, PartialObject
from llama_index_streaming_ext.llm.call import LLMCall
from llama_index_streaming_ext.llm.observer import CallObserver, RunCalls, TextSink
from llama_index_streaming_ext.llm.overlay import inner_of, options_of, wrap
from llama_index_streaming_ext.llm.reading import answer, read, read_sync
from llama_index_streaming_ext.query.context.call_tree import MEMORY, Work
from llama_index_streaming_ext.query.context.current_query import (
    ask_seen,
    call_inside_llm_call,
    inside_llm_call,
)
from llama_index_streaming_ext.query.context.options import QueryOptions
from llama_index_streaming_ext.query.llms.loop_llms import for_background_loop, for_this_loop
from llama_index_streaming_ext.query.llms.stopping import or_stopped, stoppable, until_stopped
from llama_index_streaming_ext.query.llms.structured_answer import AskedObject, Output, asked_object
from llama_index_streaming_ext.query.llms.structured_llm import ObjectLLM, ObjectToolLLM
from llama_index_streaming_ext.stream.deltas import InnerCallText, ToolArguments
from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal

if TYPE_CHECKING:
    from llama_index_streaming_ext.stream.deltas import DeltaSeries


class Asked(Protocol):
    """The query that LLM calls are made for."""

    work: Work
    calls: RunCalls
    stop_signal: StopSignal
    answering: bool
    sources: list[NodeWithScore]
    max_lead: int

    def takes_answer(self, call_id: str, parent_id: str | None) -> bool:
        """Return True, once, if a call that begins now writes the answer word for word."""
        ...

    def write_answer(self, delta: str) -> None:
        """Write a delta of the answer into its log."""
        ...

    def has_room(self) -> bool:
        """Return True if the answer's readers are certainly near enough."""
        ...

    async def room(self) -> int:
        """Wait until the answer's readers have come near enough, and say for how many more."""
        ...

    def room_sync(self) -> None:
        """Wait for room, in a thread that may block."""
        ...

    def write(self, event: Event) -> None:
        """Write an event into its log."""
        ...

    def write_delta(self, series: DeltaSeries, delta: str) -> None:
        """Write a delta into its log."""
        ...

    def answer_began(self) -> None:
        """The LLM that writes the answer has taken the call."""
        ...

    def answer_incomplete(self, event: Incomplete) -> None:
        """The answer is not whole."""
        ...


class QueryCallObserver(CallObserver):
    """The observer of the LLM calls of a query, whatever context they are made in.

    Args:
        query: the query.
        show_calls: whether to write what the inner calls say.
        strict: whether an answer begins with what is said, not with the call: only then is it
            known that the LLM can stream.
    """

    wants_text = True
    on_incomplete = "event"

    def __init__(self, query: Asked, *, show_calls: bool, strict: bool = False) -> None:
        super().__init__("", self._write, query.calls)
        self._query = query
        self._show_calls = show_calls
        self._strict = strict
        self._calls: dict[str, InnerCallText] = {}
        self._answers: set[str] = set()
        self._objects: dict[str, AskedObject] = {}
        self._taken: str | None = None
        self.max_lead = query.max_lead

    def call_id(self) -> str:
        """The id of the next call."""
        return self._query.work.new_id()

    def on_start_sync(self, started: LLMCallStarted) -> None:
        """A call is going to be made."""
        place = self._query.work.current()
        asked = asked_object()
        answering = self._query.answering and place.purpose != MEMORY
        gives_answer = answering or (asked is not None and asked.is_answer)
        purpose = "answer" if gives_answer else place.purpose
        if asked is not None:
            self._objects[started.call_id] = asked
            asked.call_id, asked.parent_id = started.call_id, place.call_id
        if answering:
            self._answers.add(started.call_id)
            if self._query.takes_answer(started.call_id, place.call_id):
                self._taken = started.call_id
        self._calls[started.call_id] = InnerCallText(started.call_id, place.call_id, purpose)
        shown = {"parent_id": place.call_id, "purpose": purpose}
        self._query.write(started.model_copy(update=shown))

    def owns_text(self, call_id: str) -> bool:
        """Return True if the call's text is the answer, which is then written here."""
        return call_id == self._taken

    def text_sink(self, call_id: str) -> TextSink:
        """Return the sink of a call's text; that of the answer writes it at once."""
        if call_id != self._taken or call_id in self._objects:
            return self.on_text
        write = self._query.write_answer

        def tell(call_id: str, delta: str, thinking: str | None, raw: Any) -> None:
            if delta:
                write(delta)

        return tell

    def has_room(self) -> bool:
        """Return True if the answer's readers are certainly near enough."""
        return not self._query.answering or self._query.has_room()

    async def wait_for_room(self, lead: int) -> int:
        """Wait until the answer's readers have come near enough."""
        return await self._query.room() if self._waits() else 0

    def wait_for_room_sync(self, lead: int) -> None:
        """Wait for room, in a thread that may block."""
        if self._waits():
            self._query.room_sync()

    def _waits(self) -> bool:
        # What is asked for the memory goes on without readers: they may be gone by then.
        return self._query.answering and self._query.work.current().purpose != MEMORY

    def on_open(self, call_id: str) -> None:
        """The LLM has taken a call that streams."""
        if call_id in self._answers and not self._strict:
            self._query.answer_began()
        asked = self._objects.get(call_id)
        if asked is not None and asked.is_answer and asked.synthesis is not None:
            self._query.sources = asked.synthesis.sources
            self._query.answer_began()

    def on_text(self, call_id: str, delta: str, thinking: str | None, raw: Any) -> None:
        """An inner call goes on; what the answer's call says is written as the answer."""
        if call_id == self._taken:
            if delta:
                self._query.write_answer(delta)
        elif self._show_calls and delta and self._is_inner(self._calls[call_id]):
            self._query.write_delta(self._calls[call_id], delta)
        asked = self._objects.get(call_id)
        if asked is not None and asked.is_answer:
            self.show(asked, asked.text(delta))

    def _is_inner(self, inner: InnerCallText) -> bool:
        # What was asked before the engine has answered may go on as the answer.
        return not self._query.answering or inner.purpose == MEMORY

    def on_arguments_delta(self, series: ToolArguments, delta: str) -> None:
        """The arguments of a tool call go on; those of the answer's call are the answer."""
        asked = self._objects.get(series.origin.call_id or "")
        if asked is not None and asked.is_answer:
            self.show(asked, asked.argument(series.position, delta))
        else:
            # The record's origin has the call, which the event has no field for.
            self._query.write_delta(series, delta)

    def show(self, asked: AskedObject, output: Output | None) -> None:
        """Write what there is of an object that is the answer, unless nothing is new."""
        if output is not None:
            call_id, parent_id = asked.call_id or self._query.work.query_id, asked.parent_id
            event = PartialObject(call_id=call_id, parent_id=parent_id, output=output)
            self._query.write(event)

    def _write(self, event: Event) -> None:
        self._query.write(event)
        if not isinstance(event, Incomplete):
            return
        asked = self._objects.get(event.call_id)
        if asked is not None:
            asked.incomplete = event
        if event.call_id in self._answers or (asked is not None and asked.is_answer):
            self._query.answer_incomplete(event)


class QueryLLM(ObjectLLM):
    """An LLM within a query."""

    if not TYPE_CHECKING:
        __slots__ = ()

    # Streams

    def _astream(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        options = _options(self)
        kwargs = self._asking(method, kwargs)
        inner = for_this_loop(inner_of(self))
        one = LLMCall(inner, options)
        chunks = read(one, inner, method, args, kwargs, options.strict)
        return stoppable(chunks, options.stops_tasks)

    def _stream(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Any, None, None]:
        options, inner = _options(self), inner_of(self)
        there = for_background_loop(inner) if options.stop is not None else None
        kwargs = self._asking(method, kwargs)
        if there is None or options.stop is None:
            one = LLMCall(inner, options)
            chunks = read_sync(one, inner, method, args, kwargs, options.strict)
            return until_stopped(chunks, options.stop)
        one = LLMCall(there, options)
        make = functools.partial(read, one, there, f"a{method}", args, kwargs, options.strict)
        return iterate(functools.partial(call_inside_llm_call, make), options.stop)

    # Whole answers

    async def _aask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        options = _options(self)
        if _is_shown(method, options):
            last = None
            async for chunk in self._astream(f"astream_{method}", args, kwargs):
                last = chunk
            return _as_whole(last)
        inner = for_this_loop(inner_of(self))
        ask: Callable[..., Awaitable[Any]] = getattr(inner, f"a{method}")
        answering = answer(inner, options, lambda: ask_seen(ask, args, kwargs))
        return await or_stopped(answering, options.stops_tasks)

    def _ask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        options = _options(self)
        if _is_shown(method, options):
            last = None
            for chunk in self._stream(f"stream_{method}", args, kwargs):
                last = chunk
            return _as_whole(last)
        there = for_background_loop(inner_of(self))
        if there is None or options.stop is None:
            if options.stop is not None:
                options.stop.check()
            with inside_llm_call():
                return getattr(super(), method)(*args, **kwargs)
        ask: Callable[..., Awaitable[Any]] = getattr(there, f"a{method}")
        return call(
            lambda: answer(there, options, lambda: ask_seen(ask, args, kwargs)), options.stop
        )

    async def achat(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat, as the inner LLM does."""
        return await self._aask("chat", args, kwargs)

    def chat(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat, as the inner LLM does."""
        return self._ask("chat", args, kwargs)

    async def acomplete(self, *args: Any, **kwargs: Any) -> Any:
        """Complete a prompt, as the inner LLM does."""
        return await self._aask("complete", args, kwargs)

    def complete(self, *args: Any, **kwargs: Any) -> Any:
        """Complete a prompt, as the inner LLM does."""
        return self._ask("complete", args, kwargs)


class QueryToolLLM(QueryLLM, ObjectToolLLM):
    """The additional methods of a wrapper whose inner LLM calls functions."""

    if not TYPE_CHECKING:
        __slots__ = ()

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat with tools, as the inner LLM does."""
        return await self._aask("chat_with_tools", args, kwargs)

    def chat_with_tools(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat with tools, as the inner LLM does."""
        return self._ask("chat_with_tools", args, kwargs)


def in_query(llm: LLM, options: QueryOptions) -> LLM:
    """An LLM as the engine of a query gets it."""
    face = QueryToolLLM if isinstance(inner_of(llm), FunctionCallingLLM) else QueryLLM
    return wrap(llm, face, options)


def _is_shown(method: str, options: QueryOptions) -> bool:
    """Return True if a call that is not streamed is streamed all the same, to show its text."""
    asked = asked_object()
    if asked is None:
        return options.show_calls
    asked.reads = "arguments" if method.endswith("with_tools") else "text"
    return options.show_calls or asked.is_answer


def _as_whole(last: ChatResponse | CompletionResponse | None) -> Any:
    """The answer that a stream adds up to, which its last chunk has."""
    if last is None:
        raise ValueError("The LLM's stream had no chunk, so there is no answer.")
    return last.model_copy(update={"delta": None})


def _options(llm: LLM) -> QueryOptions:
    return options_of(llm)
