"""The LLM of the benchmarks: it costs next to nothing, so that what is measured is the rest."""

# Core's decorators of LLM methods are not typed.
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

import asyncio
import time
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms.callbacks import (
    llm_chat_callback,  # pyright: ignore[reportUnknownVariableType]
)
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import ToolSelection


class ScriptedLLM(FunctionCallingLLM):
    """Streams `tokens` deltas of four characters, with a turn of the event loop for each."""

    tokens: int

    @property
    def metadata(self) -> LLMMetadata:
        """A chat model that calls functions."""
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True)

    async def astream_chat_with_tools(self, *args: Any, **kwargs: Any) -> Any:
        """The stream that `FunctionAgent` reads."""
        return self._stream()

    async def astream_chat(self, *args: Any, **kwargs: Any) -> Any:
        """The same stream, without tools."""
        return self._stream()

    async def _stream(self) -> Any:
        text = ""
        message = ChatMessage(role="assistant")
        for _ in range(self.tokens):
            text += "abcd"
            message = ChatMessage.model_construct(
                role="assistant", blocks=message.blocks, additional_kwargs={}
            )
            message.content = text
            yield ChatResponse.model_construct(
                message=message, delta="abcd", raw=None, logprobs=None, additional_kwargs={}
            )
            await asyncio.sleep(0)

    def get_tool_calls_from_response(self, *args: Any, **kwargs: Any) -> list[ToolSelection]:
        """It calls no tools."""
        return []

    def _prepare_chat_with_tools(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {}

    def chat(self, *args: Any, **kwargs: Any) -> Any:
        """Not used."""
        raise NotImplementedError

    achat = stream_chat = chat  # pyright: ignore[reportAssignmentType]
    complete = acomplete = stream_complete = chat  # pyright: ignore[reportAssignmentType]
    astream_complete = chat  # pyright: ignore[reportAssignmentType]


class ChattingLLM(CustomLLM):
    """Streams `tokens` deltas of four characters, with callbacks as the real classes have."""

    tokens: int
    pause: float = 0.0

    @property
    def metadata(self) -> LLMMetadata:
        """A chat model."""
        return LLMMetadata(is_chat_model=True, context_window=4_000, num_output=256)

    @llm_chat_callback()
    def stream_chat(self, *args: Any, **kwargs: Any) -> Any:
        """The answer, synchronously."""

        def stream() -> Any:
            for chunk in self._chunks():
                time.sleep(self.pause) if self.pause else None
                yield chunk

        return stream()

    @llm_chat_callback()
    async def astream_chat(self, *args: Any, **kwargs: Any) -> Any:
        """The answer, with a turn of the event loop for each token."""

        async def stream() -> Any:
            for chunk in self._chunks():
                await asyncio.sleep(self.pause)
                yield chunk

        return stream()

    @llm_chat_callback()
    def chat(self, *args: Any, **kwargs: Any) -> Any:
        """The whole answer."""
        *_, last = self._chunks()
        time.sleep(self.pause * self.tokens)
        return last

    @llm_chat_callback()
    async def achat(self, *args: Any, **kwargs: Any) -> Any:
        """The whole answer."""
        *_, last = self._chunks()
        await asyncio.sleep(self.pause * self.tokens)
        return last

    def complete(self, *args: Any, **kwargs: Any) -> CompletionResponse:
        """Not used."""
        raise NotImplementedError

    stream_complete = complete  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def _chunks(self) -> Any:
        text = ""
        for _ in range(self.tokens):
            text += "abcd"
            message = ChatMessage(role="assistant", content=text)
            yield ChatResponse(message=message, delta="abcd")
