"""The responses of `stream_chat()` and `astream_chat()`: those of queries, with core's chat names.

They pass `isinstance` as core's `StreamingAgentChatResponse` and have its public fields. They have
no queue and no writer thread, because any number of readers share the log of the turn.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from llama_index.core.chat_engine import types
from llama_index.core.tools import ToolOutput

from llama_index_streaming_ext.query.chat.turn import ChatRun
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse
from llama_index_streaming_ext.query.response.printing import print_token
from llama_index_streaming_ext.query.response.query_response import QueryResponse
from llama_index_streaming_ext.query.response.sync import LiveResponse

_Fields = QueryResponse if TYPE_CHECKING else object
_Upstream: Any = object if TYPE_CHECKING else types.StreamingAgentChatResponse


class ChatFields(_Fields):
    """The fields that core's chat responses have and its query responses have not."""

    _sources: list[ToolOutput] | None = None

    @property
    def response(self) -> str:
        """The text so far, also after a failure or a stop."""
        said = self._own.get("response_txt")
        return said if said is not None else self._answer.text

    @response.setter
    def response(self, value: str) -> None:
        self._own["response_txt"] = value

    @property
    def unformatted_response(self) -> str:
        """The text so far."""
        return self.response

    @property
    def sources(self) -> list[ToolOutput]:
        """The tool and retriever outputs behind the answer, known before its first token."""
        if self._sources is not None:
            return self._sources
        run = self._chat_run()
        return run.tool_outputs if run is not None else []

    @sources.setter
    def sources(self, value: list[ToolOutput]) -> None:
        self._sources = value

    @property
    def is_done(self) -> bool:
        """True once the answer has ended, in whatever way."""
        return self._answer.done

    @property
    def exception(self) -> BaseException | None:
        """The error of the answer, StreamStopped after a stop; None if there is none yet."""
        return self._answer.error

    def async_response_gen(self) -> AsyncGenerator[str, None]:
        """Return the tokens from the start, for a task."""
        raise NotImplementedError

    async def aprint_response_stream(self) -> None:
        """Print the answer as it comes, in a task, without a final newline."""
        async with aclosing(self.async_response_gen()) as tokens:
            async for token in tokens:
                print_token(token)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the whole answer, with its sources."""
        return *super().__reduce__(), {"_sources": self.sources}

    def _chat_run(self) -> ChatRun | None:
        run = self._held.run if self._held is not None else None
        return run if isinstance(run, ChatRun) else None


class LiveChatResponse(ChatFields, LiveResponse, _Upstream):  # pyright: ignore[reportIncompatibleVariableOverride] # core's fields are properties here
    """The answer of `stream_chat()`: a `LiveResponse` with the fields of core's chat response.

    with chat_engine.stream_chat("Why?") as response:
        response.print_response_stream()
    """

    def async_response_gen(self) -> AsyncGenerator[str, None]:
        """Return the tokens from the start, for a task."""
        return aiter(self.read())


class AsyncLiveChatResponse(ChatFields, AsyncLiveResponse, _Upstream):  # pyright: ignore[reportIncompatibleVariableOverride] # core's fields are properties here
    """The answer of `astream_chat()`: an `AsyncLiveResponse` with core's chat fields.

    async with await chat_engine.astream_chat("Why?") as response:
        async for token in response.async_response_gen():
            print(token, end="")
    """

    def async_response_gen(self) -> AsyncGenerator[str, None]:
        """Return the tokens from the start; a text that was assigned, in one piece."""
        return AsyncLiveResponse.async_response_gen(self)
