"""How long a server sees a client stay that was told to stop, and what it still sends meanwhile.

Run it with `python tests/bench/stops.py`: the real OpenAI classes over real HTTP on this machine,
ours beside upstream's. It prints a table in markdown, every cell of which says: milliseconds until
the last open stream was closed (median, most), and how many bytes went out meanwhile (most). The
garbage collector is off: it closes what nobody has any more, but some time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import statistics
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from llama_index_streaming_ext.testing import FakeOpenAI, ReceivedRequest, Turn, tool_call
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.bench import stop_ways as ways
from tests.bench.stop_ways import Way
from tests.support.provider_llms import real
from tests.support.query.stopped_servers import Told
from tests.support.stopped_requests import STALLED, STORY

RUNS = 15

PATIENCE = 2.0
"""Seconds after which a stream that is still open goes on."""

READY = 10.0
"""Seconds within which the server has to be asked."""

Script = Callable[[Request], Turn]


class Stop(NamedTuple):
    """What the server saw of one stop.

    Attributes:
        seconds: how long the last of the clients stayed.
        sent: how many bytes all their answers grew by.
    """

    seconds: float
    sent: int


class Case(NamedTuple):
    """What is stopped.

    Attributes:
        name: what it is.
        by: how ours is stopped, and how upstream's.
        script: what the server says.
        ours: asks and stops ours.
        upstream: asks and stops upstream's, where there is a way.
        calls: how many answers are open at once.
        after: how many have been given before.
        dialect: which API is asked.
    """

    name: str
    by: str
    script: Script
    ours: Way
    upstream: Way | None
    calls: int = 1
    after: int = 0
    dialect: Dialect = "chat"


def goes_on(request: Request) -> Turn:
    """A story of five seconds."""
    return Turn(*STORY)


def stalls(request: Request) -> Turn:
    """A few words, and then nothing."""
    return Turn(*STALLED)


def asks_first(request: Request) -> Turn:
    """A tool that asks another agent, which is told a story."""
    return Turn(tool_call("ask")) if request.tools else Turn(*STORY)


CANCEL, LEAVE = "cancel_run / cancel_run", "leave the block / the loop"
CLOSE, ACLOSE = "close / close", "aclose / aclose"
DROP, ADROP = "close / drop", "aclose / drop"
TASK = "aclose / cancel the task"

CASES = [
    Case("agent, goes on", CANCEL, goes_on, ways.agent, ways.core_agent),
    Case("agent, stalled", CANCEL, stalls, ways.agent, ways.core_agent),
    Case("agent, goes on", LEAVE, goes_on, ways.left_agent, ways.left_core_agent),
    Case("agent, stalled", LEAVE, stalls, ways.left_agent, ways.left_core_agent),
    Case(
        "agent, Responses, goes on",
        CANCEL,
        goes_on,
        ways.agent,
        ways.core_agent,
        dialect="responses",
    ),
    Case(
        "agent, Responses, stalled",
        CANCEL,
        stalls,
        ways.agent,
        ways.core_agent,
        dialect="responses",
    ),
    Case("agent in a tool", CANCEL, asks_first, ways.nested, ways.core_nested, after=1),
    Case("LLM", CLOSE, goes_on, ways.sync_streaming_llm, ways.sync_llm_alone),
    Case("LLM, async", ACLOSE, goes_on, ways.streaming_llm, ways.llm_alone),
    Case("compact, goes on", DROP, goes_on, ways.query("compact"), ways.core_query),
    Case("compact, stalled", DROP, stalls, ways.query("compact"), ways.core_query),
    Case("compact, async", ADROP, goes_on, ways.aquery("compact"), ways.core_aquery),
    Case("tree_summarize", "close / -", stalls, ways.query("tree_summarize"), None),
    Case(
        "tree_summarize, async",
        TASK,
        goes_on,
        ways.aquery("tree_summarize"),
        ways.cancelled_aquery("tree_summarize"),
        calls=3,
    ),
    Case(
        "two sub-questions at once",
        "close / -",
        Told(Turn(*STORY)),
        ways.query("sub_question"),
        None,
        calls=2,
        after=1,
    ),
    Case(
        "two sub-questions, async",
        TASK,
        Told(Turn(*STORY)),
        ways.aquery("sub_question"),
        ways.cancelled_aquery("sub_question"),
        calls=2,
        after=1,
    ),
    Case("chat turn, goes on", DROP, goes_on, ways.chat, ways.core_chat),
    Case("chat turn, stalled", DROP, stalls, ways.chat, ways.core_chat),
    Case("chat turn, async", ADROP, goes_on, ways.achat, ways.core_achat),
]


# One stop


class Watch:
    """Sees what becomes of the answers that are open now.

    Args:
        requests: those that the answers are for.
    """

    def __init__(self, requests: list[ReceivedRequest]) -> None:
        self._requests = requests
        self._before = sum(request.bytes_sent for request in requests)
        self._since = time.monotonic()

    def stopped(self) -> Stop | None:
        """What the server has seen of the stop, None if the client has not gone."""
        end = time.monotonic() + PATIENCE
        for request in self._requests:
            try:
                by_client = request.wait_closed(max(end - time.monotonic(), 0))
            except TimeoutError:
                return None
            if not by_client:
                return None
        closed = [request.closed_by_client for request in self._requests]
        last = max(at for at in closed if at is not None)
        sent = sum(request.bytes_sent for request in self._requests) - self._before
        return Stop(last - self._since, sent)


def being_answered(fake: FakeOpenAI, first: int, calls: int) -> Watch:
    """So many answers that are open, once there are, and have begun.

    Args:
        fake: the server.
        first: how many requests it got before.
        calls: how many answers.
    """
    end = time.monotonic() + READY
    while time.monotonic() < end:
        begun = [request for request in fake.requests[first:] if _has_begun(request)]
        if len(begun) == calls:
            return Watch(begun)
        time.sleep(0.001)
    raise TimeoutError(f"The server was asked {len(fake.requests) - first} times.")


def _has_begun(request: ReceivedRequest) -> bool:
    # Of an answer that is not streamed, nothing is sent before it is whole.
    return request.ended_by is None and (request.bytes_sent > 300 or not request.streaming)


def stopped(fake: FakeOpenAI, llm: Any, case: Case, way: Way) -> Stop | None:
    """One stop in a sync way."""
    first, asking = len(fake.requests) + case.after, way(llm)
    assert isinstance(asking, Iterator)
    next(asking)
    watch = being_answered(fake, first, case.calls)
    next(asking, None)
    return watch.stopped()


async def astopped(fake: FakeOpenAI, llm: Any, case: Case, way: Way) -> Stop | None:
    """One stop in an async way."""
    first, asking = len(fake.requests) + case.after, way(llm)
    assert isinstance(asking, AsyncIterator)
    await anext(asking)
    await asyncio.to_thread(being_answered, fake, first, case.calls)
    # As it is now, and not when the loop heard of it.
    watch = being_answered(fake, first, case.calls)
    await anext(asking, None)
    return await asyncio.to_thread(watch.stopped)


# A series


def series(case: Case, way: Way) -> list[Stop]:
    """Some stops one after the other; none if it goes on after the first."""
    fake = FakeOpenAI(case.script)
    with fake.serve():
        llm = real(fake, case.dialect)
        if _is_async(way, llm):
            return asyncio.run(_async_series(fake, llm, case, way))
        return _sync_series(fake, llm, case, way)


def _is_async(way: Way, llm: Any) -> bool:
    # A generator does nothing before it is asked.
    return isinstance(way(llm), AsyncIterator)


def _sync_series(fake: FakeOpenAI, llm: Any, case: Case, way: Way) -> list[Stop]:
    stops: list[Stop] = []
    # The first one imports and connects.
    for number in range(RUNS + 1):
        stop = stopped(fake, llm, case, way)
        if stop is None:
            return []
        stops += [stop] if number else []
    return stops


async def _async_series(fake: FakeOpenAI, llm: Any, case: Case, way: Way) -> list[Stop]:
    stops: list[Stop] = []
    for number in range(RUNS + 1):
        stop = await astopped(fake, llm, case, way)
        if stop is None:
            return []
        stops += [stop] if number else []
    return stops


# The table


def cell(case: Case, way: Way | None) -> str:
    """What is measured of a way."""
    if way is None:
        return "-"
    gc.collect()
    gc.disable()
    try:
        stops = series(case, way)
    finally:
        gc.enable()
    if not stops:
        return "goes on"
    took = [stop.seconds * 1e3 for stop in stops]
    sent = max(stop.sent for stop in stops)
    return f"{statistics.median(took):.1f}, {max(took):.1f} ms, {sent} B"


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    # What goes on upstream breaks when its server goes.
    threading.excepthook = lambda args: None
    print(f"ms until the stream is closed: median, most of {RUNS}; bytes sent meanwhile, most\n")
    print("| what | stopped by: ours / upstream | ours | upstream |\n|---|---|---|---|")
    for case in CASES:
        # Core prints what it thinks of questions.
        with contextlib.redirect_stdout(io.StringIO()):
            ours, upstream = cell(case, case.ours), cell(case, case.upstream)
        print(f"| {case.name} | {case.by} | {ours} | {upstream} |", flush=True)


if __name__ == "__main__":
    main()
