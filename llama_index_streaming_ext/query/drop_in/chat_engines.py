"""Core's chat engines by their own names, whose answers stream.

Each class is a subclass of core's class of the same name, and takes the same arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core import chat_engine as core
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine.types import BaseChatEngine

from llama_index_streaming_ext.llm.observer import OnIncomplete
from llama_index_streaming_ext.query.chat.engine import Chatting, StreamingChatEngine
from llama_index_streaming_ext.query.drop_in.core_view import core_view, is_plain, stands_for
from llama_index_streaming_ext.query.prepare import Show, Wrapping

if TYPE_CHECKING:
    from llama_index_streaming_ext.query.chat.turn import ChatRun

# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# What the methods return streams.


class StreamingChatMethods(Chatting, Wrapping):
    """The methods by which people chat with engines of core's names.

    Attributes:
        show: `"answer"`, or `"calls"` to see what every inner LLM call says.
        max_lead: how many records the answer may be ahead of its furthest reader.
        on_incomplete: what to do about an answer that is cut off, refused or filtered, as for
            `StreamingChatEngine`.
    """

    show: Show = "answer"
    max_lead: int = 64
    on_incomplete: OnIncomplete = "raise"

    @property
    def engine(self) -> BaseChatEngine:
        """The same engine, as core asks it."""
        return core_view(self)

    def start(
        self,
        message: str,
        chat_history: list[ChatMessage] | None = None,
        *,
        is_async: bool = False,
        **kwargs: Any,
    ) -> ChatRun:
        """Start a turn, without waiting for anything.

        Args:
            message: the user's message.
            chat_history: messages that take the place of those in the memory.
            is_async: True to work in a task of the running loop.
            **kwargs: what the engine's `chat` takes besides.
        """
        adapter = self._adapter()
        return adapter.start(message, chat_history, is_async=is_async, **kwargs)

    def reset(self) -> None:
        """Forget the conversation, and what turns that are still at work would write into it."""
        self._adapter().reset()

    def _adapter(self) -> StreamingChatEngine:
        return StreamingChatEngine(
            self.engine,
            show=self.show,
            max_lead=self.max_lead,
            on_incomplete=self.on_incomplete,
        )

    def __getattribute__(self, name: str) -> Any:
        # A user's subclass, as core asks it, has core's methods of these names.
        if name in _ASKED_BY_CORE and is_plain(self):
            return getattr(super(Chatting, self), name)
        return super().__getattribute__(name)


_ASKED_BY_CORE = frozenset({"chat", "achat", "stream_chat", "astream_chat", "reset"})


@stands_for(core.SimpleChatEngine)
class SimpleChatEngine(StreamingChatMethods, core.SimpleChatEngine):
    """A chat with an LLM, whose answers stream and whose memory survives a stop."""


@stands_for(core.ContextChatEngine)
class ContextChatEngine(StreamingChatMethods, core.ContextChatEngine):
    """A chat about retrieved text, whose answers stream and whose memory survives a stop."""


@stands_for(core.CondenseQuestionChatEngine)
class CondenseQuestionChatEngine(StreamingChatMethods, core.CondenseQuestionChatEngine):
    """A chat that asks a query engine condensed questions; its answers stream."""


@stands_for(core.CondensePlusContextChatEngine)
class CondensePlusContextChatEngine(StreamingChatMethods, core.CondensePlusContextChatEngine):
    """A chat that condenses questions and retrieves text for them; its answers stream."""
