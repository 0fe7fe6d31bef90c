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
