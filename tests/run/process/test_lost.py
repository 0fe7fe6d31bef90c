"""Runs whose event loop goes away under them."""

from __future__ import annotations

from tests.support.ready_python import ReadyPython

COMMON = """
import asyncio, gc, os, sys, threading
from llama_index_streaming_ext import (
    Context, Event, FunctionAgent, StartEvent, StopEvent, Workflow, step, stream_run,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text
from workflows import Workflow as UpstreamWorkflow

class Note(Event):
    n: int

class Waits:
    @step
    async def wait(self, ctx: Context, ev: StartEvent) -> StopEvent:
        for n in range(3):
            ctx.write_event_to_stream(Note(n=n))
        await asyncio.Event().wait()
        return StopEvent()

class Ours(Waits, Workflow): ...
class Upstreams(Waits, UpstreamWorkflow): ...
class HeldBack(UpstreamWorkflow):
    @step
    async def wait(self, ctx: Context, ev: StartEvent) -> StopEvent:
        for event in (StopEvent(), Note(n=0), StopEvent(), Note(n=1)):
            ctx.write_event_to_stream(event)
        await asyncio.Event().wait()
        return StopEvent()

def ours(): return Ours(timeout=None).run()
def upstreams(): return stream_run(Upstreams(timeout=None).run())
def held_back(): return stream_run(HeldBack(timeout=None).run())
def agent():
    llm = FakeStreamingLLM([Turn(text("so", " far"), gate("never"), text("!"))])
    return FunctionAgent(llm=llm).run(user_msg="?")

async def read(handler):
    return [record async for record in handler.stream.read()]

async def see(handler):
    async with asyncio.timeout(120):
        outcome = await handler.outcome()
        return outcome, await read(handler)

def check(status, outcome, records):
    assert outcome.status == status, outcome
    assert [record.terminal for record in records] == [False] * (len(records) - 1) + [True]
    texts = [r.event.delta for r in records if type(r.event).__name__ == "AgentStream"]
    assert outcome.text == "".join(texts)

MAKERS = (ours, upstreams, held_back, agent)

def leave():
    print("as it should be", flush=True)
    os._exit(0)  # upstream's tasks of a dead loop complain when they are collected
"""

CLOSED = """
async def begin(make, turns):
    handler = make()
    for _ in range(turns):
        await asyncio.sleep(0)
    return handler

def lost(make, turns):
    loop = asyncio.new_event_loop()
    handler = loop.run_until_complete(begin(make, turns))
    loop.close()
    return handler
"""

AT_ONCE = """
for turns in (0, 1, 2, 3, 4, 5, 6, 50):
    for make in MAKERS:
        check("lost", *asyncio.run(see(lost(make, turns))))
leave()
"""

COLLECTED = """
async def see_stream(stream):
    async with asyncio.timeout(120):
        return await stream.outcome(), [record async for record in stream.read()]

for make in MAKERS:
    stream = lost(make, 50).stream
    gc.collect()
    check("lost", *asyncio.run(see_stream(stream)))
leave()
"""

READ_ELSEWHERE = """
async def follow(handler, reads):
    seqs = []
    async with asyncio.timeout(120):
        async for record in handler.stream.read():
            seqs.append(record.seq)
            reads.set()
    return seqs

async def begin(make, threads, found):
    handler = make()
    for _ in range(3):
        reads = threading.Event()
        def elsewhere():
            found.append(asyncio.run(follow(handler, reads)))
        threads.append(threading.Thread(target=elsewhere))
        threads[-1].start()
        while not reads.is_set():
            await asyncio.sleep(0)
    return handler

for make in MAKERS:
    threads, found = [], []
    loop = asyncio.new_event_loop()
    handler = loop.run_until_complete(begin(make, threads, found))
    loop.close()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    outcome, records = asyncio.run(see(handler))
    check("lost", outcome, records)
    assert found == [[record.seq for record in records]] * 3, found
leave()
"""

INTERRUPTED = """
import signal

async def main(make, handlers):
    handlers.append(make())
    for _ in range(50):
        await asyncio.sleep(0)
    signal.raise_signal(signal.SIGINT)
    await asyncio.Event().wait()

for make in MAKERS:
    handlers = []
    try:
        asyncio.run(main(make, handlers))
    except KeyboardInterrupt:
        check("cancelled", *asyncio.run(see(handlers[0])))
    else:
        raise AssertionError("not interrupted")
leave()
"""


def check_process(python: ReadyPython, *program: str) -> None:
    """Run a program, which checks itself."""
    ran = python.run("".join([COMMON, *program]))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "as it should be\n"


def test_a_closed_loop(python: ReadyPython) -> None:
    """A run whose loop is closed without its tasks being cancelled is lost, at any moment."""
    check_process(python, CLOSED, AT_ONCE)


def test_a_lost_run_that_was_collected(python: ReadyPython) -> None:
    """A log outlives its run: it ends, too, when everything else was collected."""
    check_process(python, CLOSED, COLLECTED)


def test_readers_of_a_closed_loop_on_other_threads(python: ReadyPython) -> None:
    """Live readers on the loops of other threads end when the loop of the run is closed."""
    check_process(python, READ_ELSEWHERE)


def test_an_interrupted_process(python: ReadyPython) -> None:
    """A run that Ctrl-C breaks off is cancelled, as `asyncio.run` cancels its tasks."""
    check_process(python, INTERRUPTED)
