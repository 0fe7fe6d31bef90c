"""One of each kind of query engine, over the library of the examples."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from llama_index.core import PromptHelper, SQLDatabase, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.evaluation import GuidelineEvaluator, RelevancyEvaluator
from llama_index.core.indices.query.query_transform import (
    HyDEQueryTransform,
    StepDecomposeQueryTransform,
)
from llama_index.core.indices.query.query_transform.feedback_transform import (
    FeedbackQueryTransformation,
)
from llama_index.core.indices.vector_store.retrievers import VectorIndexAutoRetriever
from llama_index.core.objects import ObjectIndex
from llama_index.core.query_engine import (
    CitationQueryEngine,
    MultiStepQueryEngine,
    NLSQLTableQueryEngine,
    RetrieverQueryEngine,
    RetryGuidelineQueryEngine,
    RetryQueryEngine,
    RetrySourceQueryEngine,
    RouterQueryEngine,
    SQLAutoVectorQueryEngine,
    SQLJoinQueryEngine,
    SubQuestionQueryEngine,
    ToolRetrieverRouterQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import (
    ResponseMode,
    TreeSummarize,
    get_response_synthesizer,  # pyright: ignore[reportUnknownVariableType] -- core's loose types
)
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.tools import QueryEngineTool
from llama_index.core.vector_stores.types import VectorStoreInfo
from pydantic import BaseModel

from tests.support.query.scripted import ScriptedLLM
from tests.support.query.users_engines import (
    Broken,
    Own,
    OwnAsync,
    OwnAsyncGenerator,
    OwnGenerator,
    OwnResponse,
    OwnStreaming,
    library,
)

QUESTION = "How high is the lighthouse, and which boat goes there?"


class Fact(BaseModel):
    """A structured answer that core can stream: it has a field `answer` (U63)."""

    answer: str
    metres: int


class Height(BaseModel):
    """A structured answer that core cannot stream."""

    place: str
    metres: int


# Retrievers and their synthesizers


def synthesizer(llm: Any, streaming: bool, mode: str = "compact", **options: Any) -> Any:
    """A synthesizer whose prompts are small, so that it needs several calls."""
    small = PromptHelper(chunk_size_limit=100)
    options.setdefault("prompt_helper", small)
    return get_response_synthesizer(
        llm=llm, response_mode=ResponseMode(mode), streaming=streaming, **options
    )


def of_mode(mode: str, **options: Any) -> Callable[[Any, bool], BaseQueryEngine]:
    """A BM25 retriever with a synthesizer of that mode."""
    return lambda llm, streaming: RetrieverQueryEngine(
        library.bm25(top_k=3), synthesizer(llm, streaming, mode, **options)
    )


def page(llm: Any, streaming: bool, *names: str, **options: Any) -> Any:
    """The shortest form: an index of some pages, as a query engine."""
    return library.vector_index(*names).as_query_engine(llm=llm, streaming=streaming, **options)


def _tools(llm: Any, streaming: bool) -> list[QueryEngineTool]:
    about = {"lighthouse": "About the lighthouse.", "ferries": "About boats and ferries."}
    return [
        QueryEngineTool.from_defaults(page(llm, streaming, name), name=name, description=what)
        for name, what in about.items()
    ]


# Engines over engines


def _sub_question(
    llm: Any, streaming: bool, *, use_async: bool = True, broken: bool = False
) -> BaseQueryEngine:
    tools = _tools(llm, streaming)
    if broken:
        tools[1] = QueryEngineTool.from_defaults(Broken(), name="ferries", description="Boats.")
    return SubQuestionQueryEngine.from_defaults(
        tools,
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=synthesizer(llm, streaming),
        use_async=use_async,
        verbose=False,
    )


def _router(selector: Any) -> Callable[[Any, bool], BaseQueryEngine]:
    def build(llm: Any, streaming: bool) -> BaseQueryEngine:
        return RouterQueryEngine.from_defaults(
            _tools(llm, streaming),
            llm=llm,
            selector=selector.from_defaults(llm=llm),
            summarizer=TreeSummarize(llm=llm, streaming=streaming),
        )

    return build


def _tool_router(llm: Any, streaming: bool) -> BaseQueryEngine:
    objects: Any = ObjectIndex
    index = objects.from_objects(
        _tools(llm, streaming), index_cls=VectorStoreIndex, embed_model=library.embedding()
    )
    found = index.as_retriever(similarity_top_k=2)
    summarizer = TreeSummarize(llm=llm, streaming=streaming)
    return ToolRetrieverRouterQueryEngine(found, summarizer=summarizer, llm=llm)


def _multi_step(llm: Any, streaming: bool) -> BaseQueryEngine:
    return MultiStepQueryEngine(
        page(llm, streaming),
        StepDecomposeQueryTransform(llm=llm, verbose=False),
        synthesizer(llm, streaming),
        index_summary="All about Quellmouth.",
        num_steps=2,
    )


def _hyde(llm: Any, streaming: bool) -> BaseQueryEngine:
    return TransformQueryEngine(page(llm, streaming), HyDEQueryTransform(llm=llm))


# Engines that ask again


def _retry(llm: Any, streaming: bool) -> BaseQueryEngine:
    return RetryQueryEngine(page(llm, streaming), RelevancyEvaluator(llm=llm))


def _retry_source(llm: Any, streaming: bool) -> BaseQueryEngine:
    return RetrySourceQueryEngine(page(llm, streaming), RelevancyEvaluator(llm=llm), llm=llm)


def _retry_guideline(llm: Any, streaming: bool) -> BaseQueryEngine:
    return RetryGuidelineQueryEngine(
        page(llm, streaming),
        GuidelineEvaluator(llm=llm),
        query_transformer=FeedbackQueryTransformation(llm=llm),
    )


# Engines over a database


def _sql(llm: Any, streaming: bool) -> NLSQLTableQueryEngine:
    tables: SQLDatabase = library.database()
    return NLSQLTableQueryEngine(
        tables, tables=["boats"], llm=llm, embed_model=library.embedding(), streaming=streaming
    )


def _sql_tool(llm: Any, streaming: bool) -> QueryEngineTool:
    return QueryEngineTool.from_defaults(
        _sql(llm, streaming), name="sql", description="The boats, and when they were launched."
    )


def _sql_join(llm: Any, streaming: bool) -> BaseQueryEngine:
    return SQLJoinQueryEngine(
        _sql_tool(llm, False),
        QueryEngineTool.from_defaults(page(llm, False), name="pages", description="The pages."),
        selector=LLMSingleSelector.from_defaults(llm=llm),
        llm=llm,
        verbose=False,
        streaming=streaming,
    )


def _sql_auto_vector(llm: Any, streaming: bool) -> BaseQueryEngine:
    info = VectorStoreInfo(content_info="Pages about Quellmouth", metadata_info=[])
    found = VectorIndexAutoRetriever(library.vector_index(), info, llm=llm)
    engine = RetrieverQueryEngine.from_args(found, llm=llm, streaming=streaming)
    tool = QueryEngineTool.from_defaults(engine, name="pages", description="The pages.")
    selector = LLMSingleSelector.from_defaults(llm=llm)
    # It has no `streaming` of its own.
    return SQLAutoVectorQueryEngine(
        _sql_tool(llm, streaming), tool, selector=selector, llm=llm, verbose=False
    )


# A user's own engines


def _own(kind: Any) -> Callable[[Any, bool], BaseQueryEngine]:
    return lambda llm, streaming: kind(llm=llm)


# All of them


@dataclass(frozen=True)
class Kind:
    """A kind of engine.

    Attributes:
        build: makes one of an LLM, and of whether it is to stream.
        rejects: how many evaluations find its answer bad.
        streams: whether its last step is a call that writes the answer, so that it can come in
            tokens.
        streamed_upstream: whether upstream's has its answer when built to stream (U53, U54, U63).
        truth: the kind whose text is the right one, where upstream gives none for this kind.
        both: whether there is a difference between `streaming=False` and `streaming=True`.
    """

    build: Callable[[Any, bool], BaseQueryEngine]
    rejects: int = 0
    streams: bool = True
    streamed_upstream: bool = True
    truth: str | None = None
    both: bool = True


def _mode(mode: str, **options: Any) -> Kind:
    accumulates = "accumulate" in mode
    streams = not accumulates and mode not in {"no_text", "context_only"}
    return Kind(of_mode(mode, **options), streams=streams, streamed_upstream=not accumulates)


def _asking_again(build: Callable[[Any, bool], BaseQueryEngine], rejects: int = 0) -> Kind:
    # The answer is known to be one when an evaluation has said so: it comes in one piece.
    return Kind(build, rejects=rejects, streams=False, streamed_upstream=False)


def _whole(build: Callable[[Any, bool], BaseQueryEngine], **options: Any) -> Kind:
    return Kind(build, streams=False, **options)


def _structured(mode: str, output_cls: type[BaseModel], **options: Any) -> Kind:
    build = of_mode(mode, output_cls=output_cls, prompt_helper=None)
    return Kind(build, streams=False, streamed_upstream=False, **options)


KINDS: dict[str, Kind] = {
    **{mode.value: _mode(mode.value) for mode in ResponseMode},
    "tree_summarize_async": _mode("tree_summarize", use_async=True),
    "accumulate_async": _mode("accumulate", use_async=True),
    "refine_structured": _whole(of_mode("refine", structured_answer_filtering=True)),
    "output_cls": _structured("compact", Fact),
    "output_cls_other": _structured("compact", Height, both=False),
    "output_cls_tree": _structured("tree_summarize", Height),
    "as_query_engine": Kind(page),
    "as_query_engine_summary": Kind(
        lambda llm, streaming: library.summary_index("museum").as_query_engine(
            llm=llm, streaming=streaming, response_mode="tree_summarize"
        )
    ),
    "citation": Kind(
        lambda llm, streaming: CitationQueryEngine.from_args(
            library.vector_index(), llm=llm, streaming=streaming
        )
    ),
    "sub_question": Kind(_sub_question),
    "sub_question_sync": Kind(
        lambda llm, streaming: _sub_question(llm, streaming, use_async=False)
    ),
    "sub_question_broken": Kind(lambda llm, streaming: _sub_question(llm, streaming, broken=True)),
    "router_single": Kind(_router(LLMSingleSelector)),
    "router_multi": Kind(_router(LLMMultiSelector)),
    "router_pydantic_single": Kind(_router(PydanticSingleSelector)),
    "router_pydantic_multi": Kind(_router(PydanticMultiSelector)),
    "tool_router": Kind(_tool_router),
    "multi_step": Kind(_multi_step),
    "hyde": Kind(_hyde),
    "retry": _asking_again(_retry),
    "retry_twice": _asking_again(_retry, rejects=1),
    "retry_source": _asking_again(_retry_source),
    "retry_source_twice": _asking_again(_retry_source, rejects=1),
    "retry_guideline": _asking_again(_retry_guideline),
    "retry_guideline_twice": _asking_again(_retry_guideline, rejects=1),
    # U51: its synthesizer is made during the query, out of reach.
    "sql": Kind(_sql),
    "sql_join": Kind(_sql_join),
    "sql_auto_vector": Kind(_sql_auto_vector),
    "own_text": _whole(_own(Own), both=False),
    "own_response": _whole(_own(OwnResponse), both=False),
    "own_async": _whole(_own(OwnAsync), both=False),
    "own_generator": Kind(_own(OwnGenerator), truth="own_text", both=False),
    "own_async_generator": Kind(_own(OwnAsyncGenerator), truth="own_text", both=False),
    "own_streaming": Kind(_own(OwnStreaming), truth="own_response", both=False),
}
"""All kinds, by name."""

WAYS = [
    (name, streaming)
    for name, kind in KINDS.items()
    for streaming in ((False, True) if kind.both else (False,))
]
"""Every kind, built without streaming and with it."""


def build(name: str, streaming: bool = False, **options: Any) -> tuple[Any, ScriptedLLM, str]:
    """An engine, the only LLM that it asks, and a question for it.

    Args:
        name: one of `KINDS`.
        streaming: whether the engine is built to stream.
        **options: of the LLM.
    """
    kind = KINDS[name]
    llm = ScriptedLLM(rejects=kind.rejects, **options)
    return kind.build(llm, streaming), llm, QUESTION


def query(engine: Any, question: str) -> Any:
    """What an engine gives when it is asked in a thread: core leaves an event loop in the main one.

    Args:
        engine: the engine.
        question: what to ask it.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(engine.query, question).result()
