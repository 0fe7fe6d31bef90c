"""Attributes in which core's query engines and tools keep the parts that are replaced."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index import core
from llama_index.core import objects
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.indices.query.query_transform.base import StepDecomposeQueryTransform
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import (
    MultiStepQueryEngine,
    RetrieverRouterQueryEngine,
    SubQuestionQueryEngine,
    ToolRetrieverRouterQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import TreeSummarize
from llama_index.core.schema import TextNode
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.upstream.query_engines import (
    AQUERY,
    ENGINE_OF_NODE,
    QUERY,
    QUESTION_GENERATOR,
    STEP_ENGINE,
    SUB_QUESTION_ENGINES,
    TOOL_ENGINE,
    TOOL_RETRIEVER,
)

LLM = MockLLM()
# Core types these in part only.
SUMMARY_INDEX: Any = core.SummaryIndex
OBJECT_INDEX: Any = objects.ObjectIndex


@pytest.fixture
def engine() -> BaseQueryEngine:
    """Return a plain query engine."""
    return SUMMARY_INDEX([TextNode(text="x")]).as_query_engine(llm=LLM)


@pytest.fixture
def tool(engine: BaseQueryEngine) -> QueryEngineTool:
    """Return a tool that asks it."""
    return QueryEngineTool.from_defaults(engine, name="facts", description="facts")


def test_a_sub_question_engine_keeps_its_engines_and_its_generator(tool: QueryEngineTool) -> None:
    """The engines are in a dict by the names of their tools."""
    generator = LLMQuestionGenerator.from_defaults(llm=LLM)
    synthesizer = TreeSummarize(llm=LLM)
    made = SubQuestionQueryEngine(generator, synthesizer, [tool])
    assert SUB_QUESTION_ENGINES.of(made) == {"facts": tool.query_engine}
    assert QUESTION_GENERATOR.of(made) is generator


def test_a_multi_step_engine_keeps_its_engine(engine: BaseQueryEngine) -> None:
    """The engine that is asked in each step is an attribute."""
    transform = StepDecomposeQueryTransform(LLM)
    synthesizer = TreeSummarize(llm=LLM)
    made = MultiStepQueryEngine(engine, transform, synthesizer, index_summary="facts")
    assert STEP_ENGINE.of(made) is engine


def test_a_tool_keeps_its_engine(tool: QueryEngineTool) -> None:
    """The property `query_engine` shows the attribute that is replaced."""
    other: Any = object()
    TOOL_ENGINE.set(tool, other)
    assert tool.query_engine is other


def test_routers_that_retrieve_keep_what_they_retrieve_with(tool: QueryEngineTool) -> None:
    """One keeps a retriever of tools, the other a function of a node."""
    index = OBJECT_INDEX.from_objects([tool], index_cls=SUMMARY_INDEX)
    retriever = index.as_retriever()
    summarizer = TreeSummarize(llm=LLM)
    by_tools = ToolRetrieverRouterQueryEngine(retriever, llm=LLM, summarizer=summarizer)
    assert TOOL_RETRIEVER.of(by_tools) is retriever
    nodes = SUMMARY_INDEX([TextNode(text="x")]).as_retriever()

    def engine_of(node: Any) -> Any:
        return node

    by_nodes = RetrieverRouterQueryEngine(nodes, engine_of)
    assert ENGINE_OF_NODE.of(by_nodes) is engine_of


def test_engines_implement_these_methods() -> None:
    """`query` and `aquery` call the abstract methods."""
    assert {QUERY, AQUERY} <= BaseQueryEngine.__abstractmethods__
