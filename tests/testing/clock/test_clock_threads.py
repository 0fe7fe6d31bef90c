"""A virtual clock holds while threads are at work: nobody is overtaken."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import time

import anyio
import anyio.to_thread
import pytest

from llama_index_streaming_ext import FunctionAgent
from llama_index_streaming_ext.testing import (
    ClockHeld,
    FakeStreamingLLM,
    Turn,
    VirtualClock,
    text,
    tool_call,
)

REAL_MONOTONIC, REAL_SLEEP = time.monotonic, time.sleep


def work(real_seconds: float = 0.03) -> float:
    """Keeps a thread at work in real time, as a computation does."""
    REAL_SLEEP(real_seconds)
    return real_seconds


async def test_it_holds_while_an_executor_works(clock: VirtualClock) -> None:
    """A timeout does not overtake a thread of an executor."""
    async with asyncio.timeout(0.001):
        await asyncio.to_thread(work)
    assert clock.elapsed == 0.0


async def test_it_holds_while_anyio_works(clock: VirtualClock) -> None:
    """A timeout does not overtake a worker thread of anyio."""
    with anyio.fail_after(0.001):
        await anyio.to_thread.run_sync(work)
    assert clock.elapsed == 0.0


async def test_it_holds_while_a_thread_works(clock: VirtualClock) -> None:
    """A timeout does not overtake a thread that the test, or a pump, has started."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def pump() -> None:
        work()
        loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=pump)
    thread.start()
    async with asyncio.timeout(0.001):
        await done.wait()
    thread.join()


async def test_it_holds_for_an_executor_from_before() -> None:
    """Threads that were idle when it began are known, too."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(work, 0).result()
        with VirtualClock():
            async with asyncio.timeout(0.001):
                await asyncio.get_running_loop().run_in_executor(pool, work)


async def test_many_jobs_are_never_overtaken(clock: VirtualClock) -> None:
    """However often a thread hands its result over, the timer never wins."""
    for _ in range(300):
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(int)
    assert clock.elapsed == 0.0


async def test_a_sync_tool_is_not_overtaken(clock: VirtualClock) -> None:
    """An agent's timeout waits for the tool that works in a thread."""

    def crunch() -> str:
        """Crunches."""
        work()
        return "crunched"

    llm = FakeStreamingLLM([Turn(tool_call("crunch")), Turn(text("Done."))])
    handler = FunctionAgent(tools=[crunch], llm=llm, timeout=0.001).run(user_msg="Crunch")
    assert (await handler.outcome()).text == "Done."


async def test_a_sleeping_thread_does_not_hold_it(clock: VirtualClock) -> None:
    """Threads that sleep and loops that wait share one time."""
    fired: list[tuple[str, float]] = []

    def sleeper() -> None:
        time.sleep(2)
        fired.append(("thread", clock.elapsed))

    async def timer(seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append(("loop", clock.elapsed))

    await asyncio.gather(timer(1), asyncio.to_thread(sleeper), timer(3))
    assert fired == [("loop", 1.0), ("thread", 2.0), ("loop", 3.0)]


def test_threads_sleep_in_step(clock: VirtualClock) -> None:
    """Of threads that sleep, nobody wakes before all are asleep."""
    woke: list[float] = []
    sleeps = (3.0, 1.0, 2.0)

    def sleeper(seconds: float) -> None:
        time.sleep(seconds)
        woke.append(clock.elapsed)

    threads = [threading.Thread(target=sleeper, args=(seconds,)) for seconds in sleeps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert woke == [1.0, 2.0, 3.0]


async def test_a_loop_in_a_thread_of_a_blocked_loop(clock: VirtualClock) -> None:
    """A loop that blocks until a nested one is done, as core's `asyncio_run`, does not hold it."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.sleep(2)).result()
    assert clock.elapsed == 2.0


def test_a_loop_from_before() -> None:
    """A loop that another thread has run for long takes part, too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with VirtualClock() as clock:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(30), loop).result()
        assert clock.elapsed == 30.0
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_a_thread_that_asks_its_loop(clock: VirtualClock) -> None:
    """A thread that waits for what the loop is to do does not hold the loop."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(2), loop).result()

    await asyncio.to_thread(ask)
    assert clock.elapsed == 2.0


async def test_a_thread_that_waits_for_a_job_does_not_hold_it(clock: VirtualClock) -> None:
    """Also one that asks a SimpleQueue, as the thread of an aiosqlite connection does."""
    jobs: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def worker() -> None:
        while (job := jobs.get()) is not None:
            work(job)
            loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=worker)
    thread.start()
    await asyncio.sleep(2)
    jobs.put(0.03)
    async with asyncio.timeout(0.125):
        await done.wait()
    jobs.put(None)
    thread.join()
    assert clock.elapsed == 2.0


async def test_who_holds_it_too_long_is_named() -> None:
    """Being held is an error after a while, and not a hang: it names the thread and its place."""
    lock = threading.Lock()
    with VirtualClock(patience=0.05), lock:
        thread = threading.Thread(target=lambda: lock.acquire(timeout=5), name="stuck")
        thread.start()
        with pytest.raises(ClockHeld, match=rf"'stuck' at {__file__}"):
            time.sleep(1)  # noqa: ASYNC251
    thread.join()
