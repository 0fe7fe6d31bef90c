"""The methods that make a query engine of core's stream, for classes derived from core's."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.schema import QueryBundle

from llama_index_streaming_ext.llm.observer import OnIncomplete
from llama_index_streaming_ext.query.drop_in.core_view import core_view, is_plain
from llama_index_streaming_ext.query.engine import QueryMethods, StreamingQueryEngine
from llama_index_streaming_ext.query.prepare import Show, Wrapping
from llama_index_streaming_ext.upstream.streaming_flags import is_built_to_stream

if TYPE_CHECKING:
    from llama_index_streaming_ext.query.execution.query_run import QueryRun
    from llama_index_streaming_ext.query.response.sync import AsyncLiveResponse, LiveResponse


class StreamingMethods(QueryMethods, Wrapping):
    """The `query` and `aquery` of engines that have core's names. It stands before core's class.

    Attributes:
        streaming: True if the engine was built with `streaming=True`: then `query` raises
            NotImplementedError where the LLM cannot stream. False if it was built with
            `streaming=False`: then `query` returns core's complete `Response`. None if nothing was
            said: then an LLM that cannot stream answers in one delta.
        show: `"answer"`, or `"calls"` to see what every inner LLM call says.
        max_lead: how many records the answer may be ahead of its furthest reader.
        on_incomplete: what to do about an answer that is cut off, refused or filtered, as for
            `StreamingQueryEngine`.
    """

    streaming: bool | None = None
    show: Show = "answer"
    max_lead: int = 64
    on_incomplete: OnIncomplete = "raise"

    @property
    def engine(self) -> BaseQueryEngine:  # pyright: ignore[reportIncompatibleVariableOverride] # read only
        """The same engine, as core asks it."""
        return core_view(self)

    def query(self, str_or_query_bundle: str | QueryBundle) -> LiveResponse:
        """Ask, and get a response as soon as the answer begins.

        Args:
            str_or_query_bundle: the question.

        Returns:
            A `StreamingResponse` that can be read more than once, also where the engine was built
            without `streaming=True`; its `.response` and `str()` wait for the whole answer. With
            `streaming=False`, and where core's code asks, core's complete `Response`.

        Raises:
            NotImplementedError: the engine was built with `streaming=True`, and its LLM cannot
                stream.
        """
        if is_plain(self):
            return cast("Any", super(QueryMethods, self)).query(str_or_query_bundle)
        if self.streaming is False:
            return cast("Any", self.engine.query(str_or_query_bundle))
        return super().query(str_or_query_bundle)

    def aquery(  # pyright: ignore[reportIncompatibleMethodOverride] # awaited, it is the same
        self, str_or_query_bundle: str | QueryBundle
    ) -> Coroutine[Any, Any, AsyncLiveResponse]:
        """Ask, and get a response as soon as the answer begins, as `query` does.

        Args:
            str_or_query_bundle: the question.

        Returns:
            An `AsyncStreamingResponse`; else as for `query`.

        Raises:
            NotImplementedError: as for `query`.
        """
        if is_plain(self):
            return cast("Any", super(QueryMethods, self)).aquery(str_or_query_bundle)
        if self.streaming is False:
            return cast("Any", self.engine.aquery(str_or_query_bundle))
        return super().aquery(str_or_query_bundle)

    def start(self, question: str | QueryBundle, *, is_async: bool = False) -> QueryRun:
        """Start a query, without waiting for anything.

        Args:
            question: the question.
            is_async: True to ask the engine's async face, in a task of the running loop.
        """
        return self._adapter().start(question, is_async=is_async)

    async def ask(self, question: str | QueryBundle) -> AsyncLiveResponse:
        """Ask by the engine's async face, and wait until the answer begins."""
        return await self._adapter().ask(question)

    def _adapter(self) -> StreamingQueryEngine:
        return StreamingQueryEngine(
            self.engine,
            show=self.show,
            strict=self.streaming is True or is_built_to_stream(self),
            max_lead=self.max_lead,
            on_incomplete=self.on_incomplete,
        )
