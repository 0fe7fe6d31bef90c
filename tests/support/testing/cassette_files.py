"""Cassettes to test with, and what is in them."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn
from llama_index_streaming_ext.testing.cassette import record_llm
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.testing.real_classes import real

ASK = [ChatMessage("Hi")]


def recorder(path: Path, script: list[Turn], dialect: Dialect = "chat") -> FunctionCallingLLM:
    """A real class that is recorded."""
    return record_llm(real(script, dialect, max_retries=0), path)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a cassette."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def handmade(path: Path, offsets: list[float], end: dict[str, Any] | None) -> None:
    """Writes a cassette of one streamed call."""
    record_llm(FakeStreamingLLM("0"), path).complete("other")
    header = lines(path)[0]
    blocks = [{"block_type": "text", "text": "Hi"}]
    request = {"face": "chat", "stream": True, "messages": [{"role": "user", "blocks": blocks}]}
    said: list[dict[str, Any]] = [header, {"call": "1", "request": request}]
    for i, at in enumerate(offsets):
        message: dict[str, Any] = {"role": "assistant", "blocks": []}
        said.append({"call": "1", "at": at, "chunk": {"delta": str(i), "message": message}})
    said += [{"call": "1", **end}] if end else []
    path.write_text("".join(json.dumps(line) + "\n" for line in said))


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait: its clock jumps."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(JumpingSelector(self))

    def time(self) -> float:
        """The time that would have passed."""
        return self.now


class JumpingSelector(selectors.SelectSelector):
    """Tells the loop to jump instead of waiting."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """What is ready now."""
        self.loop.now += timeout or 0.0
        return super().select(0)


def in_virtual_time(asked: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine without waiting."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(asked)
