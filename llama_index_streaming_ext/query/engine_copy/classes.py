"""Rules by which a copy of an engine treats what the engine holds.

A rule is found by the class alone, so that it is looked for once for each class.
"""

from __future__ import annotations

import weakref
from enum import Enum, auto

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.data_structs.data_structs import IndexStruct
from llama_index.core.graph_stores.types import GraphStore, PropertyGraphStore
from llama_index.core.indices.base import BaseIndex
from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.memory.types import BaseMemory
from llama_index.core.prompts.base import BasePromptTemplate
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.core.settings import Settings
from llama_index.core.storage.chat_store.base import BaseChatStore
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.storage.index_store.types import BaseIndexStore
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.storage.storage_context import StorageContext
from llama_index.core.utilities.sql_wrapper import SQLDatabase
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStore

WRITTEN_PARTS: tuple[type, ...] = (
    BaseChatEngine,
    BaseQueryEngine,
    BaseQueryTransform,
    BaseSynthesizer,
)
"""The parts that core writes to during a query: copied always, lest two queries share them.

U60: a condense-question engine toggles `_streaming` on the synthesizer of its engine, and a
feedback transformation keeps the last evaluation.
"""

LEFT_ALONE: tuple[type, ...] = (
    BaseCallbackHandler,
    BaseChatStore,
    BaseDocumentStore,
    BaseEmbedding,
    BaseIndex,
    BaseIndexStore,
    BaseKVStore,
    BaseMemory,
    BaseNode,
    BasePromptTemplate,
    BasePydanticVectorStore,
    CallbackManager,
    Enum,
    GraphStore,
    IndexStruct,
    NodeWithScore,
    PropertyGraphStore,
    QueryBundle,
    SQLDatabase,
    StorageContext,
    VectorStore,
    type(Settings),
)
"""Data, connections and memories: large, or to be written to for good; or sure to hold no LLM."""

CONTAINERS: tuple[type, ...] = (dict, list, tuple)
"""The containers that are looked into; what is derived from them is not."""


class CopyRule(Enum):
    """The treatment of the instances of a class in a copy."""

    LLM = auto()
    """They are wrapped."""
    WRITTEN = auto()
    """Parts that are copied always."""
    PART = auto()
    """Parts that are copied if they hold, at whatever remove, something that is."""
    CONTAINER = auto()
    """Plain lists, tuples and dicts; copied as parts are."""
    LEFT = auto()
    """Shared, and not looked into."""


_known: weakref.WeakKeyDictionary[type, CopyRule] = weakref.WeakKeyDictionary()


def copy_rule_of(cls: type) -> CopyRule:
    """Return what a copy does with the instances of a class."""
    rule = _known.get(cls)
    if rule is None:
        rule = _known[cls] = _judged(cls)
    return rule


def is_part(rule: CopyRule) -> bool:
    """Return True if it is the rule of LlamaIndex's parts, and of those that users derive."""
    return rule is CopyRule.PART or rule is CopyRule.WRITTEN


def _judged(cls: type) -> CopyRule:
    if cls in CONTAINERS:
        return CopyRule.CONTAINER
    # Not by issubclass: some of these are protocols, and users' classes have hooks.
    bases = frozenset(cls.__mro__)
    if LLM in bases:
        # It is a way to ask the LLM within, which is the one to be seen. A wrapped one is not
        # exactly of this class, and is not to be taken apart.
        return CopyRule.PART if cls is StructuredLLM else CopyRule.LLM
    if not bases.isdisjoint(LEFT_ALONE):
        return CopyRule.LEFT
    if not bases.isdisjoint(WRITTEN_PARTS):
        return CopyRule.WRITTEN
    return CopyRule.PART if _is_part_of_llama_index(cls) else CopyRule.LEFT


def _is_part_of_llama_index(cls: type) -> bool:
    modules = [base.__module__ for base in cls.__mro__[:-1]]
    # What is a str, an exception or a function cannot be made anew by `object.__new__`.
    return "builtins" not in modules and any(name.startswith("llama_index.") for name in modules)
