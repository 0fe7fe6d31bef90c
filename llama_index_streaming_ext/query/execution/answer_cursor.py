"""The cursor of those who read the answer of a query."""

from __future__ import annotations

from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import AnswerText, Token
from llama_index_streaming_ext.stream.record import Record


class AnswerCursor(Cursor[str]):
    """The cursor of a reader of the answer's deltas.

    Args:
        answer: the answer.
        after: how many of its deltas are not wanted.
    """

    __slots__ = ("_after", "_answer")

    nap = 0.002

    def __init__(self, answer: AnswerText, after: int) -> None:
        super().__init__(0, (), internal=True)
        self._answer = answer
        self._after = after

    def take(self, seq: int, entry: Token | Record) -> str | None:
        """The delta, if it is one of the answer's."""
        if isinstance(entry, Token) and entry.series is self._answer and entry.index >= self._after:
            return entry.delta
        return None
