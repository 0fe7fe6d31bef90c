"""`StreamingChatEngine`: a chat engine whose answers stream and whose memory stays valid."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine
from llama_index.core.memory import BaseMemory

from llama_index_streaming_ext.llm.observer import OnIncomplete
from llama_index_streaming_ext.query.chat.conversation import Conversation, conversation_over
from llama_index_streaming_ext.query.chat.core_engines import say_answer
from llama_index_streaming_ext.query.chat.custom_engines import aask_own, ask_own
from llama_index_streaming_ext.query.chat.response import AsyncLiveChatResponse, LiveChatResponse
from llama_index_streaming_ext.query.chat.turn import ChatRun
from llama_index_streaming_ext.query.prepare import Show, Wrapping, check_options, prepared
from llama_index_streaming_ext.upstream.chat_engines import MEMORY
from llama_index_streaming_ext.upstream.state import state_of

History = list[ChatMessage] | None

_Base = BaseChatEngine if TYPE_CHECKING else object


class Chatting(_Base):
    """The chat methods of `StreamingChatEngine`.

    The class precedes core's `BaseChatEngine`, which decorates its own methods. Thus a turn is one
    span and one trace, those of the wrapped engine.
    """

    def stream_chat(
        self, message: str, chat_history: History = None, **kwargs: Any
    ) -> LiveChatResponse:
        """Send a message and return a response as soon as its answer begins.

            with chat.stream_chat("Why?") as response:
                for token in response.response_gen:
                    print(token, end="")

        Leaving the `with` block early stops the turn. An error after the first token is raised to
        each reader of the response, after the tokens that were written.

        Args:
            message: the user's message.
            chat_history: earlier messages that replace those in the memory; None to keep the
                memory.
            **kwargs: further arguments of the engine's `chat`, such as `prev_chunks`.

        Raises:
            NotImplementedError: the LLM cannot stream and the engine is strict.
            BaseException: the error that the turn failed with before its first token.
        """
        engine = cast("StreamingChatEngine", self)
        run = engine.start(message, chat_history, **kwargs)
        run.ready_sync()
        return LiveChatResponse(run)

    async def astream_chat(
        self, message: str, chat_history: History = None, **kwargs: Any
    ) -> AsyncLiveChatResponse:
        """Send a message and return an async response as soon as its answer begins.

            async with await chat.astream_chat("Why?") as response:
                async for token in response.response_gen:
                    print(token, end="")

        The turn runs in a task of the running event loop. Arguments and errors are those of
        `stream_chat`.
        """
        engine = cast("StreamingChatEngine", self)
        run = engine.start(message, chat_history, is_async=True, **kwargs)
        await run.ready()
        return AsyncLiveChatResponse(run)

    def chat(self, message: str, chat_history: History = None, **kwargs: Any) -> AgentChatResponse:
        """Send a message, wait, and return the complete answer.

        Args:
            message: the user's message.
            chat_history: earlier messages that replace those in the memory; None to keep the
                memory.
            **kwargs: further arguments of the engine's `chat`, such as `prev_chunks`.

        Raises:
            BaseException: the error that the turn failed with.
        """
        engine = cast("StreamingChatEngine", self)
        run = engine.start(message, chat_history, **kwargs)
        try:
            run.wait_sync()
        except BaseException:
            run.stop()
            run.stopped_sync()
            raise
        return _complete(run)

    async def achat(
        self, message: str, chat_history: History = None, **kwargs: Any
    ) -> AgentChatResponse:
        """Send a message, wait in a task of the running loop, and return the complete answer.

        Cancelling the task stops the turn. Arguments and errors are those of `chat`.
        """
        engine = cast("StreamingChatEngine", self)
        run = engine.start(message, chat_history, is_async=True, **kwargs)
        try:
            await run.wait()
        except asyncio.CancelledError:
            run.stop()
            await run.stopped()
            raise
        return _complete(run)


class StreamingChatEngine(Chatting, Wrapping, BaseChatEngine):
    """A chat engine whose answers stream, can be read repeatedly, and can be stopped.

    It wraps any chat engine of LlamaIndex's or of your own:

        chat = StreamingChatEngine(index.as_chat_engine(llm=llm))
        with chat.stream_chat("Why?") as response:
            response.print_response_stream()

    Each turn runs on its own copy of the engine. The engine's memory gets the user's message and
    the answer together when the turn ends, before readers see the end:

    - An answer that was stopped, failed or was cut off is kept as far as it was written. Its
      `additional_kwargs["incomplete"]` holds the reason: `stopped`, `failed`, `length`, ...
    - A turn without any text is not kept, so that you can send the message again without two user
      messages in a row.

    Turns may run at the same time. Each reads the messages of the turns that ended before it, and
    turns are written in the order in which they end. A turn that begins after another was stopped
    sees the text of the stopped one. `reset` also discards the turns that are still running.

    The answers of LlamaIndex's own chat engines stream from the LLM call that writes them. On your
    own engine `stream_chat` is called, or `chat` if `stream_chat` raises NotImplementedError.

    Args:
        engine: a chat engine of LlamaIndex's or of your own.
        show: `"answer"` for the events of the answer; `"calls"` also for the text of each inner LLM
            call (`LLMCallDelta`).
        strict: True to raise NotImplementedError if the LLM cannot stream; False to give its answer
            in one delta.
        max_lead: number of records that the answer may be ahead of its furthest reader.
        on_incomplete: `"raise"` to raise IncompleteResponse after an answer that was cut off,
            refused or filtered; `"event"` to write only an `Incomplete` event.

    Raises:
        TypeError: `engine` is not a chat engine.
        ValueError: an option has an unknown value.
    """

    def __init__(
        self,
        engine: BaseChatEngine,
        *,
        show: Show = "answer",
        strict: bool = False,
        max_lead: int = 64,
        on_incomplete: OnIncomplete = "raise",
    ) -> None:
        self.engine = _checked(engine)
        check_options(show, max_lead, on_incomplete)
        self.show: Show = show
        self.strict = strict
        self.max_lead = max_lead
        self.on_incomplete: OnIncomplete = on_incomplete

    def start(
        self, message: str, chat_history: History = None, *, is_async: bool = False, **kwargs: Any
    ) -> ChatRun:
        """Start a turn and return it at once.

        Args:
            message: the user's message.
            chat_history: earlier messages that replace those in the memory; None to keep the
                memory.
            is_async: True to call the engine's async methods in a task of the running loop; False
                to call its sync methods in a thread.
            **kwargs: further arguments of the engine's `chat`.
        """
        run = ChatRun(
            # Core's engines with context also take a QueryBundle, and remember what it says.
            str(message),
            type(self.engine).__name__,
            conversation=self._conversation(),
            max_lead=self.max_lead,
            on_incomplete=self.on_incomplete,
        )
        engine = prepared(
            self.engine,
            run,
            show_calls=self.show == "calls",
            strict=self.strict,
            is_async=is_async,
        )
        _give_memory(engine, run)
        if chat_history is not None:
            kwargs["chat_history"] = chat_history
        known = say_answer(engine, run)

        def ask(name: str) -> Any:
            return getattr(engine, name)(message, **kwargs)

        if is_async:
            chat = _async_asking(ask, known=known, strict=self.strict)
            run.start_in_task(lambda: run.turn(chat))
        else:
            asked = _asking(ask, known=known, strict=self.strict)
            run.start_in_thread(lambda: run.turn_sync(asked))
        return run

    # The memory

    def reset(self) -> None:
        """Clear the memory, and discard the turns that are still running."""
        conversation = self._conversation()
        if conversation is None:
            self.engine.reset()
            return
        conversation.resets += 1
        with conversation.held_here():
            self.engine.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The messages of the conversation, without the turns that are still running."""
        return self.engine.chat_history

    def _conversation(self) -> Conversation | None:
        memory = _memory_of(self.engine)
        return None if memory is None else conversation_over(memory)

    # What the engine has, this has

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "engine":
            raise AttributeError(name)
        return getattr(self.engine, name)


