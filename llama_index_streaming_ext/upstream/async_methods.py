"""Async methods of core's parts that hold up the event loop.

Much of what core calls async is not: the default of a retriever's `_aretrieve` calls `_retrieve`,
that of a vector store's `aquery` calls `query`, and several engines' `_aquery` call `_query`.

Canary: `tests/upstream/test_async_methods.py`.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.base_selector import BaseSelector
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings.mock_embed_model import MockEmbedding, MockMultiModalEmbedding
from llama_index.core.indices.struct_store.sql_query import SQLStructStoreQueryEngine
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import (
    CogniswitchQueryEngine,
    ComposableGraphQueryEngine,
    CustomQueryEngine,
    FLAREInstructQueryEngine,
    MultiStepQueryEngine,
    RetrieverRouterQueryEngine,
    RetryGuidelineQueryEngine,
    RetryQueryEngine,
    RetrySourceQueryEngine,
    SQLJoinQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.selectors import PydanticMultiSelector
from llama_index.core.vector_stores.types import BasePydanticVectorStore

WORK: tuple[tuple[type, str], ...] = (
    (CustomQueryEngine, "acustom_query"),
    (BaseQueryEngine, "_aquery"),
    (BaseRetriever, "_aretrieve"),
    (BaseEmbedding, "_aget_query_embedding"),
    (BasePydanticVectorStore, "aquery"),
    (BaseSelector, "_aselect"),
    (BaseNodePostprocessor, "_apostprocess_nodes"),
)
"""The parts that may take long, and the async methods that do their work."""

NEVER_WAIT: frozenset[type] = frozenset(
    {
        BaseEmbedding,
        BasePydanticVectorStore,
        BaseQueryEngine,
        BaseRetriever,
        BaseSelector,
        CogniswitchQueryEngine,
        ComposableGraphQueryEngine,
        FLAREInstructQueryEngine,
        MockEmbedding,
        MockMultiModalEmbedding,
        PydanticMultiSelector,
        RetrieverRouterQueryEngine,
        RetryGuidelineQueryEngine,
        RetryQueryEngine,
        RetrySourceQueryEngine,
        SQLJoinQueryEngine,
        SQLStructStoreQueryEngine,
    }
)
"""The classes of core whose async method has not one `await`, so that it is a sync one in disguise.

`CustomQueryEngine` is none of them: its own default is called in a thread here.
"""

SYNC_INSIDE: frozenset[type] = frozenset(
    {
        MultiStepQueryEngine,
        RetryGuidelineQueryEngine,
        RetryQueryEngine,
        RetrySourceQueryEngine,
        SQLJoinQueryEngine,
        TransformQueryEngine,
    }
)
"""The engines of core whose async method asks other engines, or LLMs, by sync calls."""


def never_waits(part: object) -> bool:
    """Return True if the async method that does the work of a part is known to wait for nothing."""
    return any(_home_of(part, name) in NEVER_WAIT for cls, name in WORK if isinstance(part, cls))


def asks_synchronously(engine: BaseQueryEngine) -> bool:
    """Return True if the async method of an engine is core's, and makes its calls synchronously."""
    return _home_of(engine, "_aquery") in SYNC_INSIDE


def _home_of(part: object, name: str) -> Any:
    """Return the class that defines a method of a part."""
    return next((cls for cls in type(part).__mro__ if name in vars(cls)), None)
