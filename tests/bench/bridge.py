"""What it costs to read an async stream in a sync thread, against a plain generator.

Run it: `python tests/bench/bridge.py`. Medians of CPU time of the whole process per item, in
microseconds; the reader drops every item. A paced stream has 100 items and waits 1 ms after each.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable

from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal

SIZES = (10_000, 50_000)
PACED = 100
ROUNDS = 7


def plain(size: int) -> Generator[int]:
    """The least that a stream can cost."""
    yield from range(size)


async def at_once(size: int) -> AsyncGenerator[int]:
    """Never waits."""
    for number in range(size):
        yield number


async def with_turns(size: int) -> AsyncGenerator[int]:
    """Gives the loop its turn before every item, as a stream of a provider does."""
    for number in range(size):
        await asyncio.sleep(0)
        yield number


async def paced(size: int) -> AsyncGenerator[int]:
    """Waits before every item."""
    for number in range(size):
        await asyncio.sleep(0.001)
        yield number


def in_loop(make: Callable[[int], AsyncGenerator[int]], size: int) -> Iterable[int]:
    """The stream, read in the loop where it is made."""

    async def read() -> list[int]:
        return [number async for number in make(size)]

    return asyncio.run(read())


def bridged(make: Callable[[int], AsyncGenerator[int]], size: int) -> Iterable[int]:
    """The stream, read in this thread."""
    return iterate(lambda: make(size), StopSignal())


def reads(size: int) -> Iterable[tuple[str, Callable[[], Iterable[int]]]]:
    """The streams that are compared."""
    yield "plain generator", lambda: plain(size)
    yield "never waits, in its loop", lambda: in_loop(at_once, size)
    yield "never waits, bridged", lambda: bridged(at_once, size)
    yield "takes turns, in its loop", lambda: in_loop(with_turns, size)
    yield "takes turns, bridged", lambda: bridged(with_turns, size)


def per_item(read: Callable[[], Iterable[int]], clock: Callable[[], float]) -> float:
    """The median cost of an item, in microseconds."""
    costs: list[float] = []
    for _ in range(ROUNDS):
        began = clock()
        count = sum(1 for _ in read())
        costs.append((clock() - began) / count * 1e6)
    return statistics.median(costs)


async def nothing() -> None:
    """Answers at once."""


def main() -> None:
    """Prints the table."""
    call(nothing, StopSignal())
    print(f"{'per item, us':44}{'CPU':>8}{'wall':>8}")
    for size in SIZES:
        for name, read in reads(size):
            cpu, wall = per_item(read, time.process_time), per_item(read, time.perf_counter)
            print(f"{f'{name}, {size:,} items':44}{cpu:8.2f}{wall:8.2f}")
    for name, read in (
        ("in its loop", lambda: in_loop(paced, PACED)),
        ("bridged", lambda: bridged(paced, PACED)),
    ):
        print(f"{f'paced at 1 ms, {name}':44}{per_item(read, time.process_time):8.2f}")
    began = time.process_time()
    for _ in range(1_000):
        call(nothing, StopSignal())
    print(f"{'a call':44}{(time.process_time() - began) * 1e3:8.2f}")


if __name__ == "__main__":
    main()
