"""One of each of core's engines, built around an LLM, and what that LLM answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core import (
    DocumentSummaryIndex,
    KeywordTableIndex,
    MockEmbedding,
    SQLDatabase,
    SummaryIndex,
    TreeIndex,
    VectorStoreIndex,
)
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.evaluation import GuidelineEvaluator, RelevancyEvaluator
from llama_index.core.indices.document_summary.retrievers import DocumentSummaryIndexLLMRetriever
from llama_index.core.indices.query.query_transform import (
    HyDEQueryTransform,
    StepDecomposeQueryTransform,
)
from llama_index.core.indices.query.query_transform.base import DecomposeQueryTransform
from llama_index.core.indices.query.query_transform.feedback_transform import (
    FeedbackQueryTransformation,
)
from llama_index.core.indices.vector_store.retrievers import VectorIndexAutoRetriever
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.objects import ObjectIndex
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.query_engine import (
    CitationQueryEngine,
    CustomQueryEngine,
    FLAREInstructQueryEngine,
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
from llama_index.core.response_synthesizers import TreeSummarize
from llama_index.core.retrievers import QueryFusionRetriever, RouterRetriever
from llama_index.core.schema import Document, TextNode
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.tools import QueryEngineTool, RetrieverTool
from llama_index.core.vector_stores.types import VectorStoreInfo
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy import text as sql_text

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from llama_index_streaming_ext.testing.script.request import Request

EMBEDDING = MockEmbedding(4)


class Person(BaseModel):
    """What structured answers are."""

    name: str


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "Person": {"name": "Ada"},
    "SingleSelection": {"index": 1, "reason": "it fits"},
    "MultiSelection": {"selections": [{"index": n, "reason": "it fits"} for n in (1, 2)]},
    "StructuredRefineResponse": {"answer": "a fact", "query_satisfied": True},
}

_PHRASES: dict[str, str] = {
    "<Tools>": '```json\n{"items": [{"sub_question": "why?", "tool_name": "t0"}, '
    '{"sub_question": "how?", "tool_name": "t1"}]}\n```',
    "return the choice that is most": '[{"choice": 1, "reason": "it fits"}]',
    "return the top choices": '[{"choice": 1, "reason": "it fits"}, {"choice": 2, "reason": "so"}]',
    "structured_request": '```json\n{"query": "q", "filters": []}\n```',
    "create a syntactically correct": "SELECT name FROM people\nSQLResult:",
    "Skill": "[Search(what?)] then",
    "A list of documents is shown": "Doc: 1, Relevance: 9\nDoc: 2, Relevance: 8",
    "ANSWER:": "ANSWER: 1",
    "Either YES/ NO": "YES",
    "still answer YES": "YES",
    "provide keywords": "KEYWORDS: fact, number",
    "extract up to": "KEYWORDS: fact, number",
}


def answered(request: Request) -> Turn:
    """The answer that lets any engine get on, told from what the prompt asks for."""
    for name in request.tool_names:
        return Turn(tool_call(name, **_ARGUMENTS[name]))
    if "guidelines" in request.text:
        passing = "false" if "never" in request.text else "true"
        return Turn(text(f'{{"passing": {passing}, "feedback": "so"}}'))
    found = (answer for phrase, answer in _PHRASES.items() if phrase in request.text)
    return Turn(text(next(found, "It is so."), " Indeed."))


def fake(**options: Any) -> FakeStreamingLLM:
    """An LLM that any engine gets on with."""
    return FakeStreamingLLM(answered, **options)


def nodes(count: int = 3) -> list[Any]:
    """Some text to find."""
    return [TextNode(text=f"fact number {n}", id_=f"n{n}") for n in range(count)]


def vectors(count: int = 3) -> VectorStoreIndex:
    """An index that needs no LLM."""
    return VectorStoreIndex(nodes(count), embed_model=EMBEDDING)


def plain(llm: Any, *, count: int = 3, **options: Any) -> Any:
    """A retriever and a synthesizer."""
    index: Any = vectors(count)
    return index.as_query_engine(llm=llm, **options)


def tools(llm: Any) -> list[QueryEngineTool]:
    """Two tools, each with an engine of its own."""
    return [
        QueryEngineTool.from_defaults(plain(llm), name=f"t{n}", description=f"facts {n}")
        for n in range(2)
    ]


def _sql(llm: Any) -> NLSQLTableQueryEngine:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(sql_text("CREATE TABLE people (name TEXT)"))
        connection.execute(sql_text("INSERT INTO people VALUES ('Ada')"))
    return NLSQLTableQueryEngine(
        SQLDatabase(engine), tables=["people"], llm=llm, embed_model=EMBEDDING
    )


def _sql_tool(llm: Any) -> QueryEngineTool:
    return QueryEngineTool.from_defaults(_sql(llm), name="sql", description="people")


def _auto_vector(llm: Any) -> Any:
    info = VectorStoreInfo(content_info="facts", metadata_info=[])
    retriever = VectorIndexAutoRetriever(vectors(), info, llm=llm)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm)
    tool = QueryEngineTool.from_defaults(engine, name="v", description="facts")
    return SQLAutoVectorQueryEngine(
        _sql_tool(llm), tool, selector=LLMSingleSelector.from_defaults(llm=llm), llm=llm
    )


class Custom(CustomQueryEngine):
    """A user's engine, as the documents show it."""

    llm: Any

    def custom_query(self, query_str: str) -> str:
        """Ask the LLM."""
        return str(self.llm.complete(query_str))


