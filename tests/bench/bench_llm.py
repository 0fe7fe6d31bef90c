"""The LLM of the benchmarks: it costs next to nothing, so that what is measured is the rest."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    LLMMetadata,
)
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
