"""Core's query engines by their own names, whose answers stream.

Each class is a subclass of core's class of the same name, takes the same arguments, and differs in
what `query` and `aquery` return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from llama_index.core import query_engine as core
from llama_index.core.indices.struct_store.sql_query import NLSQLTableQueryEngine as CoreNLSQL
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.settings import Settings

from llama_index_streaming_ext.query.drop_in.core_view import new_object, stands_for
from llama_index_streaming_ext.query.drop_in.engine_methods import StreamingMethods

if TYPE_CHECKING:
    from llama_index.core.base.base_retriever import BaseRetriever

# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# The response of `query` streams, and the classes' own `from_*` are not typed in full by core.


class _FromArgs(StreamingMethods):
    """A `from_args` that remembers whether `streaming=` was said."""

    @classmethod
    def from_args(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an engine, as core's `from_args` does, with the same arguments.

        Args:
            *args: as core's: the retriever or index, and what follows it.
            **kwargs: as core's. `streaming=True` makes `query` raise where the LLM cannot stream;
                `streaming=False` makes it return core's complete `Response`.
        """
        build: Any = getattr(super(), "from_args")  # noqa: B009 # of the class of core's after it
        engine: Any = build(*args, **kwargs)
        engine.streaming = kwargs.get("streaming")
        return engine


@stands_for(core.RetrieverQueryEngine)
class RetrieverQueryEngine(_FromArgs, core.RetrieverQueryEngine):
    """A query engine over a retriever, whose answers stream token by token."""

    def with_retriever(self, retriever: BaseRetriever) -> RetrieverQueryEngine:
        """Return an engine with the same synthesizer over another retriever.

        Args:
            retriever: the retriever.
        """
        core_engine = super().with_retriever(retriever)
        engine = new_object(RetrieverQueryEngine)
        engine.__dict__.update(core_engine.__dict__, streaming=self.streaming)
        return engine


@stands_for(core.CitationQueryEngine)
class CitationQueryEngine(_FromArgs, core.CitationQueryEngine):
    """A query engine that cites its sources by number, whose answers stream token by token."""


@stands_for(core.SubQuestionQueryEngine)
class SubQuestionQueryEngine(StreamingMethods, core.SubQuestionQueryEngine):
    """An engine that splits a question into questions to other engines, and streams the answer."""

    @classmethod
    def from_defaults(cls, query_engine_tools: Any, *args: Any, **kwargs: Any) -> Self:
        """Make an engine, as core's `from_defaults` does, with the same arguments.

        Where no question generator is given and `llama-index-question-gen-openai` is not
        installed, core's `LLMQuestionGenerator` splits the questions.

        Args:
            query_engine_tools: the engines, as tools.
            *args: as core's: `llm`, `question_gen`, and so on.
            **kwargs: as core's.
        """
        build: Any = super().from_defaults
        try:
            return build(query_engine_tools, *args, **kwargs)
        except ImportError:
            llm = (args[0] if args else kwargs.get("llm")) or Settings.llm
            kwargs["question_gen"] = LLMQuestionGenerator.from_defaults(llm=llm)
            return build(query_engine_tools, *args, **kwargs)


@stands_for(core.RouterQueryEngine)
class RouterQueryEngine(StreamingMethods, core.RouterQueryEngine):
    """An engine that chooses among other engines, whose answers stream token by token."""


@stands_for(core.ToolRetrieverRouterQueryEngine)
class ToolRetrieverRouterQueryEngine(StreamingMethods, core.ToolRetrieverRouterQueryEngine):
    """An engine that retrieves the engines to ask, whose answers stream token by token."""


@stands_for(core.MultiStepQueryEngine)
class MultiStepQueryEngine(StreamingMethods, core.MultiStepQueryEngine):
    """An engine that asks another one step by step, and streams the answer."""


@stands_for(core.TransformQueryEngine)
class TransformQueryEngine(StreamingMethods, core.TransformQueryEngine):
    """An engine that rewrites the question for another one, and streams the answer."""


@stands_for(core.RetryQueryEngine)
class RetryQueryEngine(StreamingMethods, core.RetryQueryEngine):
    """An engine that evaluates answers and asks again; the answer comes in one piece."""


@stands_for(core.RetrySourceQueryEngine)
class RetrySourceQueryEngine(StreamingMethods, core.RetrySourceQueryEngine):
    """An engine that evaluates sources and asks again; the answer comes in one piece."""


@stands_for(core.RetryGuidelineQueryEngine)
class RetryGuidelineQueryEngine(StreamingMethods, core.RetryGuidelineQueryEngine):
    """An engine that checks answers against guidelines; the answer comes in one piece."""


@stands_for(CoreNLSQL)
class NLSQLTableQueryEngine(StreamingMethods, CoreNLSQL):
    """An engine that answers from SQL tables, whose answers stream token by token."""


@stands_for(core.SQLJoinQueryEngine)
class SQLJoinQueryEngine(StreamingMethods, core.SQLJoinQueryEngine):
    """An engine that joins SQL with another engine, and streams the answer."""


@stands_for(core.SQLAutoVectorQueryEngine)
class SQLAutoVectorQueryEngine(StreamingMethods, core.SQLAutoVectorQueryEngine):
    """An engine that joins SQL with a vector store, and streams the answer."""