def _sub_question(llm: Any) -> Any:
    return SubQuestionQueryEngine.from_defaults(
        tools(llm),
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        verbose=False,
    )


def _router(llm: Any, selector: Any) -> Any:
    made = selector.from_defaults(llm=llm)
    return RouterQueryEngine.from_defaults(tools(llm), llm=llm, selector=made)


def _tool_router(llm: Any) -> Any:
    made: Any = ObjectIndex  # core's types are loose
    index = made.from_objects(tools(llm), index_cls=VectorStoreIndex, embed_model=EMBEDDING)
    return ToolRetrieverRouterQueryEngine(
        index.as_retriever(similarity_top_k=2), summarizer=TreeSummarize(llm=llm), llm=llm
    )


def _multi_step(llm: Any) -> Any:
    synthesizer = TreeSummarize(llm=llm)
    return MultiStepQueryEngine(
        plain(llm), StepDecomposeQueryTransform(llm=llm), synthesizer, num_steps=2
    )


def _guideline(llm: Any) -> Any:
    return RetryGuidelineQueryEngine(
        plain(llm),
        GuidelineEvaluator(llm=llm),
        query_transformer=FeedbackQueryTransformation(llm=llm),
    )


def _fusion(llm: Any) -> Any:
    retriever = QueryFusionRetriever([vectors().as_retriever()], llm=llm, use_async=False)
    return RetrieverQueryEngine.from_args(retriever, llm=llm)


def _router_retriever(llm: Any) -> Any:
    offered = [RetrieverTool.from_defaults(vectors().as_retriever(), description="facts")] * 2
    selector = LLMMultiSelector.from_defaults(llm=llm)
    retriever = RouterRetriever.from_defaults(offered, llm=llm, selector=selector)
    return RetrieverQueryEngine.from_args(retriever, llm=llm)


def _summaries(llm: Any) -> DocumentSummaryIndex:
    document = Document(text="fact number 0", doc_id="d0")
    return DocumentSummaryIndex.from_documents([document], llm=llm, embed_model=EMBEDDING)


def _summary_retriever(llm: Any) -> Any:
    retriever = DocumentSummaryIndexLLMRetriever(_summaries(llm), llm=llm)
    return RetrieverQueryEngine.from_args(retriever, llm=llm)


def _citation(llm: Any) -> Any:
    made: Any = CitationQueryEngine  # core's types are loose
    return made.from_args(vectors(), llm=llm)


