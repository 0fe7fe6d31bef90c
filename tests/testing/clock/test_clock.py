"""On a virtual clock nobody waits."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import anyio
import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from workflows.events import WorkflowTimedOutEvent

from llama_index_streaming_ext import (
    AgentStream,
    Context,
    Event,
    FunctionAgent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from llama_index_streaming_ext.testing import (
    ConnectedOnVirtualTime,
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    VirtualClock,
    http,
    text,
    wait,
)

REAL_MONOTONIC, REAL_SLEEP = time.monotonic, time.sleep


# What is virtual


@pytest.mark.parametrize("name", ["time", "monotonic", "perf_counter"])
def test_sleep_moves_the_clocks(clock: VirtualClock, name: str) -> None:
    """An hour of `time.sleep` is exactly an hour on every clock, and no time at all."""
    now = getattr(time, name)
    started, really = now(), REAL_MONOTONIC()
    time.sleep(3600)
    assert (now() - started, clock.elapsed) == (3600.0, 3600.0)
    assert REAL_MONOTONIC() - really < 60


@pytest.mark.parametrize("name", ["time_ns", "monotonic_ns", "perf_counter_ns"])
def test_the_clocks_of_nanoseconds_move_with_them(clock: VirtualClock, name: str) -> None:
    """The `_ns` twins show the same time."""
    started = getattr(time, name)()
    time.sleep(0.125)
    assert getattr(time, name)() - started == 125_000_000


@pytest.mark.usefixtures("clock")
def test_time_stands_still_for_who_works() -> None:
    """Work takes no virtual time."""
    started = time.time()
    REAL_SLEEP(0.03)
    assert time.time() == started


async def test_the_loop_jumps_to_the_next_timer(clock: VirtualClock) -> None:
    """Timers fire in their order, each at its exact time."""
    fired: list[tuple[str, float]] = []

    async def timer(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((name, clock.elapsed))

    await asyncio.gather(timer("b", 45.0), timer("a", 0.125), timer("c", 86_400.0 * 3))
    assert fired == [("a", 0.125), ("b", 45.0), ("c", 86_400.0 * 3)]


async def test_all_clocks_agree_on_a_loop(clock: VirtualClock) -> None:
    """The loop's time and the Unix time move by the same."""
    loop = asyncio.get_running_loop()
    started = loop.time(), time.time()
    await asyncio.sleep(2.5)
    assert (loop.time() - started[0], time.time() - started[1]) == (2.5, 2.5)


async def test_a_timeout_fires_in_its_place(clock: VirtualClock) -> None:
    """`asyncio.timeout` and `wait_for` are virtual."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(45):
            await asyncio.sleep(46)
    assert clock.elapsed == 45.0


async def test_anyio_is_virtual(clock: VirtualClock) -> None:
    """The sleeps and deadlines of anyio are the loop's."""
    with anyio.move_on_after(7.5):
        await anyio.sleep_forever()
    assert clock.elapsed == 7.5


def test_a_loop_that_the_test_runs_is_virtual(clock: VirtualClock) -> None:
    """It works on whichever loop runs."""
    asyncio.run(asyncio.sleep(30))
    assert clock.elapsed == 30.0


def test_blocking_a_loop_moves_its_time(clock: VirtualClock) -> None:
    """`time.sleep` on the loop delays its timers, as it does in reality."""

    async def main() -> float:
        asleep = asyncio.create_task(asyncio.sleep(1))
        await asyncio.sleep(0)
        time.sleep(5)  # noqa: ASYNC251
        await asleep
        return clock.elapsed

    assert asyncio.run(main()) == 5.0


# Streams


async def test_ttft_is_exact(clock: VirtualClock) -> None:
    """`wait(2.0)` makes a time to first token of 2.0, on the records and on the call."""
    llm = FakeStreamingLLM([Turn(wait(2.0), text("Hello", " Ada"))])
    handler = FunctionAgent(llm=llm).run(user_msg="Hi")
    first = await anext(handler.stream.read(types=AgentStream))
    assert first.ts - handler.stream.started == 2.0
    await handler
    call = llm.calls[0]
    assert call.first_chunk is not None
    assert call.first_chunk - call.started == 2.0


async def test_a_run_times_out_in_virtual_time(clock: VirtualClock) -> None:
    """U14: a timeout of 45 s, which compares `time.time()`, comes after 45 virtual seconds."""
    llm = FakeStreamingLLM([Turn(wait(2.0), text("Once"), wait(60.0), text(" upon"))])
    handler = FunctionAgent(llm=llm, timeout=45.0).run(user_msg="A story")
    events = [event async for event in handler.stream_events()]
    outcome = await handler.outcome()
    assert isinstance(events[-1], WorkflowTimedOutEvent)
    assert (outcome.status, outcome.seconds, outcome.text) == ("timed_out", 45.0, "Once")


async def test_a_workflow_that_waits_times_out(clock: VirtualClock) -> None:
    """U14: so does one whose step waits for an event that nobody sends."""

    class Asks(Workflow):
        @step
        async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
            await ctx.wait_for_event(Event)
            return StopEvent()

    assert (await Asks(timeout=0.5).run().outcome()).status == "timed_out"
    # Upstream's clean-up has timers of its own.
    assert clock.elapsed >= 0.5


