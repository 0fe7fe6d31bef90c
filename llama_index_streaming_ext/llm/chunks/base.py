"""The base class of readers of the chunks of one LLM call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from llama_index.core.base.llms.types import ChatResponse

from llama_index_streaming_ext.llm.chunks.tool_calls import Fragment, TextSoFar, ToolCallSoFar, told


class Piece(NamedTuple):
    """The addition of one chunk to its call."""

    delta: str
    """Text of the answer."""
    thinking: str | None
    """Text of the reasoning."""
    fragments: Sequence[Fragment]
    """Arguments of tool calls."""


def piece(delta: str, thinking: str | None, fragments: Sequence[Fragment]) -> Piece:
    """A piece, made as its class makes it, at half the cost."""
    return tuple.__new__(Piece, (delta, thinking, fragments))  # pyright: ignore[reportUnknownMemberType]


class ChunkReader(ABC):
    """Reads the chunks of one LLM call, in their order, each once."""

    def __init__(self) -> None:
        self._text = TextSoFar()
        self._thinking = TextSoFar()
        self._calls: Sequence[ToolCallSoFar] = ()

    @property
    def text(self) -> str:
        """The text so far."""
        return str(self._text)

    @property
    def thinking(self) -> str:
        """The reasoning so far."""
        return str(self._thinking)

    @property
    def tool_calls(self) -> list[tuple[str, str, str]]:
        """The tool calls so far: id, name and the text of the arguments, as fragments told it."""
        return [(call.tool_id, call.tool_name, str(call.arguments)) for call in self._calls]

    @abstractmethod
    def read(self, chunk: ChatResponse) -> Piece:
        """Read the next chunk.

        Args:
            chunk: as the LLM yielded it.

        Returns:
            What it adds to those before it.
        """

    def end(self) -> Sequence[Fragment]:
        """Say that no chunk follows.

        Returns:
            The fragments that only the end makes certain, such as arguments that came as a dict,
            which could have grown; and `{}` for a call without arguments. Asked again: none.
        """
        return told(call.end() for call in self._calls)

    def repaired(self, chunk: ChatResponse) -> ChatResponse:
        """The chunk as it should have been.

        Args:
            chunk: the one that was read last.

        Returns:
            The same object where there is nothing to mend; otherwise a copy whose message has
            everything so far, and which shares nothing that changes later.
        """
        return chunk

    def _delta(self, chunk: ChatResponse) -> str:
        """The text that a chunk adds; where it does not say, what the whole text has grown by."""
        delta = chunk.delta
        if delta is None:
            delta = self._growth(chunk.message.content or "")
        if delta:
            self._text.add(delta)
        return delta

    def _growth(self, content: str) -> str:
        before = self.text
        return content[len(before) :] if content.startswith(before) else ""
