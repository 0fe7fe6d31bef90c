"""A gate that is opened once, by any thread; tasks and threads wait for it."""

from __future__ import annotations

import asyncio
import threading

from llama_index_streaming_ext.threads.loops import call_on_loop, wake


class Gate:
    """Opened once, by any thread; tasks and threads wait for it."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def is_open(self) -> bool:
        """True if it is open."""
        return self._opened.is_set()

    def open(self) -> None:
        """Let everybody go on."""
        if self._opened.is_set():
            return
        with self._lock:
            self._opened.set()
            waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            call_on_loop(waiter.get_loop(), wake, waiter)

    async def wait(self) -> None:
        """Wait until it is open."""
        with self._lock:
            if self._opened.is_set():
                return
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
        await waiter

    def wait_sync(self, timeout: float | None = None) -> None:
        """Wait until it is open, in a thread that may block."""
        # In short turns, so that Ctrl-C is seen on every platform.
        if timeout is not None:
            self._opened.wait(timeout)
            return
        while not self._opened.wait(1.0):
            pass
