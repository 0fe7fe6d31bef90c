"""The state that the copies of a fake LLM share: its script, its record and its gates."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Self

from llama_index_streaming_ext.testing.fake_llm.calls import Call
from llama_index_streaming_ext.testing.fake_llm.playback import Playback
from llama_index_streaming_ext.testing.gates import Gates
from llama_index_streaming_ext.testing.script.turns import Script
from llama_index_streaming_ext.testing.wire.items import Gate, Wait


class FakeState:
    """The state of a fake LLM. Copies are the same state; a pickled one is independent.

    Args:
        script: what to answer.
        strict: whether a call more than the script has is an error.
        repeat_last: whether the last turn answers all calls after it.
    """

    def __init__(self, script: Script, *, strict: bool, repeat_last: bool) -> None:
        self.playback = Playback(script, strict=strict, repeat_last=repeat_last)
        self.calls: list[Call] = []
        self.gates = Gates()

    def pause(self, step: Wait | Gate) -> None:
        """Waits, and blocks the thread."""
        if isinstance(step, Wait):
            time.sleep(step.seconds)
        else:
            self.gates.wait(step)

    async def apause(self, step: Wait | Gate) -> None:
        """Waits, and lets the event loop go on."""
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
        else:
            await self.gates.passed(step)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"playback": self.playback, "calls": list(self.calls)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, gates=Gates())
