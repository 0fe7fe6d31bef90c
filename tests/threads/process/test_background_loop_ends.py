"""The background loop in other processes, and at the end of the interpreter."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import warnings

import pytest

from llama_index_streaming_ext.threads.from_thread import call
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.background_calls import LONG, answer


def ran(source: str) -> str:
    """What a script prints, on both channels, when its interpreter has ended well."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", source],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


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
