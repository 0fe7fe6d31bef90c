"""What an argument token costs: our FunctionAgent beside core's, in one process (U22).

Run it with `python tests/bench/arguments.py`. The model calls a tool whose one argument has so
many tokens of four characters. It prints CPU microseconds per token of the whole run, the ratio to
the shortest call, and the ratio of the whole run to core's. The LLM yields what `OpenAI` does.
"""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.base.llms.types import ChatMessage

from llama_index_streaming_ext import FunctionAgent, ToolCallDelta
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call

SIZES = (500, 1_000, 2_000, 4_000, 8_000)
ROUNDS = 5
# Core's time grows with the square of the size: the largest takes half a minute.
CORE_ROUNDS = {500: 3, 1_000: 3, 2_000: 1, 4_000: 1, 8_000: 1}


def write(text: str) -> str:
    """Writes a text."""
    return f"{len(text)} characters"


def llm(size: int) -> FakeStreamingLLM:
    """Calls the tool, then answers."""
    call = tool_call("write", fragments=['{"text":"', *["abcd"] * size, '"}'])
    return FakeStreamingLLM([Turn(call), Turn(text("Done."))])


async def bare(size: int) -> None:
    """The LLM's own stream, which both agents read."""
    async for _ in await llm(size).astream_chat([ChatMessage("go")]):
        pass


async def core(size: int) -> None:
    """Core's agent, whose stream is read."""
    handler: Any = CoreFunctionAgent(llm=llm(size), tools=[write]).run(user_msg="go")
    async for _ in handler.stream_events():
        pass
    assert str(await handler) == "Done."


async def ours(size: int) -> None:
    """Our agent, whose stream is read."""
    await _ours(size, parse_every=0)


async def previewed(size: int) -> None:
    """Our agent, whose arguments are parsed twenty times while they come."""
    await _ours(size, parse_every=max(size // 20, 1))


async def _ours(size: int, parse_every: int) -> None:
    handler = FunctionAgent(llm=llm(size), tools=[write]).run(user_msg="go")
    seen = 0
    async for event in handler.stream_events():
        if isinstance(event, ToolCallDelta):
            seen += 1
            if parse_every and seen % parse_every == 0:
                assert event.arguments["text"]
    assert seen == size + 2
    assert str(await handler) == "Done."


def per_token(run: Callable[[int], Any], size: int, rounds: int) -> float:
    """The median cost of a token, in microseconds of CPU."""
    costs: list[float] = []
    for _ in range(rounds):
        began = time.process_time()
        asyncio.run(run(size))
        costs.append((time.process_time() - began) / size * 1e6)
    return statistics.median(costs)


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    for run in (bare, core, ours, previewed):
        asyncio.run(run(50))
    columns = ("tokens", "llm alone", "core", "ours", "ours, previewed", "ours/500", "ours/core")
    print("us of CPU per argument token, the whole run")
    print("".join(f"{column:>17}" for column in columns))
    shortest = 0.0
    for size in SIZES:
        alone = per_token(bare, size, ROUNDS)
        mine = per_token(ours, size, ROUNDS)
        shown = per_token(previewed, size, ROUNDS)
        theirs = per_token(core, size, CORE_ROUNDS[size])
        shortest = shortest or mine
        print(
            f"{size:>17,}{alone:>17.1f}{theirs:>17.1f}{mine:>17.1f}{shown:>17.1f}"
            f"{mine / shortest:>17.2f}{mine / theirs:>17.3f}"
        )


if __name__ == "__main__":
    main()
