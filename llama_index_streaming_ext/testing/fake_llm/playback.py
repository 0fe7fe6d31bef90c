"""The position in a script: the turn that answers the next call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from llama_index_streaming_ext.testing.errors import UnexpectedLLMCall
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.script.turns import Script, Turn, turns_of


class Playback:
    """A script and the position in it. Calls may come from any thread.

    `unexpected` has the calls that it had no turn for. Copies share the position, as many runs at
    once share one fake; a pickled one is independent.

    Args:
        script: the turns.
        strict: whether a call more than the script has is an error; otherwise its answer is empty.
        repeat_last: whether the last turn answers all calls after it.
    """

    def __init__(self, script: Script, *, strict: bool = True, repeat_last: bool = False) -> None:
        self.strict = strict
        self.repeat_last = repeat_last
        turns = turns_of(script)
        self._ask: Callable[[Request], Turn] | None = None if isinstance(turns, list) else turns
        self._turns: list[Turn] = turns if isinstance(turns, list) else []
        self._used: set[int] = set()
        self._taken = 0
        self._lock = threading.Lock()
        self.unexpected: list[UnexpectedLLMCall] = []

    @property
    def taken(self) -> int:
        """The number of calls that were answered."""
        return self._taken

    @property
    def left(self) -> list[Turn]:
        """The turns that no call has had yet; a function as script has none."""
        return [turn for i, turn in enumerate(self._turns) if i not in self._used]

    def take(self, request: Request) -> tuple[Turn, Request]:
        """Take the turn that answers a request.

        Args:
            request: the call.

        Returns:
            The turn, and the request with its `number` set.

        Raises:
            UnexpectedLLMCall: no turn that is left answers it, and the script is strict.
        """
        with self._lock:
            if self._ask is None:
                turn, number = self._next(request)
            else:
                turn, number = None, self._taken + 1
            self._taken += 1
        request = replace(request, number=number)
        # The user's function runs outside the lock: it may call an LLM itself.
        return (turn or self._answer(request)), request

    def peek(self, request: Request) -> Turn | None:
        """The turn that would answer a request now; None if none would, or a function decides."""
        with self._lock:
            found = self._find(request)
        if found is not None:
            return self._turns[found]
        return self._turns[-1] if self.repeat_last and self._turns else None

    def answers(self, request: Request) -> bool:
        """Return True if the script has an answer to a request."""
        return self._ask is not None or self.peek(request) is not None

    def _answer(self, request: Request) -> Turn:
        return self._ask(request) if self._ask else Turn()

    def _next(self, request: Request) -> tuple[Turn | None, int]:
        found = self._find(request)
        if found is not None:
            self._used.add(found)
            return self._turns[found], found + 1
        number = max(len(self._turns), self._taken) + 1
        if self.repeat_last and self._turns:
            return self._turns[-1], number
        if self.strict:
            self.unexpected.append(UnexpectedLLMCall(request, self.left, taken=self._taken))
            raise self.unexpected[-1]
        return None, number

    def _find(self, request: Request) -> int | None:
        left = (i for i in range(len(self._turns)) if i not in self._used)
        return next((i for i in left if self._turns[i].matches(request)), None)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {**vars(self), "_used": set(self._used), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())
