"""How long a chunk takes from the LLM to a reader: our FunctionAgent beside core's.

Run it with `python tests/bench/latency.py`. Agents run side by side in one process, each with an
LLM that makes 50 tokens a second and with one reader. The clock starts when the LLM yields a chunk,
and stops when the reader has its event. It prints percentiles in milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from pydantic import PrivateAttr

from llama_index_streaming_ext import AgentStream, FunctionAgent
from tests.bench.bench_llm import ScriptedLLM

AGENTS = 50
RATE = 50
TOKENS = 200


class PacedLLM(ScriptedLLM):
    """Makes tokens at a steady pace, and notes when each one leaves it."""

    rate: float = RATE

    _left: list[float] = PrivateAttr(default_factory=list[float])

    @property
    def left(self) -> list[float]:
        """When each token left."""
        return self._left

    async def _stream(self) -> Any:
        said = ""
        # Not all at the same moment: no two users type in step.
        next_at = time.perf_counter() + random.random() / self.rate
        for _ in range(self.tokens):
            next_at += 1 / self.rate
            await asyncio.sleep(max(next_at - time.perf_counter(), 0))
            said += "abcd"
            message = ChatMessage(role="assistant", content=said)
            self._left.append(time.perf_counter())
            yield ChatResponse(message=message, delta="abcd")


async def follow(make: Callable[[PacedLLM], Any], delays: list[float]) -> None:
    """Run one agent, and read it."""
    llm = PacedLLM(tokens=TOKENS)
    handler = make(llm).run(user_msg="go")
    seen = 0
    async for event in handler.stream_events():
        if isinstance(event, AgentStream) and event.delta:
            delays.append(time.perf_counter() - llm.left[seen])
            seen += 1
    assert seen == TOKENS
    await handler


async def side_by_side(make: Callable[[PacedLLM], Any], agents: int) -> list[float]:
    """The delays of all tokens of so many agents, in seconds, sorted."""
    delays: list[float] = []
    await asyncio.gather(*(follow(make, delays) for _ in range(agents)))
    return sorted(delays)


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    agents = int(sys.argv[1]) if len(sys.argv) > 1 else AGENTS
    ways: dict[str, Callable[[PacedLLM], Any]] = {
        "core": lambda llm: CoreFunctionAgent(llm=llm),
        "ours": lambda llm: FunctionAgent(llm=llm),
    }
    print(f"{agents} agents, {RATE} tokens/s each, {TOKENS} tokens: ms from the LLM to the reader")
    print(f"{'':<8}{'p50':>8}{'p90':>8}{'p99':>8}{'p99.9':>8}{'most':>8}{'CPU s':>8}")
    for name, make in ways.items():
        asyncio.run(side_by_side(make, 2))
        gc.collect()
        began = time.process_time()
        delays = asyncio.run(side_by_side(make, agents))
        cpu = time.process_time() - began
        row = [delays[int(share * (len(delays) - 1))] for share in (0.5, 0.9, 0.99, 0.999, 1)]
        print(f"{name:<8}" + "".join(f"{delay * 1e3:>8.2f}" for delay in row) + f"{cpu:>8.2f}")


if __name__ == "__main__":
    main()
