"""The virtual clock: it patches `time`, and jumps when everybody waits."""

from __future__ import annotations

import contextlib
import math
import multiprocessing.connection
import selectors
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Self, TypeVar
from unittest import mock

from llama_index_streaming_ext.testing.clock.errors import ClockHeld, ConnectedOnVirtualTime
from llama_index_streaming_ext.testing.clock.loops import (
    Parked,
    check_loop,
    is_of_running_loop,
    selector_classes,
)
from llama_index_streaming_ext.testing.clock.threads import (
    frames_of_threads,
    idle_threads,
    is_idle,
    is_in,
    is_runnable,
    told,
)
from llama_index_streaming_ext.testing.network import checked_connects

T = TypeVar("T")

_real_time, _real_monotonic, _real_sleep = time.time, time.monotonic, time.sleep
_REAL = SimpleNamespace(time=_real_time, monotonic=_real_monotonic, sleep=_real_sleep)
# How long a thread that is held back does nothing before it looks again, in real seconds.
_TICK = 0.001
# How long threads get to show that they are at work, in real seconds.
_SETTLE = 0.0001
# A thread that has slept for 0 s so often, while no time passed, is waiting and not at work.
_SPINS = 1000
# A busy loop is taken to poll a clock when it has been busy for so long, in real seconds.
_CREEPS_AFTER = 5.0
# asyncio never waits for more than a day at once. Who waits for ever is let wait after a year.
_FOR_EVER = 366 * 86_400.0


