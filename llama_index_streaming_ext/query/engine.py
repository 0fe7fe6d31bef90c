"""`StreamingQueryEngine`: any query engine, whose answers stream and whose work is seen."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import Response
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index_streaming_ext.llm.observer import OnIncomplete
from llama_index_streaming_ext.query.answer_stream.engines import (
    acomplete,
    complete,
    stream_last_call,
)
from llama_index_streaming_ext.query.engine_copy.blocking import works_synchronously
from llama_index_streaming_ext.query.execution.query_run import QueryRun
from llama_index_streaming_ext.query.prepare import Show, Wrapping, check_options, in_turn, prepared
from llama_index_streaming_ext.query.response.query_response import QueryResponse
from llama_index_streaming_ext.query.response.sync import AsyncLiveResponse, LiveResponse
from llama_index_streaming_ext.threads.background_loop import refuse_on_background_loop
from llama_index_streaming_ext.threads.loops import running_loop
from llama_index_streaming_ext.upstream.callers import called_by_core
from llama_index_streaming_ext.upstream.query_engines import (
    prompt_modules_of,
    prompts_of,
    update_prompts_of,
)

_Base = BaseQueryEngine if TYPE_CHECKING else object


class QueryMethods(_Base):
    """The two methods that people ask by. It stands before core's class, which decorates its own.

    So a query is one span and one trace, as upstream: those of the engine.
    """

    def query(self, str_or_query_bundle: str | QueryBundle) -> LiveResponse:
        """Ask, and get a response as soon as the answer begins.

        Args:
            str_or_query_bundle: the question.

        Returns:
            A `StreamingResponse` that can be read more than once; core's code gets a complete
            `Response`.
        """
        engine = cast("StreamingQueryEngine", self)
        if called_by_core():
            return complete_response(engine.engine, str_or_query_bundle)
        # Its LLM calls are made there.
        refuse_on_background_loop()
        run = engine.start(str_or_query_bundle)
        run.ready_sync()
        return LiveResponse(run)

    def aquery(  # pyright: ignore[reportIncompatibleMethodOverride] # awaited, it is the same
        self, str_or_query_bundle: str | QueryBundle
    ) -> Coroutine[Any, Any, AsyncLiveResponse]:
        """Ask, and get a response as soon as the answer begins.

        Args:
            str_or_query_bundle: the question.

        Returns:
            An `AsyncStreamingResponse` that can be read more than once; core's code gets a complete
            `Response`.
        """
        # Not a coroutine function: who calls can be told only now, not when it is awaited.
        engine = cast("StreamingQueryEngine", self)
        if called_by_core():
            complete: Any = acomplete_response(engine.engine, str_or_query_bundle)
            return complete
        return engine.ask(str_or_query_bundle)


class StreamingQueryEngine(QueryMethods, Wrapping, BaseQueryEngine):  # pyright: ignore[reportIncompatibleMethodOverride] # as there
    """Any query engine, whose answers stream, can be read more than once, and stop when stopped.

    Args:
        engine: any query engine of core's or of your own.
        show: `"answer"`, or `"calls"` to see what every inner LLM call says (`LLMCallDelta`).
        strict: raise NotImplementedError where the LLM cannot stream, instead of giving the answer
            in one delta.
        max_lead: how many records the answer may be ahead of its furthest reader.
        on_incomplete: `"raise"` after an answer that is cut off, refused or filtered, `"event"` to
            write an `Incomplete` only.
        use_async: whether `aquery` asks the engine by its async methods, in a task of the running
            loop, or by its sync methods, in a thread. None asks by the async methods, but for those
            engines of core whose async methods are known to call sync ones. Say False for an engine
            of your own whose async methods block: the loop would stand still, and the query could
            not be stopped, until they return.

    Raises:
        TypeError: it is no query engine.
    """

    def __init__(
        self,
        engine: BaseQueryEngine,
        *,
        show: Show = "answer",
        strict: bool = False,
        max_lead: int = 64,
        on_incomplete: OnIncomplete = "raise",
        use_async: bool | None = None,
    ) -> None:
        self.engine = _checked(engine)
        check_options(show, max_lead, on_incomplete)
        self.show: Show = show
        self.strict = strict
        self.max_lead = max_lead
        self.on_incomplete: OnIncomplete = on_incomplete
        self.use_async = use_async
        super().__init__(engine.callback_manager)

    def start(self, question: str | QueryBundle, *, is_async: bool = False) -> QueryRun:
        """Start a query, without waiting for anything.

        Args:
            question: the question.
            is_async: whether the engine's async face is asked, in a task of the running loop, or
                its sync face, in a thread.
        """
        bundle = _bundle_of(question)
        run = QueryRun(
            bundle.query_str,
            type(self.engine).__name__,
            max_lead=self.max_lead,
            on_incomplete=self.on_incomplete,
            verbatim=type(self.engine).__module__.startswith("llama_index."),
        )
        if is_async and self._works_in_a_task():
            run.start_in_task(_async_asking(self._prepared(run, is_async=True), bundle))
        else:
            with in_turn():
                run.start_in_thread(_asking(self._prepared(run, is_async=False), bundle))
        return run

    def _works_in_a_task(self) -> bool:
        # Some engines of core's are asynchronous by name only: what they do would hold up the loop.
        return not works_synchronously(self.engine) if self.use_async is None else self.use_async

    def _prepared(self, run: QueryRun, *, is_async: bool) -> Any:
        show_calls = self.show == "calls"
        engine = prepared(
            self.engine, run, show_calls=show_calls, strict=self.strict, is_async=is_async
        )
        stream_last_call(engine, is_async=is_async)
        return engine

    async def ask(self, question: str | QueryBundle) -> AsyncLiveResponse:
        """Ask by the engine's async face, and wait until the answer begins."""
        run = self.start(question, is_async=True)
        await run.ready()
        return AsyncLiveResponse(run)

    # What the engine has, this has

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "engine":
            raise AttributeError(name)
        return getattr(self.engine, name)

    def _get_prompts(self) -> dict[str, Any]:
        return prompts_of(self.engine)

    def _get_prompt_modules(self) -> Any:
        return prompt_modules_of(self.engine)

    def _update_prompts(self, prompts: Any) -> None:
        update_prompts_of(self.engine, prompts)

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Return the nodes that the engine's retriever finds."""
        return self.engine.retrieve(query_bundle)

    def synthesize(self, *args: Any, **kwargs: Any) -> Any:
        """Return the response that the engine makes from nodes."""
        return self.engine.synthesize(*args, **kwargs)

    async def asynthesize(self, *args: Any, **kwargs: Any) -> Any:
        """Return the response that the engine makes from nodes."""
        return await self.engine.asynthesize(*args, **kwargs)

    def _query(self, query_bundle: QueryBundle) -> Any:
        # Only core's engines call this one.
        return complete_response(self.engine, query_bundle)

    async def _aquery(self, query_bundle: QueryBundle) -> Any:
        return await acomplete_response(self.engine, query_bundle)