def _complete(run: ChatRun) -> AgentChatResponse:
    if run.error is not None:
        raise run.error
    return cast("AgentChatResponse", run.chat_response)


def _checked(engine: Any) -> BaseChatEngine:
    if isinstance(engine, StreamingChatEngine):
        return engine.engine
    if not isinstance(engine, BaseChatEngine):
        hint = ""
        if hasattr(engine, "as_chat_engine"):
            hint = " Pass index.as_chat_engine(...)."
        raise TypeError(
            f"StreamingChatEngine takes a chat engine, not {type(engine).__name__}.{hint}"
        )
    return engine


def _memory_of(engine: object) -> BaseMemory | None:
    """Return the memory of a chat engine: the one by core's name, else the only one it has."""
    if MEMORY.is_on(engine) and isinstance(MEMORY.of(engine), BaseMemory):
        return MEMORY.of(engine)
    every = state_of(engine).values()
    memories = {id(held): held for held in every if isinstance(held, BaseMemory)}
    return next(iter(memories.values())) if len(memories) == 1 else None


def _give_memory(engine: object, run: ChatRun) -> None:
    """Replace the memory of the turn's engine by the turn's own."""
    memory, state = _memory_of(engine), state_of(engine)
    if memory is None or run.memory is None:
        return
    for name in [name for name, held in state.items() if held is memory]:
        state[name] = run.memory.face


def _asking(ask: Callable[[str], Any], *, known: bool, strict: bool) -> Callable[[], Any]:
    return (lambda: ask("chat")) if known else (lambda: ask_own(ask, strict=strict))


def _async_asking(
    ask: Callable[[str], Awaitable[Any]], *, known: bool, strict: bool
) -> Callable[[], Coroutine[Any, Any, Any]]:
    async def chat() -> Any:
        return await ask("achat") if known else await aask_own(ask, strict=strict)

    return chat
