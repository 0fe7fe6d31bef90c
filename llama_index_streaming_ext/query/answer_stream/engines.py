"""Have the LLM call that writes the answer stream, and no other.

Core streams where a flag says so: `_streaming` of a synthesizer, or of an engine that asks by
itself. `stream_last_call` sets the flags of a query's own copy of an engine, whatever they were:

| engine | its answer is written by | what is done, and why |
|---|---|---|
| RetrieverQueryEngine, Citation | its synthesizer | it streams |
| KnowledgeGraph | its synthesizer | it streams; not with `verbose`, which prints the response: that drains it (U54), or freezes the loop (U57) |
| NLSQLTable, SQLTableRetriever, PGVector | a synthesizer made during the query | `_streaming` of the engine; with `synthesize_response=False` no LLM is asked |
| Transform | the engine within | as that engine |
| Router | the engine that is selected; of several, the summarizer | where one is selected, it streams; where several are, they are complete, and the summarizer streams |
| ToolRetrieverRouter | as Router, by how many are retrieved | as Router |
| RetrieverRouter | the engine that its function makes | as that engine, always sync |
| SubQuestion | its synthesizer | it streams; core does `str(response)` of the sub-answers: they are complete (U57) |
| MultiStep | its synthesizer | it streams; core does `str(response)` of the steps: they are complete |
| Retry, RetrySource, RetryGuideline | the engine within | complete, since the answer is given after its evaluation: core hands out a drained stream (U54); with `max_retries=0` there is no evaluation, and it streams |
| SQLJoin, SQLAutoVector | the engine that is selected, or a call of its own | `_streaming` of the engine; the engines within are complete, but for one whose answer is handed on |
| ComposableGraph | the synthesizer of the root's custom engine | it streams; the others are complete |
| FLARE | one of several calls, unknown beforehand | the engine within is complete: core raises at a stream |
| JSON, NLStructStore, SimpleMultiModal | a call that core never streams | nothing |
| users' own, also those derived of core's with their own `_query` | unknown | nothing: it may take the text at once |

| synthesizer | |
|---|---|
| compact, refine | every step streams, since there is one flag; core reads all but the last to their end. |
| tree_summarize, simple_summarize, generation | only the last call streams |
| accumulate, compact_accumulate | cannot (U53: ValueError) |
| no_text, context_only | ask no LLM |
| with `output_cls`, or over a StructuredLLM | cannot (U63: a field named `answer` only, or an error); the object comes whole, and is shown while it is written: `structuring.py` |
| with `structured_answer_filtering` | cannot: core waits for the whole object, and some programs have no stream |
| users' own | left as it is |

What comes back is, for sync, a StreamingResponse where the last call streams; for async, an
AsyncStreamingResponse, but of SQLJoin, SQLAutoVector, RetrieverRouter, ComposableGraph and of
Retry with `max_retries=0`, whose async methods are sync ones, a StreamingResponse. Elsewhere it is
a Response or a PydanticResponse.
"""  # noqa: E501 -- tables

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.indices.struct_store.sql_query import BaseSQLTableQueryEngine
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.query_engine import (
    CitationQueryEngine,
    ComposableGraphQueryEngine,
    FLAREInstructQueryEngine,
    KnowledgeGraphQueryEngine,
    MultiStepQueryEngine,
    RetrieverQueryEngine,
    RetrieverRouterQueryEngine,
    RetryGuidelineQueryEngine,
    RetryQueryEngine,
    RetrySourceQueryEngine,
    RouterQueryEngine,
    SQLJoinQueryEngine,
    SubQuestionQueryEngine,
    ToolRetrieverRouterQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.response_synthesizers.generation import Generation
from llama_index.core.response_synthesizers.refine import Refine
from llama_index.core.response_synthesizers.simple_summarize import SimpleSummarize
from llama_index.core.response_synthesizers.tree_summarize import TreeSummarize
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.query.answer_stream.structured import (
    check_structure,
    hide_object,
    show_object,
)
from llama_index_streaming_ext.query.engine_copy.method_hooks import (
    ObjectProxy,
    hook_method,
    is_face,
    part_of,
    twin,
    with_part,
)
from llama_index_streaming_ext.query.engine_copy.retrieved_engines import finds, on_found
from llama_index_streaming_ext.query.response.complete import (
    acomplete,
    afinished,
    complete,
    finished,
)
from llama_index_streaming_ext.upstream.methods import is_cores_own
from llama_index_streaming_ext.upstream.query_engines import (
    AQUERY,
    CUSTOM_ENGINES,
    ENGINE_HOLDERS,
    GRAPH,
    INNER_ENGINE,
    JOINS,
    OTHER_TOOL,
    QUERY,
    ROUTED_ENGINES,
    SELECTOR,
    SQL_TOOL,
    SUMMARIZER,
    SYNTHESIZER,
    VERBOSE,
)
from llama_index_streaming_ext.upstream.state import state_of
from llama_index_streaming_ext.upstream.streaming_flags import STREAMING, SYNTHESIZERS
from llama_index_streaming_ext.upstream.synthesizers import filters_answers, llm_of, output_cls_of

__all__ = ["acomplete", "complete", "stream_last_call"]

_Change = Callable[[Any], None]

_BY = "llama_index_streaming_ext.query.answer_stream.engines"

_STREAMING = (Refine, TreeSummarize, SimpleSummarize, Generation)
"""The synthesizers that can stream, with those derived of them."""

_ANSWERS = ("synthesize", "get_response", "get_response_from_messages")


def stream_last_call(engine_copy: Any, *, is_async: bool) -> None:
    """Have the call that writes the answer of an engine stream, where it can.

    The engine is changed. What it holds is not: it gets its own shallow copies, as one synthesizer
    or engine may have a part in several others, of which one streams and one does not. It may be
    called before or after `observe`.

    Args:
        engine_copy: a query's own copy of a query engine (`copy_of`).
        is_async: whether it is going to be asked by `aquery`.
    """
    _stream(engine_copy, is_async)


def _stream(engine: Any, is_async: bool) -> None:
    """Have an engine, which is nobody else's, stream its answer."""
    names = ("aquery", AQUERY) if is_async else ("query", QUERY)
    if not _is_cores(engine, *names):
        return
    for kinds, change in _ROLES:
        if isinstance(engine, kinds):
            change(engine, is_async)
            return


def _complete(engine: Any) -> None:
    """Have an engine, which is nobody else's, give complete answers, and all that it holds."""
    if _is_cores(engine, "query", QUERY, "aquery", AQUERY):
        _silence(engine)
    _finish(engine)


def _silence(engine: Any) -> None:
    for name in SYNTHESIZERS:
        _change_part(engine, name, _stream_not)
    for name in ENGINE_HOLDERS:
        _change_part(engine, name, _complete)
    if isinstance(engine, BaseSQLTableQueryEngine | SQLJoinQueryEngine):
        state_of(engine)[STREAMING] = False
    if finds(engine):
        on_found(engine, change=_complete_all)


def _complete_all(engines: Sequence[Any], _: Sequence[Any] = ()) -> None:
    for engine in engines:
        _complete(engine)


def _finish(engine: Any) -> None:
    """Have what still streams read to its end."""
    for name in ("query", QUERY):
        hook_method(engine, name, _finished, by=_BY)
    for name in ("aquery", AQUERY):
        hook_method(engine, name, _afinished, by=_BY)


def _finished(ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return finished(ask(*args, **kwargs))


async def _afinished(ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return await afinished(await ask(*args, **kwargs))


# What streams in each engine


def _stream_synthesizer(engine: Any, is_async: bool) -> None:
    # U57: a verbose knowledge graph engine prints its response.
    prints = isinstance(engine, KnowledgeGraphQueryEngine) and state_of(engine)[VERBOSE]
    _change_part(engine, SYNTHESIZER, _stream_not if prints else _stream_if_can)


def _stream_own_call(engine: Any, is_async: bool) -> None:
    state_of(engine)[STREAMING] = not isinstance(llm_of(engine), StructuredLLM)


def _stream_within(engine: Any, is_async: bool) -> None:
    _change_part(engine, INNER_ENGINE, lambda inner: _stream(inner, is_async))


def _stream_after_parts(engine: Any, is_async: bool) -> None:
    _silence(engine)
    _change_part(engine, SYNTHESIZER, _stream_if_can)


def _stream_if_never_tried_again(engine: Any, is_async: bool) -> None:
    if engine.max_retries <= 0:
        _stream_within(engine, is_async=False)
    else:
        _silence(engine)


def _stream_selected(engine: Any, is_async: bool) -> None:
    candidates: list[Any] = []

    def change(inner: Any) -> None:
        _stream(inner, is_async)
        candidates.append(inner)

    def selected(indexes: list[int]) -> None:
        if len(indexes) > 1:
            _complete_all(candidates)

    _on_selected(engine, selected)
    _change_part(engine, ROUTED_ENGINES, change)
    _change_part(engine, SUMMARIZER, _stream_if_can)


def _stream_found(engine: Any, is_async: bool) -> None:
    def change(engines: Sequence[Any], _: Sequence[Any]) -> None:
        for inner in engines:
            if len(engines) > 1:
                _complete(inner)
            else:
                _stream(inner, is_async)

    on_found(engine, change=change)
    _change_part(engine, SUMMARIZER, _stream_if_can)


def _stream_made(engine: Any, is_async: bool) -> None:
    def change(engines: Sequence[Any], _: Sequence[Any]) -> None:
        for inner in engines:
            _stream(inner, is_async=False)

    on_found(engine, change=change)


def _stream_join(engine: Any, is_async: bool) -> None:
    others: list[Any] = []
    joins = state_of(engine)[JOINS]

    def change(other: Any) -> None:
        _stream(other, is_async=False)
        others.append(other)

    def selected(indexes: list[int]) -> None:
        if indexes != [1]:
            _complete_all(others)

    _on_selected(engine, selected)
    sql_change = _complete if joins else partial(_stream, is_async=False)
    _change_part(engine, SQL_TOOL, sql_change)
    _change_part(engine, OTHER_TOOL, change)
    _stream_own_call(engine, is_async)


def _stream_root(engine: Any, is_async: bool) -> None:
    _silence(engine)
    state = state_of(engine)
    root = state[GRAPH].root_id
    engines: dict[str, Any] = state[CUSTOM_ENGINES]
    if root in engines:
        streaming = _changed(engines[root], lambda inner: _stream(inner, is_async=False))
        state[CUSTOM_ENGINES] = {**engines, root: streaming}


_ROLES: tuple[tuple[Any, Callable[[Any, bool], None]], ...] = (
    (RetrieverQueryEngine | CitationQueryEngine | KnowledgeGraphQueryEngine, _stream_synthesizer),
    (BaseSQLTableQueryEngine, _stream_own_call),
    (TransformQueryEngine, _stream_within),
    (RouterQueryEngine, _stream_selected),
    (ToolRetrieverRouterQueryEngine, _stream_found),
    (RetrieverRouterQueryEngine, _stream_made),
    (SubQuestionQueryEngine | MultiStepQueryEngine, _stream_after_parts),
    (
        RetryQueryEngine | RetrySourceQueryEngine | RetryGuidelineQueryEngine,
        _stream_if_never_tried_again,
    ),
    (SQLJoinQueryEngine, _stream_join),
    (ComposableGraphQueryEngine, _stream_root),
    (FLAREInstructQueryEngine, lambda engine, _: _silence(engine)),
)


# Parts


def _stream_if_can(synthesizer: Any) -> None:
    if _is_cores(synthesizer, *_ANSWERS, *(f"a{name}" for name in _ANSWERS)):
        state_of(synthesizer)[STREAMING] = _can_stream(synthesizer)
        check_structure(synthesizer)
        show_object(synthesizer)


def _stream_not(synthesizer: Any) -> None:
    if _is_cores(synthesizer, *_ANSWERS, *(f"a{name}" for name in _ANSWERS)):
        state_of(synthesizer)[STREAMING] = False
        hide_object(synthesizer)


def _can_stream(synthesizer: Any) -> bool:
    structured = (
        isinstance(llm_of(synthesizer), StructuredLLM)
        or output_cls_of(synthesizer) is not None
        or filters_answers(synthesizer)
    )
    return isinstance(synthesizer, _STREAMING) and not structured


def _on_selected(engine: Any, tell: Callable[[list[int]], None]) -> None:
    """Have the engine's selector tell what it selects, before anything of it is asked."""

    def select(ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = ask(*args, **kwargs)
        tell(result.inds)
        return result

    async def aselect(
        ask: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = await ask(*args, **kwargs)
        tell(result.inds)
        return result

    hooks = {"select": select, "aselect": aselect}
    state = state_of(engine)
    state[SELECTOR] = ObjectProxy(state[SELECTOR], hooks, by=_BY)


def _change_part(holder: Any, name: str, change: _Change) -> None:
    """Have a holder hold changed copies of what it holds by that name, if anything."""
    state = state_of(holder)
    if name in state:
        state[name] = _changed_all(state[name], change)


def _changed_all(held: Any, change: _Change) -> Any:
    if isinstance(held, dict):
        named = cast("dict[Any, Any]", held)
        return {key: _changed(part, change) for key, part in named.items()}
    if isinstance(held, list):
        return [_changed(part, change) for part in cast("list[Any]", held)]
    return _changed(held, change)


def _changed(part: Any, change: _Change) -> Any:
    if is_face(part):
        return with_part(part, _changed(part_of(part), change))
    if not isinstance(part, BaseQueryEngine | BaseSynthesizer | QueryEngineTool):
        return part
    copy: Any = twin(part)
    if isinstance(copy, QueryEngineTool):
        _change_part(copy, INNER_ENGINE, change)
    else:
        change(copy)
    return copy


def _is_cores(obj: object, *names: str) -> bool:
    """Return True if these methods of an object are core's, so that their work is known."""
    return is_cores_own(type(obj), *names)
