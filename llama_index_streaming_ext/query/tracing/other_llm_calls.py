"""LLM calls that nothing of ours stands around, seen through core's instrumentation.

Users' code makes LLMs of its own during a query, and so does core (`resolve_llm("default")`). Their
methods tell core's dispatcher when they start, go on and end. That is enough to announce them; to
stop them it is not: those in a task are cancelled with it, others end when they end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.llms import LLM, MockLLM
from llama_index_instrumentation.span.base import BaseSpan
from llama_index_instrumentation.span_handlers.base import BaseSpanHandler

from llama_index_streaming_ext.llm.call import LLMCall
from llama_index_streaming_ext.llm.overlay import inner_of
from llama_index_streaming_ext.query.context.current_query import (
    QueryScope,
    current_query,
    innermost,
    is_inside_llm_call,
)
from llama_index_streaming_ext.query.engine_copy.classes import CopyRule, copy_rule_of

_Starts = LLMChatStartEvent | LLMCompletionStartEvent
_Goes = LLMChatInProgressEvent | LLMCompletionInProgressEvent
_Ends = LLMChatEndEvent | LLMCompletionEndEvent


class _Span(NamedTuple):
    """A method of an LLM that is running."""

    llm: LLM
    parent_id: str | None


class _Open(NamedTuple):
    """A call that is going on."""

    call: LLMCall
    llm: LLM
    asked: Any


class LLMSpans(BaseSpanHandler[BaseSpan]):
    """Tells whose method it is that calls an LLM, and what it fails with. It keeps no spans."""

    @classmethod
    def class_name(cls) -> str:
        """The name of the handler."""
        return "LLMSpans"

    def span_enter(
        self,
        id_: str,
        bound_args: Any,
        instance: Any = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """A method begins."""
        if innermost() is None or not isinstance(instance, LLM):
            return
        query = current_query()
        if query is not None and not is_inside_llm_call():
            query.of("llm spans")[id_] = _Span(inner_of(instance), parent_id)

    def span_exit(
        self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **_: Any
    ) -> None:
        """A method has ended."""
        query = current_query() if innermost() is not None else None
        if query is not None:
            query.of("llm spans").pop(id_, None)
            query.of("parts of calls").pop(id_, None)

    def span_drop(
        self,
        id_: str,
        bound_args: Any,
        instance: Any = None,
        err: BaseException | None = None,
        **_: Any,
    ) -> None:
        """A method has failed."""
        query = current_query()
        if query is not None:
            query.of("llm spans").pop(id_, None)
            query.of("parts of calls").pop(id_, None)
            _failed(query, id_, err)

    def new_span(self, *args: Any, **kwargs: Any) -> None:
        """None is kept."""

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None:
        """None is kept."""

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
        """None is kept."""


def _started(query: QueryScope, event: _Starts) -> None:
    options, span_id = query.work.options, event.span_id or ""
    if options is None or is_inside_llm_call():
        return
    span: _Span | None = query.of("llm spans").get(span_id)
    llm = span.llm if span is not None else _named(event)
    if copy_rule_of(type(llm)) is CopyRule.PART:
        # A `StructuredLLM` asks the LLM in it, which tells of that itself.
        return
    asked = event.messages if isinstance(event, LLMChatStartEvent) else event.prompt
    if _is_within_a_call(query, span_id) or _is_begun_late(query, span_id, llm, asked):
        query.of("parts of calls")[span_id] = True
        return
    call = LLMCall(llm, options)
    call.begin_sync()
    query.of("calls")[span_id] = _Open(call, llm, asked)


def _is_within_a_call(query: QueryScope, span_id: str | None) -> bool:
    """Return True if an LLM answers by another of its methods, or by another LLM."""
    spans, calls, parts = map(query.of, ("llm spans", "calls", "parts of calls"))
    while span_id is not None:
        if span_id in calls or span_id in parts:
            return True
        span_id = spans[span_id].parent_id if span_id in spans else None
    return False


def _is_begun_late(query: QueryScope, span_id: str, llm: LLM, asked: Any) -> bool:
    """Return True if a stream is the sync one by which an LLM answers an async request.

    `CustomLLM` asks itself when the first chunk is wanted, long after its method has returned.
    """
    waiting: dict[str, _Open] = query.of("calls")
    return any(
        _method_of(other_id) == f"a{_method_of(span_id)}"
        and other.llm is llm
        and other.call.last is None
        and other.asked == asked
        for other_id, other in list(waiting.items())
    )


def _method_of(span_id: str) -> str:
    """Spans are called `Class.method-...`."""
    return span_id.partition("-")[0].rpartition(".")[2]


def _goes_on(query: QueryScope, event: _Goes) -> None:
    calls = query.going_on.get("calls")
    # Every token of every call comes by here, and nearly all are seen already.
    going_on: _Open | None = calls.get(event.span_id or "") if calls else None
    if going_on is None:
        return
    call = going_on.call
    if isinstance(event, LLMChatInProgressEvent):
        call.take(event.response)
    else:
        call.take_completion(event.response)


def _ended(query: QueryScope, event: _Ends) -> None:
    ended: _Open | None = query.of("calls").pop(event.span_id or "", None)
    if ended is None:
        return
    call = ended.call
    try:
        _take_end(call, event)
    except Exception as error:
        # The provider says in its answer that it has failed: nobody has raised that yet.
        call.failed(error)
    finally:
        call.over()


def _take_end(call: LLMCall, event: _Ends) -> None:
    if call.last is not None:
        call.end() if isinstance(event, LLMChatEndEvent) else call.end_completion()
    elif event.response is not None:
        call.take_whole(event.response)
        if call.site is not None and call.text:
            call.site.on_text(call.id, call.text, None, None)
        call.end_whole()


def _failed(query: QueryScope, span_id: str | None, error: BaseException | None) -> None:
    failed: _Open | None = query.of("calls").pop(span_id or "", None)
    if failed is None:
        return
    if error is not None:
        failed.call.failed(error)
    failed.call.over()


def _named(event: Any) -> LLM:
    """Stands for an LLM of which only the name is told."""
    told: dict[str, Any] = event.model_dict
    name = told.get("model") or told.get("model_name") or told.get("class_name") or ""
    return _Unknown(max_tokens=None, name=str(name))


class _Unknown(MockLLM):
    name: str = ""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.name)


CALL_EVENTS: dict[type[BaseEvent], Callable[[QueryScope, Any], None]] = {
    LLMChatStartEvent: _started,
    LLMCompletionStartEvent: _started,
    LLMChatInProgressEvent: _goes_on,
    LLMCompletionInProgressEvent: _goes_on,
    LLMChatEndEvent: _ended,
    LLMCompletionEndEvent: _ended,
    ExceptionEvent: lambda query, event: _failed(query, event.span_id, event.exception),
}
"""The handler that gives core's events of LLM calls to the query, except for calls seen already."""
