"""What a class is to a copy of an engine: an LLM, a part, an object to look into, or none of these.

The rules look at the class alone, so they are asked once for each.
"""

from __future__ import annotations

import collections
import functools
import sys
import types
import weakref
from enum import Enum, auto
from typing import Any, Generic, Protocol

from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.base_selector import BaseSelector
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.data_structs.data_structs import IndexStruct
from llama_index.core.evaluation.base import BaseEvaluator
from llama_index.core.graph_stores.types import GraphStore, PropertyGraphStore
from llama_index.core.indices.base import BaseIndex
from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
from llama_index.core.indices.struct_store.sql_retriever import BaseSQLParser
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.memory.types import BaseMemory
from llama_index.core.objects.base_node_mapping import BaseObjectNodeMapping
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.question_gen.types import BaseQuestionGenerator
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.core.settings import Settings
from llama_index.core.storage.chat_store.base import BaseChatStore
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.storage.index_store.types import BaseIndexStore
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.storage.storage_context import StorageContext
from llama_index.core.tools import BaseTool
from llama_index.core.types import BaseOutputParser, BasePydanticProgram
from llama_index.core.utilities.sql_wrapper import SQLDatabase
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStore
from llama_index_instrumentation.dispatcher import Dispatcher
from pydantic import BaseModel, RootModel

PARTS: tuple[type, ...] = (
    BaseEvaluator,
    BaseNodePostprocessor,
    BaseObjectNodeMapping,
    BaseOutputParser,
    BasePydanticProgram,
    BaseQuestionGenerator,
    BaseRetriever,
    BaseSQLParser,
    BaseSelector,
    BaseTool,
    BaseWorkflowAgent,
)
"""What engines are made of: copied where an LLM is within reach."""

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
    BasePydanticVectorStore,
    CallbackManager,
    Dispatcher,
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
"""The user's data, connections and memories: large, or to be written to for good."""

CONTAINERS: tuple[type, ...] = (
    collections.OrderedDict,
    collections.defaultdict,
    dict,
    list,
    collections.deque,
    tuple,
    set,
    frozenset,
)
"""The built-in containers, a derived one before its base."""

SPANNED_METHOD: type = type(BaseQueryEngine.query)
"""What core's spans make of a bound method: no `MethodType`, yet with a `__self__`."""

_CALLABLES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinMethodType,
    types.CellType,
    functools.partial,
    SPANNED_METHOD,
)

_LIBRARIES = frozenset(sys.stdlib_module_names - {"test"}) | {
    "aiohttp",
    "anthropic",
    "anyio",
    "boto3",
    "botocore",
    "chromadb",
    "fsspec",
    "google",
    "grpc",
    "httpcore",
    "httpx",
    "jinja2",
    "langchain_core",
    "llama_index_streaming_ext",
    "networkx",
    "neo4j",
    "nltk",
    "numpy",
    "openai",
    "opentelemetry",
    "pandas",
    "pinecone",
    "psycopg",
    "pydantic",
    "pydantic_core",
    "pymongo",
    "qdrant_client",
    "redis",
    "requests",
    "sklearn",
    "sqlalchemy",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
    "urllib3",
    "weaviate",
    "workflows",
    "wrapt",
}
"""Packages whose objects hold connections, locks and arrays, but no LLM of LlamaIndex."""

_BARE_BASES = frozenset(
    {object, Generic, Protocol, BaseModel, RootModel, types.SimpleNamespace, *CONTAINERS}
)
"""The classes of those packages that an object to look into may have as bases."""

_ABSTRACT = frozenset({"abc", "collections.abc", "typing", "typing_extensions"})


class CopyRule(Enum):
    """What a copy does with the instances of a class."""

    LLM = auto()
    """They are wrapped."""
    WRITTEN = auto()
    """Parts that are copied always."""
    PART = auto()
    """Parts that are copied if they hold, at whatever remove, something that is."""
    OBJECT = auto()
    """Objects that are no part of LlamaIndex's; copied as parts are."""
    CONTAINER = auto()
    """Lists, dicts and their like; copied as parts are."""
    CALLABLE = auto()
    """Functions, bound methods, partials and cells; made anew as parts are copied."""
    LEFT = auto()
    """Shared, and not looked into."""


_known: weakref.WeakKeyDictionary[type, CopyRule] = weakref.WeakKeyDictionary()


def copy_rule_of(cls: type) -> CopyRule:
    """What a copy does with the instances of `cls`."""
    role = _known.get(cls)
    if role is None:
        role = _known[cls] = _judged(cls)
    return role


def is_part(role: CopyRule) -> bool:
    """Whether it is the role of a part of LlamaIndex's."""
    return role is CopyRule.PART or role is CopyRule.WRITTEN


def from_library(module: object) -> bool:
    """Whether a module, given by name, is one that has no LLMs."""
    return str(module).partition(".")[0] in _LIBRARIES


def _judged(cls: type) -> CopyRule:
    # By name, not by issubclass: some of these are protocols, and users' classes have hooks.
    bases = frozenset(cls.__mro__)
    if LLM in bases:
        # It is a way to ask the LLM within, which is the one to be seen. A wrapped one is not
        # exactly of this class, and is not to be taken apart.
        return CopyRule.PART if cls is StructuredLLM else CopyRule.LLM
    if not bases.isdisjoint(LEFT_ALONE):
        return CopyRule.LEFT
    if not bases.isdisjoint(WRITTEN_PARTS):
        return CopyRule.WRITTEN
    if not bases.isdisjoint(PARTS):
        return CopyRule.PART
    return _judged_foreign(cls)


def _judged_foreign(cls: type) -> CopyRule:
    if cls in _CALLABLES:
        return CopyRule.CALLABLE
    if not all(map(_may_be_looked_into, cls.__mro__)):
        return CopyRule.LEFT
    return CopyRule.CONTAINER if issubclass(cls, CONTAINERS) else CopyRule.OBJECT


def _may_be_looked_into(base: Any) -> bool:
    module = base.__module__
    return base in _BARE_BASES or module in _ABSTRACT or not from_library(module)