def _summary(found: list[Any], llm: Any) -> Any:
    return SummaryIndex(found)


def _summary_engine(llm: Any) -> Any:
    index: Any = _summaries(llm)
    return index.as_query_engine(llm=llm)


def _of_index(make: Callable[..., Any], **options: Any) -> Callable[[Any], Any]:
    """An engine over an index that was built with the LLM: a tree's retriever asks that one."""
    return lambda llm: make(nodes(), llm=llm).as_query_engine(llm=llm, **options)


QUERY_ENGINES: dict[str, Callable[[Any], Any]] = {
    "citation": _citation,
    "sub_question": _sub_question,
    "router_single": lambda llm: _router(llm, LLMSingleSelector),
    "router_multi": lambda llm: _router(llm, LLMMultiSelector),
    "router_pydantic_single": lambda llm: _router(llm, PydanticSingleSelector),
    "router_pydantic_multi": lambda llm: _router(llm, PydanticMultiSelector),
    "tool_router": _tool_router,
    "multi_step": _multi_step,
    "hyde": lambda llm: TransformQueryEngine(plain(llm), HyDEQueryTransform(llm=llm)),
    "decompose": lambda llm: TransformQueryEngine(
        plain(llm), DecomposeQueryTransform(llm=llm), {"index_summary": "facts"}
    ),
    "retry": lambda llm: RetryQueryEngine(plain(llm), RelevancyEvaluator(llm=llm)),
    "retry_failing": lambda llm: RetryQueryEngine(
        plain(llm), GuidelineEvaluator(llm=llm, guidelines="never"), max_retries=2
    ),
    "retry_source": lambda llm: RetrySourceQueryEngine(
        plain(llm), RelevancyEvaluator(llm=llm), llm=llm
    ),
    "retry_guideline": _guideline,
    "sql": _sql,
    "sql_join": lambda llm: SQLJoinQueryEngine(
        _sql_tool(llm),
        tools(llm)[0],
        selector=LLMSingleSelector.from_defaults(llm=llm),
        llm=llm,
    ),
    "sql_auto_vector": _auto_vector,
    "custom": lambda llm: Custom(llm=llm),
    "flare": lambda llm: FLAREInstructQueryEngine(plain(llm), llm=llm, max_iterations=2),
    "rerank": lambda llm: plain(llm, node_postprocessors=[LLMRerank(llm=llm, top_n=1)]),
    "fusion": _fusion,
    "router_retriever": _router_retriever,
    "structured": lambda llm: plain(llm.as_structured_llm(Person)),
    "summary": _of_index(_summary),
    "summary_llm": lambda llm: RetrieverQueryEngine.from_args(
        SummaryIndex(nodes()).as_retriever(retriever_mode="llm", llm=llm), llm=llm
    ),
    "tree": _of_index(TreeIndex),
    "tree_all": _of_index(TreeIndex, retriever_mode="all_leaf"),
    "tree_root": _of_index(TreeIndex, retriever_mode="root"),
    "keyword": _of_index(KeywordTableIndex),
    "document_summary": _summary_engine,
    "document_summary_llm": _summary_retriever,
}
"""Query engines by name, each made of an LLM."""


def memory() -> ChatMemoryBuffer:
    """A memory of lists: the default one opens a database."""
    return ChatMemoryBuffer(token_limit=10_000, tokenizer_fn=str.split)


CHAT_ENGINES: dict[str, Callable[[Any], Any]] = {
    "simple": lambda llm: SimpleChatEngine.from_defaults(llm=llm, memory=memory()),
    "context": lambda llm: ContextChatEngine.from_defaults(
        vectors().as_retriever(), llm=llm, memory=memory()
    ),
    "condense_question": lambda llm: CondenseQuestionChatEngine.from_defaults(
        plain(llm), llm=llm, memory=memory()
    ),
    "condense_plus_context": lambda llm: CondensePlusContextChatEngine.from_defaults(
        vectors().as_retriever(), llm=llm, memory=memory()
    ),
}
"""Chat engines by name, each made of an LLM."""
