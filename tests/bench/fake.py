"""What a chunk of the fake LLM costs, against core's mock and a bare generator.

Run it: `python tests/bench/fake.py`. Medians of CPU time per chunk, in microseconds; the reader
drops every chunk. A linear fake costs the same per chunk at 16,000 chunks as at 1,000.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockLLM

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from llama_index_streaming_ext.testing.wire.items import Dialect

SIZES = (1_000, 16_000)
ROUNDS = 5
HI = [ChatMessage("hi")]


def words(size: int) -> Turn:
    """An answer of so many tokens of four characters."""
    return Turn(text(*[" abc"] * size))


def arguments(size: int) -> Turn:
    """A tool call whose arguments stream in so many pieces of four characters."""
    return Turn(tool_call("write", fragments=['{"text":"', *["abcd"] * size, '"}']))


def fake(turn: Turn, **kwargs: Any) -> FakeStreamingLLM:
    """A fake that answers with one turn, again and again."""
    return FakeStreamingLLM([turn], repeat_last=True, **kwargs)


async def consumed(stream: Awaitable[AsyncIterable[Any]]) -> int:
    """Reads a stream and drops its chunks."""
    count = 0
    async for _ in await stream:
        count += 1
    return count


async def bare(size: int) -> AsyncIterable[str]:
    """The least that a stream can cost."""

    async def gen() -> AsyncIterable[str]:
        for _ in range(size):
            await asyncio.sleep(0)
            yield " abc"

    return gen()


def per_chunk(read: Callable[[], int]) -> float:
    """The median cost of a chunk, in microseconds."""
    costs: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        count = read()
        costs.append((time.process_time() - began) / count * 1e6)
    return statistics.median(costs)


def reads(size: int) -> Iterable[tuple[str, Callable[[], int]]]:
    """The streams that are compared."""
    yield "bare async generator", lambda: asyncio.run(consumed(bare(size)))
    mock = MockLLM()
    prompt = "abc" * (size // 3)
    # The mock gives back the prompt, character by character, and never yields to the loop.
    yield "core's MockLLM, sync", lambda: sum(1 for _ in mock.stream_complete(prompt))
    dialects: tuple[Dialect, ...] = ("chat", "responses")
    for dialect in dialects:
        for what, turn in (("text", words(size)), ("arguments", arguments(size))):
            llm = fake(turn, dialect=dialect)
            name = f"fake, {dialect}, {what}"
            yield f"{name}, sync", lambda llm=llm: sum(1 for _ in llm.stream_chat(HI))
            yield f"{name}, async", lambda llm=llm: asyncio.run(consumed(llm.astream_chat(HI)))
    plain = fake(words(size), faithful=False)
    yield "fake, chat, text, unfaithful", lambda: sum(1 for _ in plain.stream_chat(HI))


def main() -> None:
    """Prints the table."""
    warnings.simplefilter("ignore")
    columns = [dict(reads(size)) for size in SIZES]
    print(f"{'us of CPU per chunk':40}" + "".join(f"{size:>10,}" for size in SIZES) + "     ratio")
    for name in columns[0]:
        costs = [per_chunk(column[name]) for column in columns]
        shown = "".join(f"{cost:10.1f}" for cost in costs)
        print(f"{name:40}{shown}{costs[-1] / costs[0]:10.2f}")


if __name__ == "__main__":
    main()
