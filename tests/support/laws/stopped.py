"""What the law of stopping (L8) says of a run that is over: nothing goes on, and all is said."""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from llama_index_streaming_ext import EventStream, LLMCallFinished, LLMCallStarted, Record
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.laws.laws import PATIENCE, check_seqs, check_terminal, content, everything, turns

SETTLED = 30
"""Turns of the loop within which all that a stop leaves has come to its end."""

# Threads that the process keeps: the background loop's, and the workers of `to_thread`, which
# `asyncio.run` waits for.
_KEPT = ("llama-index-streaming-loop", "asyncio_")

PIECES = st.text("ab \n|", max_size=12).map(lambda drawn: drawn.split("|"))
"""The deltas of a text, some of them empty."""


@dataclass
class Ledger:
    """Who is asked in a run, and what its tools have open.

    Attributes:
        llms: the LLMs that may be asked.
        in_threads: those of them that are asked in threads.
        streams: the logs of all runs, the first one's and those within.
        opened: how many generators of tools have begun.
        closed: how many of them have come to their `finally`.
    """

    llms: list[FakeStreamingLLM] = field(default_factory=list[FakeStreamingLLM])
    in_threads: list[FakeStreamingLLM] = field(default_factory=list[FakeStreamingLLM])
    streams: list[EventStream] = field(default_factory=list[EventStream])
    opened: int = 0
    closed: int = 0

    def asks(self, llm: FakeStreamingLLM, *, in_thread: bool = False) -> FakeStreamingLLM:
        """An LLM that may be asked."""
        self.llms.append(llm)
        if in_thread:
            self.in_threads.append(llm)
        return llm

    def pulled(self) -> dict[int, int]:
        """How many chunks each call has been asked for."""
        return {id(call): call.chunks for llm in self.llms for call in llm.calls}

    def pulled_on_the_loop(self) -> dict[int, int]:
        """How many chunks each call has been asked for that is made on the event loop."""
        llms = [llm for llm in self.llms if llm not in self.in_threads]
        return {id(call): call.chunks for llm in llms for call in llm.calls}

    @contextmanager
    def at_work(self) -> Generator[None]:
        """A generator of a tool is open."""
        self.opened += 1
        try:
            yield
        finally:
            self.closed += 1

    def check(self) -> None:
        """Every answer of an LLM is closed, and so is every generator of a tool."""
        open_ones = [call for llm in self.llms for call in llm.calls if call.closed_by is None]
        assert open_ones == []
        assert self.closed == self.opened


async def check_over(ledger: Ledger) -> None:
    """Nothing is written or asked for any more, and every log has said all."""
    await turns(SETTLED)
    ledger.check()
    logs = [await everything(stream) for stream in ledger.streams]
    pulled = ledger.pulled()
    await turns(SETTLED)
    assert ledger.pulled() == pulled
    for stream, records in zip(ledger.streams, logs, strict=True):
        assert stream.last_seq == len(records)
        check_log(records)


def check_log(records: Sequence[Record]) -> None:
    """A log ends once, and each LLM call that has begun in it is over, once."""
    check_seqs(records)
    check_terminal(records)
    begun: Counter[str] = Counter()
    for record in records:
        event = record.event
        if isinstance(event, LLMCallStarted):
            begun[event.call_id] += 1
            assert begun[event.call_id] == 1
        elif isinstance(event, LLMCallFinished):
            begun[event.call_id] -= 1
            assert begun[event.call_id] == 0
    assert +begun == Counter()


def same(found: Iterable[Record], wanted: Iterable[Record]) -> bool:
    """Whether two readers have seen the same."""
    return list(map(content, found)) == list(map(content, wanted))


@asynccontextmanager
async def nothing_left(*, by_core: bool = False) -> AsyncGenerator[None]:
    """No task and no async generator of what is done inside is left, nor left to be collected.

    Args:
        by_core: whether generators of core's may be left to be collected, with those that they
            iterate over and have no name for: they close nothing (U58).
    """
    before = asyncio.all_tasks()
    hooks = sys.get_asyncgen_hooks()
    assert hooks.firstiter is not None
    assert hooks.finalizer is not None
    begun: list[weakref.ref[AsyncGenerator[Any, None]]] = []
    dropped: list[str] = []
    first: Callable[[Any], object] = hooks.firstiter
    last: Callable[[Any], object] = hooks.finalizer

    def begins(generator: AsyncGenerator[Any, None]) -> None:
        begun.append(weakref.ref(generator))
        first(generator)

    def is_dropped(generator: AsyncGenerator[Any, None]) -> None:
        dropped.append(str(generator))
        last(generator)

    sys.set_asyncgen_hooks(begins, is_dropped)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(hooks.firstiter, hooks.finalizer)
    await turns(SETTLED)
    assert asyncio.all_tasks() - before == set()
    alive: list[Any] = [generator() for generator in begun]
    assert [one for one in alive if one is not None and one.ag_frame is not None] == []
    assert by_core or dropped == []


@contextmanager
def no_thread_left() -> Generator[None]:
    """No thread that was started inside goes on."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith(_KEPT):
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread.name


def run_alone(make: Callable[[], Awaitable[object]], *, by_core: bool = False) -> None:
    """Run a coroutine on a loop of its own, and see that nothing of it is left.

    Args:
        make: makes it.
        by_core: as for `nothing_left`.
    """

    async def main() -> None:
        async with asyncio.timeout(2 * PATIENCE), nothing_left(by_core=by_core):
            await make()

    with no_thread_left():
        asyncio.run(main())
