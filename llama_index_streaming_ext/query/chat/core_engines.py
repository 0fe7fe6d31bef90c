"""Streaming for core's chat engines from within their own `chat()`.

Core's `stream_chat()` hands the answer to a thread or task that writes it into a queue and the
memory; this writer hangs, is late and loses tokens (U60). Therefore core's `chat()` and `achat()`
run, without a writer, and only the part that writes the answer streams, in the turn's copy:

| engine | part that writes the answer |
|---|---|
| Simple | the `chat` of its LLM |
| Context, CondensePlusContext | the synthesizer that the engine makes for it |
| MultiModalContext, MultiModalCondensePlusContext | its own `synthesize` |
| CondenseQuestion | the `query` of its query engine |

Each part writes its tokens into the turn and returns the complete answer to core.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.chat_engine.multi_modal_condense_plus_context import (
    MultiModalCondensePlusContextChatEngine,
)
from llama_index.core.chat_engine.multi_modal_context import MultiModalContextChatEngine
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import ToolOutput

from llama_index_streaming_ext.query.answer_stream.engines import stream_last_call
from llama_index_streaming_ext.query.chat.turn import ChatRun
from llama_index_streaming_ext.query.engine_copy.method_hooks import ObjectProxy, hook_method
from llama_index_streaming_ext.query.tracing.purposes import trace_synthesizer, with_purpose
from llama_index_streaming_ext.upstream.chat_engines import (
    ACONDENSE,
    ARETRIEVE,
    CONDENSE,
    LLM,
    MAKE_SYNTHESIZER,
    QUERY_ENGINE,
    RETRIEVE,
)
from llama_index_streaming_ext.upstream.methods import is_cores_own

_Ask = Callable[..., Any]
_Args = tuple[Any, ...]
_Named = dict[str, Any]


def say_answer(engine: Any, run: ChatRun) -> bool:
    """Stream the answer of a core engine into a turn; do nothing for other engines.

    Args:
        engine: the turn's own copy of a chat engine (`copy_of`), which is changed.
        run: the turn.

    Returns:
        True if the engine's `chat` and `achat` are core's own.
    """
    kind: object = engine
    own = is_cores_own(type(kind), "chat", "achat")
    for kinds, change in _KINDS:
        if own and isinstance(engine, kinds):
            change(engine, run)
            return True
    return False


# Simple: its LLM


def _simple(engine: Any, run: ChatRun) -> None:
    run.said_by_call = True

    def chat(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        # It is the only call, so that it is known before it is made.
        run.answering = True
        heard = _Heard()
        chunks: Any = llm.stream_chat(*args, **kwargs)
        run.say_sync(StreamingResponse(heard.read(chunks)))
        return heard.whole(run.text)

    async def achat(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        run.answering = True
        heard = _Heard()
        chunks: Any = await llm.astream_chat(*args, **kwargs)
        await run.say(AsyncStreamingResponse(heard.aread(chunks)))
        return heard.whole(run.text)

    llm = LLM.of(engine)
    LLM.set(engine, ObjectProxy(llm, {"chat": chat, "achat": achat}, by=run))


class _Heard:
    """The chunks of an LLM; the last one has every field, but maybe not the whole text."""

    def __init__(self) -> None:
        self._last: ChatResponse | None = None

    def read(self, chunks: Generator[ChatResponse, None, None]) -> Generator[str, None, None]:
        try:
            for chunk in chunks:
                self._last = chunk
                yield chunk.delta or ""
        finally:
            chunks.close()

    async def aread(self, chunks: AsyncGenerator[ChatResponse, None]) -> AsyncGenerator[str, None]:
        try:
            async for chunk in chunks:
                self._last = chunk
                yield chunk.delta or ""
        finally:
            await chunks.aclose()

    def whole(self, text: str) -> ChatResponse:
        """Return the complete response of the chunks."""
        last = self._last
        if last is None:
            return ChatResponse(message=ChatMessage(content=text, role=MessageRole.ASSISTANT))
        if (last.message.content or "") == text:
            return last.model_copy(update={"delta": None})
        others = [block for block in last.message.blocks if not isinstance(block, TextBlock)]
        blocks = [*others, TextBlock(text=text)]
        message = last.message.model_copy(update={"blocks": blocks})
        return last.model_copy(update={"delta": None, "message": message})


# Context and condense-plus-context: the synthesizer


def _synthesized(engine: Any, run: ChatRun) -> None:
    run.said_by_call = True

    def made(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        synthesizer = ask(*args, **{**kwargs, "streaming": True})
        trace_synthesizer(run.work, synthesizer)
        _stream_synthesis(synthesizer, run)
        return synthesizer

    hook_method(engine, MAKE_SYNTHESIZER, made, by=run)
    _found(engine, run)
    _condensing(engine, run)


def _multi_modal(engine: Any, run: ChatRun) -> None:
    run.said_by_call = True
    _stream_synthesis(engine, run, streaming=True)
    _found(engine, run)
    _condensing(engine, run)


def _stream_synthesis(part: Any, run: ChatRun, **options: Any) -> None:
    """Write the answer that a part synthesizes into the turn, by its sync and async methods."""

    def synthesize(ask: _Ask, args: _Args, kwargs: _Named) -> Response:
        return run.say_sync(ask(*args, **{**kwargs, **options}))

    async def asynthesize(ask: _Ask, args: _Args, kwargs: _Named) -> Response:
        return await run.say(await ask(*args, **{**kwargs, **options}))

    hook_method(part, "synthesize", synthesize, by=run)
    hook_method(part, "asynthesize", asynthesize, by=run)


def _found(engine: Any, run: ChatRun) -> None:
    """Give the turn the output of its retriever before the answer begins."""

    def tell(args: _Args, nodes: Any) -> Any:
        run.tool_outputs = [
            ToolOutput(
                tool_name="retriever",
                content=str(nodes),
                raw_input={"message": _question(args[0])},
                raw_output=nodes,
            )
        ]
        return nodes

    async def atell(ask: _Ask, args: _Args, kwargs: _Named) -> Any:
        return tell(args, await ask(*args, **kwargs))

    hook_method(engine, RETRIEVE, lambda ask, args, named: tell(args, ask(*args, **named)), by=run)
    hook_method(engine, ARETRIEVE, atell, by=run)


def _condensing(engine: Any, run: ChatRun) -> None:
    """Mark the LLM call that condenses a conversation to one question with its purpose."""
    if hasattr(engine, CONDENSE):
        condense, acondense = with_purpose(run.work, "condense")
        hook_method(engine, CONDENSE, condense, by=run)
        hook_method(engine, ACONDENSE, acondense, by=run)


# Condense-question: the query engine


def _queried(engine: Any, run: ChatRun) -> None:
    inner = QUERY_ENGINE.of(engine)
    # A user's engine may make its answer of several calls.
    run.said_by_call = type(inner).__module__.startswith("llama_index.")

    def tell(args: _Args, response: Any) -> Any:
        found = list(getattr(response, "source_nodes", None) or [])
        run.tool_outputs = [
            ToolOutput(
                tool_name="query_engine",
                content="",
                raw_input={"query": _question(args[0])},
                raw_output=Response(None, source_nodes=found),
            )
        ]
        return response

    def query(ask: _Ask, args: _Args, kwargs: _Named) -> Response:
        # Core has just set that it is not to stream (U60), so it is set here, on our copy.
        stream_last_call(inner, is_async=False)
        return run.say_sync(tell(args, ask(*args, **kwargs)))

    async def aquery(ask: _Ask, args: _Args, kwargs: _Named) -> Response:
        stream_last_call(inner, is_async=True)
        return await run.say(tell(args, await ask(*args, **kwargs)))

    # It is the user's own where it is no BaseQueryEngine but has its methods: a proxy, a mock.
    QUERY_ENGINE.set(engine, ObjectProxy(inner, {"query": query, "aquery": aquery}, by=run))
    _condensing(engine, run)


def _question(query: Any) -> str:
    return query.query_str if isinstance(query, QueryBundle) else str(query)


_KINDS: tuple[tuple[Any, Callable[[Any, ChatRun], None]], ...] = (
    (SimpleChatEngine, _simple),
    (ContextChatEngine | CondensePlusContextChatEngine, _synthesized),
    (MultiModalContextChatEngine | MultiModalCondensePlusContextChatEngine, _multi_modal),
    (CondenseQuestionChatEngine, _queried),
)