async def test_the_sdk_retries_in_virtual_time(clock: VirtualClock) -> None:
    """What the OpenAI SDK waits before it asks again takes no time, async."""
    fake = FakeOpenAI([Turn(http(429, retry_after=2.0)), Turn(text("Hello"))])
    async with fake.mock():
        assert (await fake.llm().acomplete("Hi")).text == "Hello"
    assert clock.elapsed == 2.0


def test_the_sync_sdk_retries_in_virtual_time(clock: VirtualClock) -> None:
    """What the OpenAI SDK waits before it asks again takes no time, sync."""
    fake = FakeOpenAI([Turn(http(429, retry_after=2.0)), Turn(text("Hello"))])
    with fake.mock():
        assert fake.llm().complete("Hi").text == "Hello"
    assert clock.elapsed == 2.0


def test_a_sync_stream_waits_in_virtual_time(clock: VirtualClock) -> None:
    """The pauses of a sync stream are virtual."""
    llm = FakeStreamingLLM([Turn(wait(0.5), text("Hello"), wait(1.0), text(" Ada"))])
    at = [(chunk.delta, clock.elapsed) for chunk in llm.stream_complete("Hi") if chunk.delta]
    assert at == [("Hello", 0.5), (" Ada", 1.5)]


def test_a_chat_engine_waits_in_virtual_time(clock: VirtualClock) -> None:
    """A chat engine streams from a thread, and spins until that has something."""
    llm = FakeStreamingLLM([Turn(wait(2.0), text("Hello"), wait(1.0), text(" Ada"))])
    memory = ChatMemoryBuffer(token_limit=1000)
    engine: Any = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    answer = engine.stream_chat("Hi")
    assert "".join(answer.response_gen) == "Hello Ada"
    assert clock.elapsed == 3.0


async def test_a_query_engine_waits_in_virtual_time(clock: VirtualClock) -> None:
    """A sync engine that is used on a loop blocks it, and its time goes on."""
    llm = FakeStreamingLLM([Turn(wait(2.0), text("Hello"))])
    index: Any = SummaryIndex.from_documents([Document(text="Ada")])
    answer = index.as_query_engine(llm=llm, streaming=True).query("Hi")
    assert "".join(answer.response_gen) == "Hello"
    assert clock.elapsed == 2.0


# Real connections


@pytest.mark.usefixtures("clock")
def test_a_sync_connection_is_refused() -> None:
    """So does a socket of a sync client."""
    with pytest.raises(ConnectedOnVirtualTime):
        socket.create_connection(("127.0.0.1", 9))


# Beginning and end


def test_it_leaves_nothing_behind() -> None:
    """Afterwards everything that was replaced is what it was."""

    def replaced() -> list[Any]:
        import selectors

        names = ("time", "monotonic", "perf_counter", "sleep", "time_ns")
        select = selectors.DefaultSelector.select
        return [
            *(getattr(time, name) for name in names),
            *(select, threading.Thread.start, socket.socket.connect),
        ]

    before = replaced()
    with VirtualClock():
        assert not set(replaced()) & set(before)
    assert replaced() == before


def test_time_does_not_go_back_when_it_begins() -> None:
    """The first virtual moment is not before the last real one."""
    unix, monotonic = time.time(), time.monotonic()
    with VirtualClock():
        assert time.time() >= unix
        assert time.monotonic() >= monotonic


def test_who_sleeps_when_it_ends_is_woken() -> None:
    """No thread is left waiting for a time that does not come."""
    with VirtualClock():
        begun = threading.Event()

        def sleeper() -> None:
            begun.set()
            time.sleep(3600)

        thread = threading.Thread(target=sleeper)
        thread.start()
        begun.wait()
    thread.join(30)
    assert not thread.is_alive()


def test_a_kept_function_is_real_afterwards() -> None:
    """Who has kept a virtual function has a real one at the end."""
    with VirtualClock():
        kept, sleep = time.monotonic, time.sleep
    sleep(0)
    assert abs(kept() - time.monotonic()) < 5


def test_there_is_one_time() -> None:
    """A second clock inside the first is refused."""
    with VirtualClock(), pytest.raises(RuntimeError, match="one time only"), VirtualClock():
        pass


@pytest.mark.usefixtures("clock")
def test_sleep_takes_what_the_real_one_takes() -> None:
    """Zero is no time, and less is an error."""
    time.sleep(0)
    with pytest.raises(ValueError, match="negative"):
        time.sleep(-1)


@pytest.mark.usefixtures("clock")
def test_a_loop_that_cannot_be_moved_is_refused() -> None:
    """On a loop without a selector the time would stand still for ever: asking for it says so."""

    class Other(asyncio.SelectorEventLoop):
        pass

    loop = Other()
    selector = vars(loop).pop("_selector")
    asyncio._set_running_loop(loop)
    try:
        with pytest.raises(RuntimeError, match=r"cannot move the time of a .*Other"):
            time.time()
    finally:
        asyncio._set_running_loop(None)
        vars(loop)["_selector"] = selector
        loop.close()
