"""Gates: places where a scripted answer holds until the test opens them, from whatever thread."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future

from llama_index_streaming_ext.testing.wire.items import Gate

_POLL = 0.002


class Gates:
    """The gates of one fake, by name. Any thread and any event loop may wait and open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[str, Future[None]] = {}

    def open(self, name: str) -> None:
        """Open a gate for good, also for those who come later."""
        opened = self._named(name)
        with self._lock:
            if not opened.done():
                opened.set_result(None)

    def wait(self, gate: Gate, timeout: float | None = None) -> None:
        """Hold this thread until the gate is open.

        Args:
            gate: the gate.
            timeout: the longest time to wait, in seconds.

        Raises:
            TimeoutError: the gate did not open in that time.
        """
        if gate.event is None:
            self._named(gate.name).result(timeout)
        elif isinstance(gate.event, threading.Event):
            if not gate.event.wait(timeout):
                raise TimeoutError
        else:
            _poll(gate.event, timeout)

    async def passed(self, gate: Gate, *, same_loop: bool = True) -> None:
        """Hold this task until the gate is open.

        Args:
            gate: the gate.
            same_loop: whether an `asyncio.Event` in it may be awaited here, because the test
                that sets it runs in this loop.
        """
        if gate.event is None:
            await asyncio.wrap_future(self._named(gate.name))
        elif isinstance(gate.event, asyncio.Event) and same_loop:
            await gate.event.wait()
        else:
            # Neither kind of event can wake another thread's loop.
            while not gate.event.is_set():  # noqa: ASYNC110
                await asyncio.sleep(_POLL)

    def _named(self, name: str) -> Future[None]:
        with self._lock:
            if name not in self._opened:
                self._opened[name] = Future()
                # Running, or else cancelling one who waits would cancel the gate for all.
                self._opened[name].set_running_or_notify_cancel()
            return self._opened[name]


def _poll(event: asyncio.Event, timeout: float | None) -> None:
    end = None if timeout is None else time.monotonic() + timeout
    while not event.is_set():
        if end is not None and time.monotonic() >= end:
            raise TimeoutError
        time.sleep(_POLL)
