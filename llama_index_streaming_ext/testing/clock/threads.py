"""The threads that are at work, as far as it can be seen from outside."""

from __future__ import annotations

import concurrent.futures.thread
import gc
import linecache
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from types import CodeType, FrameType
from typing import Any

_asking = threading.RLock()


def idle_threads() -> list[threading.Thread]:
    """The threads that can be seen to wait for work. Others may wait for what has no Python."""
    frames = frames_of_threads()
    return [thread for thread in threading.enumerate() if is_idle(thread, frames)]


def frames_of_threads() -> dict[int, FrameType]:
    """Return the innermost frame of each thread."""
    # On CPython before 3.11.9 two threads that ask for this stop for ever if it collects garbage
    # whose finalizer lets the other one run (gh-106883). So one asks at a time, without collecting.
    with _asking:
        collects = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        finally:
            if collects:
                gc.enable()


def is_idle(thread: threading.Thread, frames: dict[int, FrameType]) -> bool:
    """Return True if a thread has ended, or waits until another one does something for it."""
    if thread.ident is None:
        return False
    frame = frames.get(thread.ident)
    if frame is None:
        return not thread.is_alive()
    waits = _WAITS.get(frame.f_code)
    return waits(frame.f_locals) if waits is not None else _waits_for_item(frame)


def is_runnable(thread: threading.Thread) -> bool:
    """Return True if a thread runs, or waits for nothing but a processor.

    Only Linux tells; elsewhere the answer is False.
    """
    try:
        with open(f"/proc/self/task/{thread.native_id}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] == b"R"
    except OSError:
        return False  # another system, or the thread has ended


def is_in(code: CodeType, thread: threading.Thread, frames: dict[int, FrameType]) -> bool:
    """Return True if a thread is executing a function, itself or what it calls."""
    frame = frames.get(thread.ident or 0)
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _waits_for_notice(names: Mapping[str, Any]) -> bool:
    # A notice takes the waiter out, long before its thread goes on.
    return names.get("waiter") in names["self"]._waiters


def _waits_for_end(names: Mapping[str, Any]) -> bool:
    return names["self"].is_alive()


def _waits_for_job(names: Mapping[str, Any]) -> bool:
    return names.get("work_item") is None and names["work_queue"].empty()


def _waits_for_item(frame: FrameType) -> bool:
    """Return True if a thread asks an empty SimpleQueue, as aiosqlite's threads do."""
    line = frame.f_lineno
    # A frame may be caught where no line of the source stands; typeshed does not know that.
    if line is None or ".get(" not in linecache.getline(frame.f_code.co_filename, line):  # pyright: ignore[reportUnnecessaryComparison]
        return False
    names = frame.f_locals
    held = (*names.values(), *getattr(names.get("self"), "__dict__", {}).values())
    queues: list[Any] = [value for value in held if isinstance(value, queue.SimpleQueue)]
    return bool(queues) and all(one.empty() for one in queues)


# Where a thread is, innermost, while it waits: the standard library's own frames. A thread in a
# place that is not listed is taken to be at work, so that a change there holds the clock and
# does not let it run away.
_WAITS: dict[CodeType, Callable[[Mapping[str, Any]], bool]] = {
    threading.Condition.wait.__code__: _waits_for_notice,
    threading.Thread.join.__code__: _waits_for_end,
    concurrent.futures.thread._worker.__code__: _waits_for_job,  # pyright: ignore
}
if sys.version_info < (3, 13):
    _WAITS[threading.Thread._wait_for_tstate_lock.__code__] = _waits_for_end  # pyright: ignore


def told(thread: threading.Thread, frames: dict[int, FrameType]) -> str:
    """A thread, and where it is."""
    frame = frames.get(thread.ident or 0)
    where = f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
    return f"thread {thread.name!r}{where}"
