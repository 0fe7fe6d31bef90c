"""Core's indexes by their own names, whose query engines and chat engines stream.

Each class is a subclass of core's class of the same name, and takes the same arguments.
"""

from __future__ import annotations

from typing import Any

from llama_index.core import indices as core
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.chat_engine.types import BaseChatEngine, ChatMode
from llama_index.core.indices.base import BaseIndex
from llama_index.core.indices.composability.graph import ComposableGraph as CoreComposableGraph
from llama_index.core.indices.loading import load_index_from_storage as core_load_index
from llama_index.core.indices.loading import load_indices_from_storage as core_load_indices
from llama_index.core.storage.storage_context import StorageContext

from llama_index_streaming_ext.query.chat.engine import StreamingChatEngine
from llama_index_streaming_ext.query.drop_in import engines as _engines
from llama_index_streaming_ext.query.drop_in.chat_engines import StreamingChatMethods
from llama_index_streaming_ext.query.drop_in.core_view import as_ours, stands_for
from llama_index_streaming_ext.query.drop_in.engine_methods import StreamingMethods
from llama_index_streaming_ext.query.engine import StreamingQueryEngine

# pyright: reportUnknownMemberType=false, reportMissingTypeArgument=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# Core's indexes are generic in a class that nobody names.

QueryEngines = StreamingMethods | StreamingQueryEngine
ChatEngines = StreamingChatMethods | StreamingChatEngine


class StreamingIndexMethods:
    """The methods of indexes that make engines. It stands before core's class."""

    def as_query_engine(self, llm: Any = None, **kwargs: Any) -> Any:
        """Make a query engine over the index, whose answers stream.

        Args:
            llm: the LLM that answers; None for `Settings.llm`.
            **kwargs: what core's `as_query_engine` takes. With `streaming=True` a query raises
                NotImplementedError where the LLM cannot stream; with `streaming=False` it returns
                core's complete `Response`.
        """
        if llm is not None:
            kwargs["llm"] = llm
        engine: BaseQueryEngine = super().as_query_engine(**kwargs)  # type: ignore[misc]
        return streaming_engine(engine, kwargs.get("streaming"))

    def as_chat_engine(
        self, chat_mode: ChatMode = ChatMode.BEST, llm: Any = None, **kwargs: Any
    ) -> Any:
        """Make a chat engine over the index, whose answers stream.

        Args:
            chat_mode: how the chat uses the index, as for core's `as_chat_engine`.
            llm: the LLM that answers; None for `Settings.llm`.
            **kwargs: what core's `as_chat_engine` takes.
        """
        engine: BaseChatEngine = super().as_chat_engine(chat_mode, llm, **kwargs)  # type: ignore[misc]
        return streaming_chat_engine(engine)


def streaming_engine(engine: BaseQueryEngine, streaming: bool | None) -> QueryEngines:
    """Return an engine of core's as one of ours: of the class of its name where there is one.

    Args:
        engine: the engine.
        streaming: the `streaming=` that it was built with, None if none was said.
    """
    ours = as_ours(engine)
    if isinstance(ours, StreamingMethods):
        ours.streaming = streaming
        return ours
    return StreamingQueryEngine(engine, strict=streaming is True)


def streaming_chat_engine(engine: BaseChatEngine) -> ChatEngines:
    """Return a chat engine of core's as one of ours: of the class of its name if there is one.

    Args:
        engine: the chat engine.
    """
    ours = as_ours(engine)
    return ours if isinstance(ours, StreamingChatMethods) else StreamingChatEngine(engine)


@stands_for(core.VectorStoreIndex)
class VectorStoreIndex(StreamingIndexMethods, core.VectorStoreIndex):
    """An index over a vector store, whose query engines and chat engines stream."""


@stands_for(core.SummaryIndex)
class SummaryIndex(StreamingIndexMethods, core.SummaryIndex):
    """An index that reads all its nodes, whose query engines and chat engines stream."""


@stands_for(core.DocumentSummaryIndex)
class DocumentSummaryIndex(StreamingIndexMethods, core.DocumentSummaryIndex):
    """An index over summaries of documents, whose query engines and chat engines stream."""


@stands_for(core.TreeIndex)
class TreeIndex(StreamingIndexMethods, core.TreeIndex):
    """An index that is a tree of summaries, whose query engines and chat engines stream."""


@stands_for(core.KeywordTableIndex)
class KeywordTableIndex(StreamingIndexMethods, core.KeywordTableIndex):
    """An index by keywords that an LLM finds, whose query engines and chat engines stream."""


@stands_for(core.SimpleKeywordTableIndex)
class SimpleKeywordTableIndex(StreamingIndexMethods, core.SimpleKeywordTableIndex):
    """An index by keywords that are found by rules, whose engines stream."""


@stands_for(core.RAKEKeywordTableIndex)
class RAKEKeywordTableIndex(StreamingIndexMethods, core.RAKEKeywordTableIndex):
    """An index by keywords that RAKE finds, whose query engines and chat engines stream."""


@stands_for(core.PropertyGraphIndex)
class PropertyGraphIndex(StreamingIndexMethods, core.PropertyGraphIndex):
    """An index over a property graph, whose query engines and chat engines stream."""


@stands_for(CoreComposableGraph)
class ComposableGraph(CoreComposableGraph):
    """A graph of indexes, whose query engine streams."""

    def as_query_engine(self, **kwargs: Any) -> QueryEngines:
        """Make a query engine over the graph, whose answers stream.

        Args:
            **kwargs: what core's `as_query_engine` takes.
        """
        return streaming_engine(super().as_query_engine(**kwargs), kwargs.get("streaming"))


def load_index_from_storage(
    storage_context: StorageContext, index_id: str | None = None, **kwargs: Any
) -> Any:
    """Load an index that core's `persist` has stored, as an index whose engines stream.

    Args:
        storage_context: the storage.
        index_id: the id of the index; None if the storage has only one.
        **kwargs: what the index takes besides.

    Raises:
        ValueError: the storage has no such index, or several and no id is given.
    """
    return streaming_index(core_load_index(storage_context, index_id, **kwargs))


def load_indices_from_storage(
    storage_context: StorageContext, index_ids: list[str] | None = None, **kwargs: Any
) -> list[Any]:
    """Load the indexes that core's `persist` has stored, as indexes whose engines stream.

    Args:
        storage_context: the storage.
        index_ids: the ids of the indexes; None for all.
        **kwargs: what the indexes take besides.

    Raises:
        ValueError: the storage has no such index.
    """
    loaded = core_load_indices(storage_context, index_ids, **kwargs)
    return [streaming_index(index) for index in loaded]


def streaming_index(index: Any) -> Any:
    """Return an index of core's, or of a user's class, as one whose engines stream.

    Args:
        index: the index; the result shares its storage.
    """
    ours = as_ours(index)
    if ours is not None:
        return ours
    if isinstance(index, StreamingIndexMethods):
        return index
    cls = type(index)
    made: Any = object.__new__(
        type(cls.__name__, (StreamingIndexMethods, cls), {"__module__": cls.__module__})
    )
    vars(made).update(vars(index))
    return made


def is_index(thing: object) -> bool:
    """Return True if an object is an index, or a graph of indexes."""
    return isinstance(thing, BaseIndex | CoreComposableGraph)


_ = _engines  # the classes that stand for core's engines are registered when they are imported
