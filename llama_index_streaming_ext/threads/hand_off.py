"""Items on their way between a task and a thread, in either direction."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from llama_index_streaming_ext.threads.loops import call_on_loop, wake

T = TypeVar("T")


class HandOff(Generic[T]):
    """Items that one side puts and the other takes; one side is a task, the other a thread.

    Items go through a deque, which needs no lock. The lock is for sleeping: a side first says that
    it waits and then looks, and the other first changes something and then looks for one who
    waits, so that one of the two sees the other.

    Args:
        lead: how many items may be ready before they are taken; 0 for none: an item is made when
            the task waits for it.

    Attributes:
        items: those that are ready.
        low: with how many items left a producer that waits for room goes on: at half of them, not
            at every item.
        ended: True once no item follows.
        left: True once nobody takes items any more.
        thread_waits: True while the thread waits.
    """

    def __init__(self, lead: int) -> None:
        self.items: deque[T] = deque()
        self.lead = lead
        self.low = lead // 2
        self.ended = False
        self.left = False
        self.thread_waits = False
        # Its lock is reentrant: garbage may be collected under it, and close another stream.
        self._changed = threading.Condition()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def task_waits(self) -> bool:
        """True while the task waits."""
        return self._waiter is not None

    def is_full(self) -> bool:
        """Return True if the producer has to wait for room."""
        return len(self.items) >= self.lead if self.lead else not self.task_waits

    def has_room(self) -> bool:
        """Return True if a producer that waited for room goes on."""
        return len(self.items) <= self.low if self.lead else self.task_waits

    # In the thread

    def wait_in_thread(self, ready: Callable[[], bool], look: float | None = None) -> None:
        """Wait until `ready()`, which is looked at when the task wakes the thread.

        Args:
            ready: looks for what is waited for.
            look: how often to look although nobody has woken the thread, in seconds.
        """
        with self._changed:
            while True:
                self.thread_waits = True
                if ready():
                    self.thread_waits = False
                    return
                self._changed.wait(look)

    def wake_task(self) -> None:
        """Wake the task if it waits: once, however much happens before it runs."""
        if not self.task_waits:
            return
        with self._changed:
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            call_on_loop(waiter.get_loop(), wake, waiter)

    # In the task

    async def wait_in_task(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()`, which is looked at when the thread wakes the task."""
        while True:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with self._changed:
                self._waiter = waiter
            if ready():
                self._waiter = None
                return
            if not self.lead:
                self.wake_thread()
            await waiter

    # In any thread

    def wake_thread(self) -> None:
        """Wake the thread if it waits."""
        with self._changed:
            self.thread_waits = False
            self._changed.notify()
