"""The iterators that `response.response_gen` gives."""

from __future__ import annotations

import asyncio
import threading
import weakref
from functools import partial
from typing import Any

from llama_index_streaming_ext.query.response.answer import Answer, AnswerCursor
from llama_index_streaming_ext.query.response.reader import AsyncReader, SyncReader
from llama_index_streaming_ext.stream.shared_position import SharedPosition


class ResponseGen(SyncReader[str]):
    """The tokens of an answer, from where the last reader has stopped.

    A `for` in another task or thread than the one that took it from the response is a reader of
    its own. What `iter()` gives there is read on by whoever has it: web servers ask for each token
    in any thread of a pool.

    Args:
        answer: the answer.
        position: the position that the readers of the response share.
        handed_on: True if it stays the same reader in every task and thread.
    """

    def __init__(
        self, answer: Answer, position: SharedPosition, *, handed_on: bool = False
    ) -> None:
        super().__init__(answer, partial(_cursor, answer, position))
        self.answer = answer
        self._position = position
        self._taker = None if handed_on else _reader_here()

    def __iter__(self) -> ResponseGen:
        if _is_here(self._taker):
            return self
        return ResponseGen(self.answer, self._position, handed_on=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> ResponseGen:
        # What is live cannot be doubled; `dataclasses.asdict` copies every field.
        return self


class AsyncResponseGen(AsyncReader[str]):
    """The tokens of an answer, from where the last reader has stopped.

    An `async for` in another task than the one that took it from the response is a reader of its
    own. What `aiter()` gives there is read on by whoever has it.

    Args:
        answer: the answer.
        position: the position that the readers of the response share.
        handed_on: True if it stays the same reader in every task.
    """

    def __init__(
        self, answer: Answer, position: SharedPosition, *, handed_on: bool = False
    ) -> None:
        super().__init__(answer, partial(_cursor, answer, position))
        self.answer = answer
        self._position = position
        self._taker = None if handed_on else _reader_here()

    def __aiter__(self) -> AsyncResponseGen:
        if _is_here(self._taker):
            return self
        return AsyncResponseGen(self.answer, self._position, handed_on=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncResponseGen:
        # What is live cannot be doubled; `dataclasses.asdict` copies every field.
        return self


def _cursor(answer: Answer, position: SharedPosition, reader: object) -> AnswerCursor:
    return AnswerCursor(answer, position, weakref.ref(reader))


def _reader_here() -> weakref.ref[Any]:
    """Return the current task, or the current thread where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return weakref.ref(task if task is not None else threading.current_thread())


def _is_here(taker: weakref.ref[Any] | None) -> bool:
    return taker is None or taker() is _reader_here()()
