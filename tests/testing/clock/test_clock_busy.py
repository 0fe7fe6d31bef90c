"""The virtual clock beside those who are never idle: threads that spin, loops, other processes."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llama_index_streaming_ext.testing import VirtualClock
from llama_index_streaming_ext.testing.clock import threads


def test_two_threads_that_spin_do_not_hold_each_other() -> None:
    """Chat engines read in two threads: each asks again and again, sleeping for 0 s between."""
    with VirtualClock() as clock:
        ended = threading.Event()

        def spin() -> None:
            while not ended.is_set():
                time.sleep(0)

        spinners = [threading.Thread(target=spin) for _ in range(2)]
        for spinner in spinners:
            spinner.start()
        time.sleep(2.0)
        ended.set()
        for spinner in spinners:
            spinner.join()
        assert clock.elapsed == 2.0


def test_who_polls_the_clock_sees_it_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy wait ends: where nobody waits for anything, the time passes as it really does."""
    monkeypatch.setattr("llama_index_streaming_ext.testing.clock.virtual_clock._CREEPS_AFTER", 0.01)
    with VirtualClock():
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            time.sleep(0)
        assert time.monotonic() >= end


async def test_a_loop_that_is_never_idle_sees_its_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that yields without end does not keep the others' timers from being due."""
    monkeypatch.setattr("llama_index_streaming_ext.testing.clock.virtual_clock._CREEPS_AFTER", 0.01)
    with VirtualClock():
        waiting = asyncio.create_task(asyncio.sleep(0.05))
        while not waiting.done():  # noqa: ASYNC110 # it is what is tested
            await asyncio.sleep(0)


def test_a_frame_without_a_line_is_no_error() -> None:
    """A thread may be caught where no line of the source stands."""
    frame = SimpleNamespace(f_lineno=None, f_code=threads.is_idle.__code__)
    assert not threads._waits_for_item(cast("Any", frame))  # pyright: ignore[reportPrivateUsage]


def test_pipes_between_processes_keep_the_real_time() -> None:
    """`Connection.poll` waits for another process, and ends."""
    import multiprocessing

    here, there = multiprocessing.Pipe()
    with here, there, VirtualClock():
        assert not here.poll(0)
        there.send("sent")
        assert here.poll(1)
        assert here.recv() == "sent"
