"""The additions of each chunk of an LLM's stream: text, reasoning, arguments of tool calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms.llm import LLM

from llama_index_streaming_ext.llm.chunks.base import ChunkReader, Piece
from llama_index_streaming_ext.llm.chunks.generic import AnthropicReader, GenericReader
from llama_index_streaming_ext.llm.chunks.openai_chat import OpenAIChatReader
from llama_index_streaming_ext.llm.chunks.openai_responses import OpenAIResponsesReader
from llama_index_streaming_ext.llm.chunks.tool_calls import Fragment
from llama_index_streaming_ext.llm.raw import get

__all__ = ["ChunkReader", "Fragment", "Piece", "reader_for"]

_OPENAI_CLASSES = "llama_index.llms.openai."


def reader_for(llm: LLM) -> ChunkReader:
    """A reader of the chunks of one call of an LLM.

    The first chunk decides how they are read, since classes that derive from OpenAI's, and those
    that speak to servers like it, have the same raw chunks; and a subclass may have none. The
    class decides what is mended: in messages of other classes than OpenAI's, tool calls are not
    put where there were none.

    Args:
        llm: whose chunks are read.

    Example:
        >>> reader = reader_for(llm)
        >>> for chunk in llm.stream_chat(messages, tools=tools):
        ...     for fragment in reader.read(chunk).fragments:
        ...         print(fragment.tool_name, fragment.delta)
        >>> last = reader.repaired(chunk)
    """
    return _ReaderByShape(is_openai=_is_openai(llm))


class _ReaderByShape(ChunkReader):
    """Becomes, at the first chunk, the reader that its raw chunk asks for."""

    def __init__(self, *, is_openai: bool) -> None:
        super().__init__()
        self._is_openai = is_openai
        self._reader: ChunkReader | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return self._reader.text if self._reader else ""

    @property
    def thinking(self) -> str:
        """The reasoning so far."""
        return self._reader.thinking if self._reader else ""

    @property
    def tool_calls(self) -> list[tuple[str, str, str]]:
        """The tool calls so far: id, name and the text of the arguments, as fragments told it."""
        return self._reader.tool_calls if self._reader else []

    def read(self, chunk: ChatResponse) -> Piece:
        """Read the next chunk."""
        if self._reader is None:
            self._reader = self._chosen(chunk.raw)
            # From now on a chunk costs no detour.
            self.read = self._reader.read
        return self._reader.read(chunk)

    def end(self) -> Sequence[Fragment]:
        """Say that no chunk follows."""
        return self._reader.end() if self._reader else ()

    def repaired(self, chunk: ChatResponse) -> ChatResponse:
        """The chunk as it should have been."""
        return self._reader.repaired(chunk) if self._reader else chunk

    def _chosen(self, raw: Any) -> ChunkReader:
        kind = str(get(raw, "type"))
        if kind.startswith("response."):
            return OpenAIResponsesReader()
        if kind.startswith(("content_block_", "message_")):
            return AnthropicReader()
        if _is_chat(raw):
            return OpenAIChatReader(only_shown=not self._is_openai)
        return GenericReader()


def _is_chat(raw: Any) -> bool:
    if get(raw, "object") == "chat.completion.chunk":
        return True
    choices = get(raw, "choices")
    if not isinstance(choices, list):
        return False
    # Azure's first chunk has no choices, only what its filters say of the prompt.
    return not choices or get(choices[0], "delta") is not None


def _is_openai(llm: LLM) -> bool:
    # By module: the OpenAI classes may not be installed.
    return any(
        cls.__module__.startswith(_OPENAI_CLASSES) or vars(cls).get("speaks_openai") is True
        for cls in type(llm).__mro__
    )
