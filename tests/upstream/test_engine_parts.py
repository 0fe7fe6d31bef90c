"""How core's engines hold their LLMs, which a copy of an engine builds on."""

from __future__ import annotations

from types import MethodType
from typing import Any

import pytest
from llama_index.core import MockEmbedding, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.evaluation import BaseEvaluator, EvaluationResult
from llama_index.core.indices.query.query_transform.feedback_transform import (
    FeedbackQueryTransformation,
)
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.objects import ObjectIndex
from llama_index.core.postprocessor import AutoPrevNextNodePostprocessor
from llama_index.core.query_engine import RetryQueryEngine
from llama_index.core.response_synthesizers import CompactAndRefine, Refine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from tests.support.upstream.llms import SyncLLM

NODES = [TextNode(text="a fact")]


class NeverPasses(BaseEvaluator):
    """An evaluator that needs no LLM."""

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: dict[str, Any]) -> None:
        """There are none."""

    async def aevaluate(self, *args: Any, **kwargs: Any) -> EvaluationResult:
        """Say no."""
        return EvaluationResult(passing=False, feedback="no", response="so")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for every time that core looks up `Settings.llm`."""
    found: list[str] = []

    def default_llm(_: object) -> SyncLLM:
        found.append("llm")
        return SyncLLM("hello")

    settings: Any = type(Settings)  # the class is private, the object is not
    monkeypatch.setattr(settings, "llm", property(default_llm))
    return found


def engine(llm: Any) -> Any:
    """A retriever and a synthesizer."""
    index: Any = SummaryIndex(NODES)
    return index.as_query_engine(llm=llm)


def test_refine_holds_a_bound_method() -> None:
    """A Refine makes its programs by a method that is bound to it: a copy must bind its own."""
    refine: Any = Refine(llm=SyncLLM("hello"))
    assert type(refine._program_factory) is MethodType
    assert refine._program_factory.__self__ is refine


def test_spans_make_no_methods() -> None:
    """A method with a span is no MethodType when bound, though it says so; it has a `__self__`."""
    made = engine(SyncLLM("hello"))
    assert type(made.query) is type(BaseQueryEngine.query)
    assert type(made.query) is not MethodType
    assert isinstance(made.query, MethodType)
    assert made.query.__self__ is made
    assert made.query.__name__ == "query"


def test_structured_llm_asks_the_one_in_it() -> None:
    """A StructuredLLM is a model whose field `llm` answers for it."""

    class Person(BaseModel):
        name: str

    llm = SyncLLM("hello")
    structured = llm.as_structured_llm(Person)
    assert type(structured) is StructuredLLM
    assert structured.llm is llm


def test_tools_of_an_object_index_are_in_its_mapping() -> None:
    """A retriever of tools holds the tools themselves, by way of its mapping of nodes."""
    tool = QueryEngineTool.from_defaults(engine(SyncLLM("hello")), name="t", description="facts")
    made: Any = ObjectIndex  # core's types are loose
    index = made.from_objects([tool], index_cls=VectorStoreIndex, embed_model=MockEmbedding(2))
    assert tool in index.as_retriever()._object_node_mapping._tools.values()


def test_u60_condense_question_writes_to_the_synthesizer() -> None:
    """U60: while it chats, a condense-question engine sets `_streaming` on its engine's part."""
    made = engine(SyncLLM("hello"))
    noted: list[str] = []

    class Watched(CompactAndRefine):
        def __setattr__(self, name: str, value: Any) -> None:
            noted.append(name)
            super().__setattr__(name, value)

    made._response_synthesizer = Watched(llm=SyncLLM("hello"))
    noted.clear()
    memory = ChatMemoryBuffer(token_limit=1000, tokenizer_fn=str.split)
    chat: Any = CondenseQuestionChatEngine.from_defaults(made, llm=SyncLLM("hi"), memory=memory)
    chat.chat("why?")
    assert noted == ["_streaming", "_streaming"]


def test_feedback_transformation_keeps_the_evaluation() -> None:
    """A feedback transformation sets an attribute on itself each time that it runs."""
    transform: Any = FeedbackQueryTransformation(llm=SyncLLM("hello"))
    evaluation = EvaluationResult(passing=False, feedback="no", response="so")
    transform.run(QueryBundle("why?"), {"evaluation": evaluation})
    assert transform.evaluation is evaluation


def test_retry_looks_up_the_default_llm(asked: list[str]) -> None:
    """A RetryQueryEngine looks up `Settings.llm` during a query, to transform it."""
    retry = RetryQueryEngine(engine(SyncLLM("hello")), NeverPasses(), max_retries=1)
    asked.clear()
    str(retry.query("why?"))
    assert asked


def test_auto_prev_next_looks_up_the_default_llm(asked: list[str]) -> None:
    """A postprocessor without an LLM looks up `Settings.llm` when it runs, not when it is made."""
    store = SimpleDocumentStore()
    store.add_documents(NODES)
    processor = AutoPrevNextNodePostprocessor(docstore=store)
    assert not asked
    with pytest.raises(ValueError, match="Invalid prediction"):
        processor.postprocess_nodes([NodeWithScore(node=NODES[0])], query_str="why?")
    assert asked
