"""What a run that nobody reads keeps: ours beside core's, each in a process of its own.

Run it: `python tests/bench/memory.py`. MB that the run has added while its handler is kept: what
Python has allocated (tracemalloc), and what the process has got from the system (RSS).
"""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
import tracemalloc
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent

from llama_index_streaming_ext import FunctionAgent
from tests.bench.bench_llm import ScriptedLLM

AGENTS: dict[str, Any] = {"ours": FunctionAgent, "core": CoreFunctionAgent}
SIZES = (1_000, 4_000, 16_000)
MB = 1e6


async def _run(agent: str, tokens: int) -> Any:
    handler = AGENTS[agent](llm=ScriptedLLM(tokens=tokens)).run(user_msg="go")
    await handler
    return handler


async def _traced(agent: str, tokens: int) -> float:
    await _run(agent, 10)
    gc.collect()
    tracemalloc.start()
    handler = await _run(agent, tokens)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    del handler
    return kept / MB


async def _resident(agent: str, tokens: int) -> float:
    await _run(agent, 10)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await _run(agent, tokens)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / MB


def measure(way: str, agent: str, tokens: int) -> float:
    """One measurement, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, __file__, way, agent, str(tokens)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ran.stdout)


def main() -> None:
    """Print the table."""
    print(f"{'MB kept, tokens':<22}" + "".join(f"{size:>9,}" for size in SIZES))
    for way in ("traced", "resident"):
        rows = {agent: [measure(way, agent, size) for size in SIZES] for agent in AGENTS}
        for agent, row in rows.items():
            print(f"{agent + ', ' + way:<22}" + "".join(f"{kept:>9.1f}" for kept in row))
        ratios = [core / ours for ours, core in zip(rows["ours"], rows["core"], strict=True)]
        print(f"{'core / ours':<22}" + "".join(f"{ratio:>9.0f}" for ratio in ratios))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ways = {"traced": _traced, "resident": _resident}
        print(asyncio.run(ways[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))
    else:
        main()
