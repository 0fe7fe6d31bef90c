"""What a token costs: our FunctionAgent beside core's, in one process.

Run it with `python tests/bench/agent.py`. It prints CPU microseconds per token, the
ratio of the whole to core's, and of what the agent adds to the LLM's own stream to what core adds.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent

from llama_index_streaming_ext import FunctionAgent
from tests.bench.bench_llm import ScriptedLLM

RUNS = 7


async def _bare(llm: ScriptedLLM) -> int:
    """The LLM's own stream, which is what the agents are measured against."""
    seen = 0
    async for chunk in await llm.astream_chat([]):
        seen += len(chunk.delta or "")
    return seen


async def _core(llm: ScriptedLLM) -> int:
    return await _plain(CoreFunctionAgent(llm=llm))


async def _plain(agent: Any) -> int:
    handler = agent.run(user_msg="go")
    seen = 0
    async for event in handler.stream_events():
        seen += len(getattr(event, "delta", ""))
    await handler
    return seen


async def _ours(llm: ScriptedLLM) -> int:
    return await _plain(FunctionAgent(llm=llm))


async def _ours_records(llm: ScriptedLLM) -> int:
    handler = FunctionAgent(llm=llm).run(user_msg="go")
    seen = 0
    async for record in handler.stream.read():
        seen += len(getattr(record.event, "delta", ""))
    await handler
    return seen


async def _ours_unread(llm: ScriptedLLM) -> int:
    handler = FunctionAgent(llm=llm).run(user_msg="go")
    await handler
    return llm.tokens * 4


async def _core_unread(llm: ScriptedLLM) -> int:
    agent: Any = CoreFunctionAgent(llm=llm)
    handler = agent.run(user_msg="go")
    await handler
    return llm.tokens * 4


def _cpu(main: Any, tokens: int) -> float:
    llm = ScriptedLLM(tokens=tokens)
    begun = time.process_time()
    seen = asyncio.run(main(llm))
    spent = time.process_time() - begun
    assert seen == tokens * 4
    return spent / tokens * 1e6


def main() -> None:
    """Print the table."""
    ways = {
        "llm.astream_chat": _bare,
        "core, stream_events": _core,
        "ours, stream_events": _ours,
        "ours, stream.read": _ours_records,
        "core, nobody reads": _core_unread,
        "ours, nobody reads": _ours_unread,
    }
    for way in ways.values():
        _cpu(way, 200)
    print(f"{'tokens':>7}  {'reader':<22}{'us CPU/token':>13}{'whole':>7}{'added':>7}")
    for tokens in (2_000, 8_000):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(RUNS):
            for name, way in ways.items():
                taken[name].append(_cpu(way, tokens))
        bare, base = taken["llm.astream_chat"], taken["core, stream_events"]
        for name, values in taken.items():
            rows = list(zip(values, base, bare, strict=True))
            whole = statistics.median(v / b for v, b, _ in rows)
            added = statistics.median((v - o) / (b - o) for v, b, o in rows)
            cpu = statistics.median(values)
            print(f"{tokens:>7}  {name:<22}{cpu:>13.1f}{whole:>7.2f}{added:>7.2f}")


if __name__ == "__main__":
    main()
