"""Watching whether code asks a clock or chance, without patching anything."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Generator
from types import FrameType
from typing import Any

_CLOCKS = frozenset(
    f"time.{name}{unit}"
    for name in ("time", "monotonic", "perf_counter", "process_time")
    for unit in ("", "_ns")
) | {"time.gmtime", "time.localtime", "time.ctime", "time.strftime"}
_CHANCE = frozenset({"posix.urandom", "nt.urandom", "_uuid.generate_time_safe", "_uuid.UuidCreate"})
_DATES = frozenset({"now", "utcnow", "today"})
_RANDOM = frozenset({"random", "getrandbits"})


@contextlib.contextmanager
def clock_and_chance() -> Generator[list[str]]:
    """The calls that the block makes, in this thread, of a clock or of a source of chance.

    It sees what Python code calls, not what compiled code calls by itself.
    """
    asked: list[str] = []

    def profile(frame: FrameType, what: str, function: Any) -> None:
        # Writing to a log takes the time, and is none of the encoder's frames.
        if what == "c_call" and frame.f_globals.get("__name__") != "logging":
            name = _asked_by(function)
            if name is not None:
                asked.append(name)

    before, collects = sys.getprofile(), gc.isenabled()
    # Whoever listens to the collector may ask the clock, in the middle of anything.
    gc.disable()
    sys.setprofile(profile)
    try:
        yield asked
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()


def _asked_by(function: Any) -> str | None:
    """The name of a function that asks a clock or chance, None for any other."""
    owner = getattr(function, "__self__", None)
    plain = function.__name__
    name = f"{getattr(function, '__module__', None) or ''}.{plain}"
    if name in _CLOCKS or name in _CHANCE:
        return name
    if isinstance(owner, type) and owner.__module__ == "datetime" and plain in _DATES:
        return f"{owner.__name__}.{plain}"
    if type(owner).__module__ == "random" and plain in _RANDOM:
        return f"random.{plain}"
    return None