class VirtualClock:
    """Make the time of this process virtual while the block runs, so that nobody waits.

    A test of a 45 s timeout takes milliseconds, and durations that are binary fractions (2.0,
    0.125) come out exactly. The clock works on every asyncio loop that runs in the block and waits
    with a selector (the default except on Windows), and replaces no loop. It is for fakes in
    process: connecting a socket raises `ConnectedOnVirtualTime`.

    The clock holds while a thread or loop may still be at work: a thread that was started in the
    block or was idle when the block began (of an executor, of anyio, ...), the thread that began
    the block, and a loop that watches a pipe or a socket. A thread that waits for another one (by
    a lock's condition, a queue, a future, a `join`) does not hold the clock.

    Args:
        patience: real seconds for which the clock may be held before waiting raises `ClockHeld`.

    Attributes:
        patience: as given; it may be changed at any time.

    Raises:
        RuntimeError: another virtual clock is active, or the loop that runs cannot be moved.

    Example:
        >>> with VirtualClock() as clock:
        ...     time.sleep(3600)
        ...     clock.elapsed
        3600.0
    """

    _active: Final[list[VirtualClock]] = []

    def __init__(self, *, patience: float = 30.0) -> None:
        self.patience = patience
        self._elapsed = 0.0
        self._over = True
        # Reentrant: garbage may be collected while it is held, and finalizers may start threads.
        self._lock = threading.RLock()
        self._known: set[threading.Thread] = set()
        self._parked: dict[int, Parked] = {}
        self._spins: dict[int, int] = {}
        # Since when a thread has done nothing but ask again, in real seconds.
        self._spinning: dict[int, float] = {}
        self._patches = contextlib.ExitStack()
        # Whole seconds, so that binary fractions stay exact; rounded up: time never goes back.
        self._unix = math.ceil(_real_time())
        self._monotonic = math.ceil(_real_monotonic())

    @property
    def elapsed(self) -> float:
        """The virtual seconds since the block began."""
        return self._elapsed

    def __enter__(self) -> Self:
        """Begin: the time stands still."""
        if self._active:
            raise RuntimeError("a virtual clock is active already, and there is one time only")
        self._active.append(self)
        self._over = False
        self._known = {threading.current_thread(), *idle_threads()}
        self._patch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End: the time is real again, and nobody is left waiting for the virtual time."""
        self._patches.close()
        self._over = True
        self._active.remove(self)

    def sleep(self, seconds: float, /) -> None:
        """Stand in for `time.sleep`."""
        if self._over or seconds <= 0:
            _real_sleep(seconds)
            self._spun()
        else:
            self._wait(seconds, _nothing_comes)

    # Patches

    def _patch(self) -> None:
        enter = self._patches.enter_context
        for name, now in (
            ("time", lambda: self._unix + self._passed()),
            ("monotonic", lambda: self._monotonic + self._passed()),
            ("perf_counter", lambda: self._monotonic + self._passed()),
            ("time_ns", lambda: self._unix * 10**9 + self._passed_ns()),
            ("monotonic_ns", lambda: self._monotonic * 10**9 + self._passed_ns()),
            ("perf_counter_ns", lambda: self._monotonic * 10**9 + self._passed_ns()),
            ("sleep", self.sleep),
        ):
            enter(mock.patch.object(time, name, now))
        for cls in selector_classes():
            enter(mock.patch.object(cls, "select", self._select_of(cls.select)))
        # It waits for other processes, which have the real time.
        enter(mock.patch.object(multiprocessing.connection, "time", _REAL))
        enter(mock.patch.object(threading.Thread, "start", self._start_of(threading.Thread.start)))
        enter(checked_connects(_refuse))

    def _passed(self) -> float:
        check_loop()
        # Who has kept one of the patched functions goes on in real time.
        return self._elapsed if not self._over else _real_monotonic() - self._monotonic

    def _passed_ns(self) -> int:
        return round(self._passed() * 1e9)

    def _select_of(self, select: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        def virtual(selector: selectors.BaseSelector, timeout: float | None = None) -> list[Any]:
            if self._over or not is_of_running_loop(selector):
                return select(selector, timeout)
            with self._lock:
                self._known.add(threading.current_thread())
            if timeout is not None and timeout > 0 and self._elapsed > _FOR_EVER:
                timeout = None
            return self._wait(timeout, lambda real: select(selector, real), selector)

        return virtual

    def _start_of(self, start: Callable[[threading.Thread], None]) -> Callable[..., None]:
        def known(thread: threading.Thread) -> None:
            with self._lock:
                self._known.add(thread)
            try:
                start(thread)
            except BaseException:
                with self._lock:
                    self._known.discard(thread)
                raise

        return known

    # Waiting

    def _spun(self) -> None:
        """Let the time go on for a thread that asks again and again, sleeping for 0 s between.

        Chat engines of LlamaIndex wait for their own thread like that.
        """
        me = threading.get_ident()
        self._spins[me] = self._spins.get(me, 0) + 1
        if self._spins[me] <= _SPINS or self._over:
            return
        holders = self._holders()
        if not (holders or self._jump()):
            self._creep(me)
        elif holders and self._asked_for(me) > self.patience:
            raise ClockHeld(self.patience, holders)

    def _asked_for(self, thread: int) -> float:
        """Return the real seconds for which a thread has only asked again."""
        now = _real_monotonic()
        return now - self._spinning.setdefault(thread, now)

    def _creep(self, thread: int) -> None:
        """Let time pass at its real speed for a thread that polls a clock and waits for nothing."""
        asked_for = self._asked_for(thread)
        if asked_for > _CREEPS_AFTER:
            with self._lock:
                self._elapsed += asked_for - _CREEPS_AFTER
                self._spinning[thread] += asked_for - _CREEPS_AFTER

    def _wait(
        self,
        seconds: float | None,
        look: Callable[[float | None], list[T]],
        selector: selectors.BaseSelector | None = None,
    ) -> list[T]:
        """Wait, in this thread, until something has come or the time has.

        Args:
            seconds: how long, None for ever.
            look: waits so many real seconds for something that comes, and returns it.
            selector: what it looks at.
        """
        if seconds is not None and seconds <= 0:
            came = look(0)
            if came:
                self._spinning.pop(threading.get_ident(), None)
            else:
                # A loop that is never idle: it is busy, or one of its tasks polls a clock.
                self._creep(threading.get_ident())
            return came
        self._spinning.pop(threading.get_ident(), None)
        parked = Parked(None if seconds is None else self._elapsed + seconds, look, selector)
        me = threading.get_ident()
        with self._lock:
            self._parked[me] = parked
        try:
            # Nothing to jump to: others jump, and whoever has something for this loop wakes it.
            return look(None) if seconds is None else self._wait_due(parked)
        finally:
            with self._lock:
                self._parked.pop(me, None)

    def _wait_due(self, parked: Parked) -> list[Any]:
        held = 0.0
        while True:
            # In this order: who is no longer at work has sent by then what there was to send.
            holders = self._holders()
            if (came := parked.look(0)) or self._over or parked.is_due(self._elapsed):
                return came
            if not holders:
                self._jump()
                held = 0.0
                continue
            if (came := parked.look(_TICK)) or parked.is_due(self._elapsed):
                return came
            held = held or _real_monotonic()
            if _real_monotonic() - held > self.patience:
                raise ClockHeld(self.patience, holders)

    def _jump(self) -> bool:
        """Move the time to the next moment that is waited for; return False if there is none."""
        with self._lock:
            deadlines = [p.deadline for p in self._parked.values() if p.deadline is not None]
            if not deadlines:
                return False
            self._spins.clear()
            self._spinning.clear()
            self._elapsed = max(self._elapsed, min(deadlines))
            return True

    def _holders(self) -> list[str]:
        """Return the other threads and loops that hold the clock, in words."""
        holders = self._at_work()
        if not holders and len(self._known) > 1:
            # A thread may have been interrupted after it took its job out of a queue, and before
            # that can be seen.
            _real_sleep(_SETTLE)
            holders = self._at_work() or self._runnable()
        return holders

    def _runnable(self) -> list[str]:
        """Return the threads, in words, that look idle and are about to go on.

        A thread that has taken its job has got the interpreter while this one slept, or waits for
        a processor, which may take long on a busy machine.
        """
        frames, me = frames_of_threads(), threading.get_ident()
        with self._lock:
            others = [t for t in self._known if t.ident not in (me, *self._parked)]
        return [told(t, frames) for t in others if is_runnable(t)]

    def _at_work(self) -> list[str]:
        frames = frames_of_threads()
        me = threading.get_ident()
        # Locked: nobody leaves, and closes what it looks at, while it is looked at.
        with self._lock:
            self._known = {t for t in tuple(self._known) if t.ident is None or t.is_alive()}
            free = [t for t in tuple(self._known) if t.ident not in (me, *self._parked)]
            at_work = [
                told(t, frames)
                for t in free
                if not is_idle(t, frames) and not is_in(VirtualClock._spun.__code__, t, frames)
            ]
            for ident, other in tuple(self._parked.items()):
                if other.is_due(self._elapsed) or (ident != me and other.look(0)):
                    at_work.append(f"a thread that is about to wake, with the ident {ident}")
                elif other.watches_io():
                    at_work.append("a loop that watches a socket, a pipe or a child process")
        return at_work


def _nothing_comes(real: float | None) -> list[Any]:
    _real_sleep(real or 0)
    return []


def _refuse(host: str) -> None:
    raise ConnectedOnVirtualTime(host)