def stream_query(
    engine: BaseQueryEngine, question: str | QueryBundle, **options: Any
) -> QueryResponse:
    """Ask, and get a response at once, whose events are live from the first retrieval.

        response = stream_query(engine, "Why?", show="calls")
        async for event in response.events():  # `for` where no event loop is running
            print(event)

    Args:
        engine: any query engine, or a `StreamingQueryEngine`.
        question: the question.
        **options: as for `StreamingQueryEngine`.

    Returns:
        Where an event loop is running, an `AsyncStreamingResponse`, and the engine's async face is
        asked; elsewhere a `StreamingResponse`.
    """
    if running_loop() is None:
        return LiveResponse(_streaming(engine, options).start(question))
    return astream_query(engine, question, **options)


def astream_query(
    engine: BaseQueryEngine, question: str | QueryBundle, **options: Any
) -> AsyncLiveResponse:
    """Ask in a running event loop, and return a response at once, as `stream_query` does there.

    Args:
        engine: any query engine, or a `StreamingQueryEngine`.
        question: the question.
        **options: as for `StreamingQueryEngine`.
    """
    return AsyncLiveResponse(_streaming(engine, options).start(question, is_async=True))


def _streaming(engine: BaseQueryEngine, options: dict[str, Any]) -> StreamingQueryEngine:
    """An engine that streams, set by the options, and else as it is set."""
    if not isinstance(engine, StreamingQueryEngine):
        return StreamingQueryEngine(engine, **options)
    if not options:
        return engine
    names = ("show", "strict", "max_lead", "on_incomplete", "use_async")
    return StreamingQueryEngine(
        engine.engine, **{**{name: getattr(engine, name) for name in names}, **options}
    )


def complete_response(engine: BaseQueryEngine, question: Any) -> Any:
    """Return the complete response of an engine, for core's code, which takes the text at once."""
    response = engine.query(question)
    return _whole(response, complete(response))


async def acomplete_response(engine: BaseQueryEngine, question: Any) -> Any:
    """Return the complete response of an engine, for core's code, which takes the text at once."""
    response = await engine.aquery(question)
    return _whole(response, await acomplete(response))


def _whole(response: Any, text: str) -> Any:
    sources = list(getattr(response, "source_nodes", None) or [])
    return Response(text, source_nodes=sources, metadata=getattr(response, "metadata", None))


def _checked(engine: Any) -> BaseQueryEngine:
    if isinstance(engine, StreamingQueryEngine):
        return engine.engine
    if not isinstance(engine, BaseQueryEngine):
        hint = ""
        if hasattr(engine, "as_query_engine"):
            hint = " Pass index.as_query_engine(...)."
        raise TypeError(
            f"StreamingQueryEngine takes a query engine, not {type(engine).__name__}.{hint}"
        )
    return engine


def _bundle_of(question: Any) -> QueryBundle:
    if isinstance(question, str):
        return QueryBundle(question)
    if not isinstance(question, QueryBundle):
        raise TypeError(f"A question is a str or a QueryBundle, not {type(question).__name__}.")
    return question


def _asking(engine: Any, bundle: QueryBundle) -> Callable[[], Any]:
    if isinstance(engine, CustomQueryEngine):
        return lambda: engine.custom_query(bundle.query_str)
    return lambda: engine.query(bundle)


def _async_asking(engine: Any, bundle: QueryBundle) -> Callable[[], Awaitable[Any]]:
    if isinstance(engine, CustomQueryEngine):
        return lambda: _ask_custom(engine, bundle.query_str)
    return lambda: engine.aquery(bundle)


async def _ask_custom(engine: CustomQueryEngine, question: str) -> Any:
    """Ask a user's engine, whose async method may be the default, which blocks the loop."""
    if type(engine).acustom_query is CustomQueryEngine.acustom_query:
        return await asyncio.to_thread(_custom_answer, engine, question)
    asked: Any = engine.acustom_query(question)
    return await asked if inspect.isawaitable(asked) else asked


def _custom_answer(engine: CustomQueryEngine, question: str) -> Any:
    try:
        return engine.custom_query(question)
    except StopIteration as error:
        # No future takes it: who awaits the thread would wait for ever.
        raise RuntimeError("custom_query raised StopIteration") from error
