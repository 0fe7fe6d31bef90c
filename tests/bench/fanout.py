"""What one more reader costs: time per delivery, bytes per reader, and how soon a late one starts.

Run it: `python tests/bench/fanout.py`. The fan-out writes one event per turn of the event loop, to
readers that follow live; beside it, an `asyncio.Queue` for each reader. CPU time, medians.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable

from llama_index_streaming_ext import AgentStream, Event, EventStream, StopEvent
from llama_index_streaming_ext.stream.record import Ending

ROUNDS = 7
DELIVERIES = 40_000
LATE = 10_000


class Note(Event):
    """An event that is no AgentStream."""

    n: int = 0


def chunk() -> AgentStream:
    """A chunk of an LLM call; each is a call of its own, so that only fan-out is measured."""
    return AgentStream(delta="abcd", response="abcd", current_agent_name="agent")


def events_for(readers: int) -> int:
    """So many events that each measurement makes about as many deliveries."""
    return max(50, DELIVERIES // readers)


def live_stream() -> EventStream:
    """A stream that is written on the running loop, as the stream of a run is."""
    stream = EventStream("run")
    stream.written_on(asyncio.get_running_loop(), lambda: None)
    return stream


async def _parked() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def by_log(readers: int, event: Event) -> float:
    """CPU seconds of one run through the log."""
    stream, count = live_stream(), events_for(readers)

    async def read() -> int:
        seen = 0
        async for record in stream.read():
            seen += record.seq > 0
        return seen

    tasks = [asyncio.create_task(read()) for _ in range(readers)]
    await _parked()
    begun = time.process_time()
    for _ in range(count):
        stream.append(event)
        await asyncio.sleep(0)
    stream.close(StopEvent(), Ending("completed"))
    seen = sum([await task for task in tasks])
    spent = time.process_time() - begun
    assert seen == readers * (count + 1)
    return spent / seen


async def by_queue(readers: int, event: Event) -> float:
    """CPU seconds of one run through a queue for each reader."""
    count = events_for(readers)
    queues: list[asyncio.Queue[Event | None]] = [asyncio.Queue() for _ in range(readers)]

    async def read(queue: asyncio.Queue[Event | None]) -> int:
        seen = 0
        while await queue.get() is not None:
            seen += 1
        return seen

    tasks = [asyncio.create_task(read(queue)) for queue in queues]
    await _parked()
    begun = time.process_time()
    for _ in range(count):
        for queue in queues:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in queues:
        queue.put_nowait(None)
    seen = sum([await task for task in tasks])
    spent = time.process_time() - begun
    assert seen == readers * count
    return spent / seen


Way = Callable[[int, Event], Awaitable[float]]


async def _timed(way: Way, readers: int, event: Event) -> float:
    return await way(readers, event)


def fan_out() -> None:
    """Print the cost of a delivery."""
    ways: dict[str, tuple[Way, Event]] = {
        "log, AgentStream": (by_log, chunk()),
        "log, other event": (by_log, Note()),
        "a queue per reader": (by_queue, chunk()),
    }
    print(f"{'us per delivery':<22}" + "".join(f"{n:>9,}" for n in (1, 10, 100, 1000)))
    medians: dict[str, list[float]] = {name: [] for name in ways}
    for readers in (1, 10, 100, 1000):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (way, event) in ways.items():
                gc.collect()
                taken[name].append(asyncio.run(_timed(way, readers, event)) * 1e6)
        for name, times in taken.items():
            medians[name].append(statistics.median(times))
    for name, row in medians.items():
        print(f"{name:<22}" + "".join(f"{cost:>9.2f}" for cost in row))
    queue = medians["a queue per reader"]
    for name in list(ways)[:2]:
        ratios = [a / b for a, b in zip(medians[name], queue, strict=True)]
        print(f"{name + ', ratio':<22}" + "".join(f"{ratio:>9.2f}" for ratio in ratios))


async def _bytes_of_readers(readers: int) -> float:
    stream = live_stream()
    for _ in range(10):
        stream.append(chunk())

    async def read() -> None:
        async for _ in stream.read():
            pass

    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tasks = [asyncio.create_task(read()) for _ in range(readers)]
    await asyncio.sleep(0)
    await _parked()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    stream.close(StopEvent(), Ending("completed"))
    await asyncio.gather(*tasks)
    return (after - before) / readers


async def _bytes_of_queues(readers: int) -> float:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    queues: list[asyncio.Queue[Event | None]] = [asyncio.Queue() for _ in range(readers)]

    async def read(queue: asyncio.Queue[Event | None]) -> None:
        while await queue.get() is not None:
            pass

    tasks = [asyncio.create_task(read(queue)) for queue in queues]
    await _parked()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for queue in queues:
        queue.put_nowait(None)
    await asyncio.gather(*tasks)
    return (after - before) / readers


def parked_readers() -> None:
    """Print the bytes of a reader that waits, with its task."""
    print("\nbytes of a parked reader with its task (1,000 of them)")
    ours = asyncio.run(_bytes_of_readers(1000))
    queue = asyncio.run(_bytes_of_queues(1000))
    print(f"{'log':<22}{ours:>9,.0f}")
    print(f"{'a queue per reader':<22}{queue:>9,.0f}")


async def _late(stream: EventStream) -> tuple[float, float]:
    begun = time.perf_counter()
    reader = stream.read()
    await anext(reader)
    first = time.perf_counter() - begun
    seen = 1
    async for _ in reader:
        seen += 1
    assert seen == LATE + 1
    return first * 1e3, (time.perf_counter() - begun) * 1e3


def late_readers() -> None:
    """Print how soon a reader of a long run starts and ends."""
    print(f"\nms until a late reader of {LATE:,} records has the first, and all")
    one_call, notes = EventStream("run"), EventStream("run")
    response = ""
    for n in range(LATE):
        response += "abcd"
        one_call.append(AgentStream(delta="abcd", response=response, current_agent_name="agent"))
        notes.append(Note(n=n))
    for name, stream in (("tokens of one call", one_call), ("other events", notes)):
        stream.close(StopEvent(), Ending("completed"))
        runs = [asyncio.run(_late(stream)) for _ in range(ROUNDS)]
        first, whole = (statistics.median(times) for times in zip(*runs, strict=True))
        print(f"{name:<22}{first:>9.3f}{whole:>9.1f}")


def main() -> None:
    """Print the tables."""
    fan_out()
    parked_readers()
    late_readers()


if __name__ == "__main__":
    main()
