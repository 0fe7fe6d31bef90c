"""`StreamingChatEngine`: any chat engine, whose answers stream and whose memory stays whole."""

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
    """The methods that people chat by. It stands before core's class, which decorates its own.

    So a turn is one span and one trace, as upstream: those of the engine.
    """

    def stream_chat(
        self, message: str, chat_history: History = None, **kwargs: Any
    ) -> LiveChatResponse:
        """Chat, and get a response as soon as the answer begins.

        Args:
            message: what the user says.
            chat_history: takes the place of what the memory has.
            **kwargs: what the engine's `chat` takes besides, such as `prev_chunks`.
        """
        engine = cast("StreamingChatEngine", self)
        run = engine.start(message, chat_history, **kwargs)
        run.ready_sync()
        return LiveChatResponse(run)

    async def astream_chat(
        self, message: str, chat_history: History = None, **kwargs: Any
    ) -> AsyncLiveChatResponse:
        """What `stream_chat` does, in a task of the running loop."""
        engine = cast("StreamingChatEngine", self)
        run = engine.start(message, chat_history, is_async=True, **kwargs)
        await run.ready()
        return AsyncLiveChatResponse(run)

    def chat(self, message: str, chat_history: History = None, **kwargs: Any) -> AgentChatResponse:
        """Chat, and get the complete answer.

        Raises:
            BaseException: what the turn failed with.
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
        """What `chat` does, in a task of the running loop."""
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
    """Any chat engine, whose answers stream, can be read more than once, and stop when stopped.

        chat = StreamingChatEngine(index.as_chat_engine(llm=llm))
        with chat.stream_chat("Why?") as response:
            response.print_response_stream()

    Every turn runs on a copy of the engine that is its own. The memory is the engine's, and gets
    the user's message and the answer together, when the turn ends and before its readers are told
    so:

    - an answer that was stopped, has failed or was cut off is remembered as far as it came, with
      the reason in `additional_kwargs["incomplete"]`: `stopped`, `failed`, `length`, ...;
    - a turn of which there is no text at all is not remembered, so that it can be asked again
      without two messages of the user in a row.

    Turns at the same time do not disturb each other: each reads what the turns that ended before
    it have written, and they are remembered in the order in which they end. One that begins after
    another was stopped sees what there is of that. `reset` also forgets the turns at work.

    The answers of core's own chat engines stream from where they are made. Of a user's engine the
    own `stream_chat` is asked, or `chat` where that raises NotImplementedError.

    Args:
        engine: any chat engine of core's or of your own.
        show: `"answer"`, or `"calls"` to see what every inner LLM call says (`LLMCallDelta`).
        strict: raise NotImplementedError where the LLM cannot stream, instead of giving the answer
            in one delta.
        max_lead: how many records the answer may be ahead of its furthest reader.
        on_incomplete: `"raise"` after an answer that is cut off, refused or filtered, `"event"` to
            write an `Incomplete` only.

    Raises:
        TypeError: it is no chat engine.
        ValueError: an option has no such value.
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
        """Start a turn, without waiting for anything.

        Args:
            message: what the user says.
            chat_history: takes the place of what the memory has.
            is_async: whether the engine's async face is asked, in a task of the running loop, or
                its sync face, in a thread.
            **kwargs: what the engine's `chat` takes besides.
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
        """Forget the conversation, and the turns that are at work."""
        conversation = self._conversation()
        if conversation is None:
            self.engine.reset()
            return
        conversation.resets += 1
        with conversation.held_here():
            self.engine.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The conversation, up to the turns that have ended."""
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
    """Have the turn's engine hold the turn's memory."""
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
