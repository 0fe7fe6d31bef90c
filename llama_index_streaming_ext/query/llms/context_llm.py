"""LLMs that a query meets only while it works: each call is one of the query that it is made in.

Whoever is given such an LLM may keep it for longer than the query. So it belongs to none: outside
of queries it is the LLM that it was, and in another query its calls are that query's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.llm.overlay import inner_of, options_of, wrap
from llama_index_streaming_ext.query.context.current_query import current_query, is_inside_llm_call
from llama_index_streaming_ext.query.engine_copy.classes import CopyRule, copy_rule_of
from llama_index_streaming_ext.query.engine_copy.copy import copy_of
from llama_index_streaming_ext.query.llms.query_llm import in_query
from llama_index_streaming_ext.threads.background_loop import on_background_loop


class _Met(NamedTuple):
    """What stands behind such an LLM."""

    llm: LLM
    to_the_end: bool


def bind_to_context(llm: LLM, *, to_the_end: bool = False) -> LLM:
    """An LLM that is `llm`, and whose calls are seen by the query that they are made in.

    Args:
        llm: any LLM. Of a `StructuredLLM`, the LLM in it counts.
        to_the_end: whether its calls go on when their query is stopped.

    Returns:
        The LLM; `llm` itself where that only says that it is one, as mocks do.
    """
    role = copy_rule_of(type(llm))
    if role is CopyRule.LLM:
        face = _MetToolLLM if isinstance(inner_of(llm), FunctionCallingLLM) else _MetLLM
        return wrap(llm, face, _Met(unbound(llm), to_the_end))
    if role is CopyRule.PART:
        return copy_of(llm, lambda inner: bind_to_context(inner, to_the_end=to_the_end))
    return llm


def unbound(llm: Any) -> Any:
    """What `met` was given, or `llm` itself if that is not one of its."""
    given: Any = llm
    if not isinstance(llm, _MetLLM):
        return given
    was, inner = options_of(given).llm, inner_of(given)
    if inner_of(was) is inner:
        return was
    # A copy of it, which may be set otherwise: what stood around the LLM stands around this one.
    return inner if inner_of(was) is was else wrap(inner, type(was).__bases__[1], options_of(was))


def _asked(name: str) -> Callable[..., Any]:
    def ask(self: LLM, *args: Any, **kwargs: Any) -> Any:
        # What comes back is as it is: a generator, a coroutine, an answer.
        return getattr(_for_this_call(self, name), name)(*args, **kwargs)

    ask.__name__ = ask.__qualname__ = name
    return ask


def _for_this_call(llm: LLM, name: str) -> LLM:
    inner, to_the_end = unbound(llm), options_of(llm).to_the_end
    query = current_query()
    if query is None or query.work.options is None or is_inside_llm_call():
        return inner
    if on_background_loop() and not name.startswith("a"):
        # It would wait for itself. So the loop is held up, as without us; what is asked is told by
        # core's instrumentation (`unseen.py`).
        return inner
    options = query.work.options
    return in_query(inner, replace(options, stop=None) if to_the_end else options)


class _MetLLM:
    """The methods that ask."""

    if not TYPE_CHECKING:
        __slots__ = ()

    chat = _asked("chat")
    achat = _asked("achat")
    stream_chat = _asked("stream_chat")
    astream_chat = _asked("astream_chat")
    complete = _asked("complete")
    acomplete = _asked("acomplete")
    stream_complete = _asked("stream_complete")
    astream_complete = _asked("astream_complete")
    structured_predict = _asked("structured_predict")
    astructured_predict = _asked("astructured_predict")


class _MetToolLLM(_MetLLM):
    """The methods that ask with tools."""

    if not TYPE_CHECKING:
        __slots__ = ()

    chat_with_tools = _asked("chat_with_tools")
    achat_with_tools = _asked("achat_with_tools")
    stream_chat_with_tools = _asked("stream_chat_with_tools")
    astream_chat_with_tools = _asked("astream_chat_with_tools")
