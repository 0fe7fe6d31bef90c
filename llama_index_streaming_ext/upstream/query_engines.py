"""Private attributes and methods of core's query engines, and of the parts in them.

Canary: `tests/upstream/test_query_engine_attributes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index_streaming_ext.upstream.state import PrivateAttribute

QUERY, AQUERY = "_query", "_aquery"
"""The methods that an engine's class implements; some of core's engines call those of others."""

SUB_QUESTION_ENGINES = PrivateAttribute[dict[str, Any]]("_query_engines")
"""The engines of a `SubQuestionQueryEngine`, by the names of their tools."""

QUESTION_GENERATOR = PrivateAttribute[Any]("_question_gen")
"""The question generator of a `SubQuestionQueryEngine`."""

STEP_ENGINE = PrivateAttribute[Any]("_query_engine")
"""The engine that a `MultiStepQueryEngine` asks step by step."""

TOOL_ENGINE = PrivateAttribute[Any]("_query_engine")
"""The engine of a `QueryEngineTool`; its property has no setter."""

TOOL_RETRIEVER = PrivateAttribute[Any]("_retriever")
"""The retriever with which a `ToolRetrieverRouterQueryEngine` finds its tools."""

ENGINE_OF_NODE = PrivateAttribute[Callable[..., Any]]("_node_to_query_engine_fn")
"""The function with which a `RetrieverRouterQueryEngine` makes an engine of a node."""

SYNTHESIZER, SUMMARIZER = "_response_synthesizer", "_summarizer"
"""The attributes with the synthesizer of an engine's answer."""

INNER_ENGINE, ROUTED_ENGINES = "_query_engine", "_query_engines"
"""The attributes with the engine, or the engines, that an engine or a tool asks."""

CUSTOM_ENGINES, GRAPH = "_custom_query_engines", "_graph"
"""The attributes of a `ComposableGraphQueryEngine`: its engines by index ids, and its graph."""

SQL_TOOL, OTHER_TOOL = "_sql_query_tool", "_other_query_tool"
"""The attributes with the two tools of a `SQLJoinQueryEngine`."""

JOINS = "_use_sql_join_synthesis"
"""The attribute of a `SQLJoinQueryEngine` that is True if its LLM joins both answers."""

SELECTOR = "_selector"
"""The attribute with the selector of an engine that chooses."""

VERBOSE = "_verbose"
"""The attribute of an engine that is True if the engine prints its work."""

ENGINE_HOLDERS = (INNER_ENGINE, ROUTED_ENGINES, CUSTOM_ENGINES, SQL_TOOL, OTHER_TOOL)
"""The attributes in which core's engines hold other engines."""


def prompts_of(engine: Any) -> dict[str, Any]:
    """Return the prompts of an engine, by the hook of core's `PromptMixin`."""
    return engine._get_prompts()


def prompt_modules_of(engine: Any) -> Any:
    """Return the parts of an engine that have prompts, by the hook of core's `PromptMixin`."""
    return engine._get_prompt_modules()


def update_prompts_of(engine: Any, prompts: Any) -> None:
    """Set prompts of an engine, by the hook of core's `PromptMixin`."""
    engine._update_prompts(prompts)
