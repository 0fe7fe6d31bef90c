"""The background loop: when it begins, what it survives, and how it ends."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from contextvars import copy_context

import pytest

from llama_index_streaming_ext.errors import LoopClosed
from llama_index_streaming_ext.threads.background_loop import (
    LoopThread,
    background,
    on_background_loop,
)
from llama_index_streaming_ext.threads.from_thread import call
from llama_index_streaming_ext.threads.stop_signal import StopSignal

LONG = 10.0


def ran(source: str) -> str:
    """What a script prints, on both channels, when its interpreter has ended well."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", source],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


async def answer() -> int:
    """A result."""
    return 42


async def forever() -> None:
    """No result."""
    await asyncio.Event().wait()


def test_there_is_one_per_process() -> None:
    """Whoever asks."""
    seen = list[LoopThread]()
    threads = [threading.Thread(target=lambda: seen.append(background())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [background()] * 8


def test_importing_it_starts_nothing() -> None:
    """It begins when it is needed."""
    script = """
import threading
from llama_index_streaming_ext.threads import background_loop as loop_thread
print(threading.active_count())
loop_thread.background()
print(threading.active_count())
"""
    assert ran(script).split() == ["1", "2"]


def test_a_task_gives_its_result() -> None:
    """To whoever asks for it, as often as they like."""
    task = background().submit(answer, copy_context())
    assert task.result(LONG) == 42
    assert task.result() == 42
    assert task.done


def test_a_task_that_is_cancelled_says_so() -> None:
    """Also one that had not begun to run."""
    ended = list[BaseException | None]()
    task = background().submit(forever, copy_context())
    task.on_done(ended.append)
    assert not task.wait(0.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        task.result(LONG)
    assert [type(error) for error in ended] == [asyncio.CancelledError]


def test_a_task_knows_that_it_runs_on_the_loop() -> None:
    """And other threads that they do not."""

    async def here() -> bool:
        return on_background_loop()

    assert background().submit(here, copy_context()).result(LONG)
    assert not on_background_loop()


def test_closing_cancels_what_runs_and_refuses_what_comes() -> None:
    """Nobody waits for a loop that is gone."""
    thread = LoopThread()
    running = thread.submit(forever, copy_context())
    thread.close()
    assert not thread.runs
    with pytest.raises(asyncio.CancelledError):
        running.result(LONG)
    with pytest.raises(LoopClosed):
        thread.submit(answer, copy_context())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_task_cannot_end_the_loop(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """One that somebody else has started on it: it is told of, and what runs there goes on."""
    beside = background().submit(forever, copy_context())

    async def start_it() -> None:
        async def leave() -> None:
            raise error

        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        # Retrieved, or asyncio would tell of it, too, whenever it is collected.
        task.exception()

    background().submit(start_it, copy_context()).wait(LONG)
    assert call(answer, StopSignal()) == 42
    assert "tried to end it" in caplog.text
    assert not beside.done
    beside.cancel()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    """Threads are not inherited."""
    call(answer, StopSignal())
    child = multiprocessing.get_context("fork").Process(target=_in_child)
    with warnings.catch_warnings():
        # Python 3.12 warns of every fork of a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    child.join(LONG)
    assert child.exitcode == 0


def _in_child() -> None:
    sys.exit(0 if call(answer, StopSignal()) == 42 else 1)


def test_a_child_that_ends_by_itself_says_nothing() -> None:
    """It leaves the loop of its parent alone."""
    script = """
import os, sys, warnings
from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal
async def answer(): return 42
call(answer, StopSignal())
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: do not fork beside threads
child = os.fork()
if child == 0:
    print(call(answer, StopSignal()))
    sys.exit()
print(os.waitpid(child, 0)[1])
"""
    assert ran(script).split() == ["42", "0"]


@pytest.mark.parametrize("reader", ["the main thread", "a daemon thread", "nobody"])
def test_the_interpreter_ends_without_a_word(reader: str) -> None:
    """Streams that nobody has closed are closed, and no task is destroyed while it is pending."""
    script = f"""
import asyncio, threading
from llama_index_streaming_ext.threads.from_thread import iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal
async def stream():
    try:
        yield 1
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("closed")
items = iterate(stream, StopSignal())
def read(items):
    next(items)
    if {reader!r} == "a daemon thread":
        begun.set()
        try:
            next(items)
        except BaseException:
            pass
begun = threading.Event()
if {reader!r} == "a daemon thread":
    threading.Thread(target=read, args=(items,), daemon=True).start()
    begun.wait()
else:
    read(items)
if {reader!r} == "nobody":
    items = None
"""
    assert ran(script).split() == ["closed"]


def test_after_the_end_there_is_none() -> None:
    """What is asked for then is an error that says so."""
    script = """
import atexit
from llama_index_streaming_ext.errors import LoopClosed
def late():
    try:
        background()
    except LoopClosed as error:
        print("refused")
atexit.register(late)
from llama_index_streaming_ext.threads.background_loop import background
background()
"""
    assert ran(script).split() == ["refused"]
