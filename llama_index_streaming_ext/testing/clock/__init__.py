"""A virtual clock for tests: nobody waits, and time jumps to the next timer when all are idle.

While it runs, `time.time`, `time.monotonic`, `time.perf_counter` and their `_ns` twins stand
still, and so does `loop.time()` of every asyncio loop, which is made of them. When everybody
waits (in a loop whose tasks all wait, or in `time.sleep`), all clocks jump at once to the next
moment that somebody waits for.

These stay real: `datetime.now()`, `time.process_time`, timeouts of locks and queues, and names
that a module took out of `time` before (`from time import sleep`).
"""

from __future__ import annotations

from llama_index_streaming_ext.testing.clock.errors import ClockHeld, ConnectedOnVirtualTime
from llama_index_streaming_ext.testing.clock.virtual_clock import VirtualClock

__all__ = ["ClockHeld", "ConnectedOnVirtualTime", "VirtualClock"]
