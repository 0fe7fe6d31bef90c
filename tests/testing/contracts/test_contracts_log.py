"""`check_event_log`: the log of this package passes, and logs that break a rule are caught."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from llama_index_streaming_ext.log import MemoryLog
from llama_index_streaming_ext.log.base import EventLog
from llama_index_streaming_ext.log.memory import resolve
from llama_index_streaming_ext.testing import ContractBroken, check_event_log
from llama_index_streaming_ext.testing.contracts import check_rules
from llama_index_streaming_ext.testing.contracts import log as log_contract

Waiter = asyncio.Future[None]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs that never wake are not waited for that long."""
    monkeypatch.setattr(log_contract, "PATIENCE", 0.2)


def test_memory_log() -> None:
    """The log in memory is an `EventLog`."""
    check_event_log(MemoryLog)


async def test_inside_a_running_loop() -> None:
    """The contract can be checked from an async test, too."""
    check_event_log(MemoryLog)


def test_a_log_that_wakes_by_itself() -> None:
    """A log may wake in its own way."""
    check_event_log(Keeping, several_writers=False)


def test_made_inside_a_loop() -> None:
    """A log that needs a running loop to be made gets one."""

    def make() -> EventLog[bytes]:
        asyncio.get_running_loop()
        return MemoryLog()

    check_event_log(make)


class FromZero(MemoryLog[bytes]):
    """Counts from zero."""

    def append(self, entry: bytes) -> int:
        """Append."""
        return super().append(entry) - 1


class Reversed(MemoryLog[bytes]):
    """Keeps the newest entry first."""

    def append(self, entry: bytes) -> int:
        """Append."""
        self.entries.insert(0, entry)
        return len(self.entries)


class Stripped(MemoryLog[bytes]):
    """Does not keep all bytes."""

    def append(self, entry: bytes) -> int:
        """Append."""
        return super().append(entry.strip())


class NeverClosed(MemoryLog[bytes]):
    """Does not say that it is closed."""

    def close(self, entry: bytes) -> int:
        """Close."""
        return self.append(entry)


class NoFence(MemoryLog[bytes]):
    """Takes entries after its end."""

    def append(self, entry: bytes) -> int:
        """Append."""
        self.entries.append(entry)
        return len(self.entries)


class LeakyFence(MemoryLog[bytes]):
    """Says that it refuses, and takes them."""

    def append(self, entry: bytes) -> int:
        """Append."""
        seq = super().append(entry)
        if not seq:
            self.entries.append(entry)
        return seq


class Keeping(MemoryLog[bytes]):
    """Keeps those who wait by itself, and wakes them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Waiter] = []

    def waiter(self, after: int, *args: Any, **kwargs: Any) -> Waiter | None:
        """Wait."""
        if self.closed or len(self.entries) > after:
            return None
        self.kept.append(asyncio.get_running_loop().create_future())
        return self.kept[-1]

    def forget(self, waiter: Any) -> None:
        """Forget."""
        self.kept = [kept for kept in self.kept if kept is not waiter]
        super().forget(waiter)

    def append(self, entry: bytes) -> int:
        """Append."""
        seq = super().append(entry)
        self.wake()
        return seq

    def close(self, entry: bytes) -> int:
        """Close."""
        seq = super().close(entry)
        self.wake()
        return seq

    def wake(self) -> None:
        """Wake all, on their own loops."""
        kept, self.kept = self.kept, []
        for waiter in kept:
            if not waiter.get_loop().is_closed():
                waiter.get_loop().call_soon_threadsafe(resolve, [waiter])


class Asleep(MemoryLog[bytes]):
    """Wakes nobody for an entry."""

    def waiter(self, after: int, *args: Any, **kwargs: Any) -> Waiter | None:
        """Wait for the end."""
        return self.end_waiter() if len(self.entries) <= after else None


class SilentEnd(Keeping):
    """Wakes nobody at the end."""

    def close(self, entry: bytes) -> int:
        """Close."""
        self.kept.clear()
        return super().close(entry)


class Shared(MemoryLog[bytes]):
    """Gives all who wait the same future."""

    shared: Waiter | None = None

    def waiter(self, after: int, *args: Any, **kwargs: Any) -> Waiter | None:
        """Wait."""
        if self.shared is None or self.shared.done():
            self.shared = super().waiter(after)
        return self.shared


class Eager(MemoryLog[bytes]):
    """Lets wait for what is there already."""

    def waiter(self, after: int, *args: Any, **kwargs: Any) -> Waiter | None:
        """Wait."""
        return super().waiter(max(after, len(self.entries)))


class Restless(MemoryLog[bytes]):
    """Wakes those who wait for the end at every entry."""

    def end_waiter(self) -> Waiter | None:
        """Wait."""
        return self.waiter(len(self.entries))


class Careless(Keeping):
    """Wakes without looking whether somebody still waits."""

    def wake(self) -> None:
        """Wake."""
        for waiter in self.kept:
            waiter.set_result(None)
        self.kept.clear()


class Clinging(MemoryLog[bytes]):
    """Forgets nobody."""

    def forget(self, waiter: Any) -> None:
        """Do not."""


class Hoarding(MemoryLog[bytes]):
    """Keeps whom it forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[Waiter] = []

    def forget(self, waiter: Any) -> None:
        """Remember."""
        super().forget(waiter)
        self.forgotten.append(waiter)


class Forgetful(Keeping):
    """Forgets all at once."""

    def forget(self, waiter: Any) -> None:
        """Forget everybody."""
        self.kept.clear()


class DeadLoops(Keeping):
    """Calls loops without looking whether they are still there."""

    def wake(self) -> None:
        """Wake."""
        for waiter in self.kept:
            waiter.get_loop().call_soon_threadsafe(resolve, [waiter])
        self.kept.clear()


class OneThread(Keeping):
    """Wakes only those who wait on the loop of its writer."""

    def wake(self) -> None:
        """Wake."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        self.kept = [waiter for waiter in self.kept if waiter.get_loop() is here]
        super().wake()


class _Unlocked(MemoryLog[bytes]):
    """Lets other threads in between looking and writing."""

    def _write(self, entry: bytes, *, last: bool) -> int:
        if self.closed:
            return 0
        seq = len(self.entries) + 1
        time.sleep(0.0001)  # the race that is to be lost
        self.entries.append(entry)
        self.closed = self.closed or last
        return seq


class TwoEnds(_Unlocked):
    """May be closed twice."""

    def close(self, entry: bytes) -> int:
        """Close."""
        seq = self._write(entry, last=True)
        if seq:
            super().close(entry)
        return seq


class RacingWriters(_Unlocked):
    """Gives one seq to two writers."""

    def append(self, entry: bytes) -> int:
        """Append."""
        if threading.current_thread().name == "contract":
            return super().append(entry)
        return self._write(entry, last=False)


BROKEN: list[tuple[Callable[[], EventLog[bytes]], str]] = [
    (FromZero, "seq counts from 1 without gaps"),
    (Reversed, "the entry of a seq"),
    (Stripped, "the entry of a seq"),
    (NeverClosed, "closed"),
    (NoFence, "the fence"),
    (LeakyFence, "the fence"),
    (Asleep, "an entry wakes who waits"),
    (SilentEnd, "the end wakes who waits"),
    (Shared, "all who wait are woken"),
    (Eager, "nothing to wait for"),
    (Restless, "who waits for the end"),
    (Careless, "a cancelled waiter does no harm"),
    (Clinging, "a forgotten waiter does no harm"),
    (Forgetful, "a forgotten waiter does no harm"),
    (Hoarding, "forgotten waiters are not kept"),
    (DeadLoops, "a waiter whose loop is closed does no harm"),
    (OneThread, "readers on other threads"),
]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("make", "rule"), BROKEN)
def test_broken_logs(make: Callable[[], EventLog[bytes]], rule: str) -> None:
    """A log that breaks a rule is caught at that rule."""
    with pytest.raises(ContractBroken) as failed:
        check_event_log(make)
    assert failed.value.rule == rule
    assert failed.value.subject == make.__name__


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("make", [TwoEnds, RacingWriters])
def test_broken_logs_in_a_race(make: Callable[[], EventLog[bytes]]) -> None:
    """A log that forgets to lock is caught, if not at the same rule each time."""
    with pytest.raises(ContractBroken):
        check_event_log(make)


def test_several_writers_can_be_left_out() -> None:
    """A log that is for one writer need not cope with several."""
    check_event_log(RacingOnly, several_writers=False)
    with pytest.raises(ContractBroken, match="many threads append"):
        check_event_log(RacingOnly)


class RacingOnly(MemoryLog[bytes]):
    """Refuses to be written to by a second thread."""

    writer: int | None = None

    def append(self, entry: bytes) -> int:
        """Append."""
        me = threading.get_ident()
        self.writer = self.writer or me
        if self.writer != me:
            raise RuntimeError("One writer, please")
        return super().append(entry)


def test_the_message() -> None:
    """A breach says who breaks what, what was expected, and what was found."""
    with pytest.raises(ContractBroken) as failed:
        check_event_log(FromZero)
    assert str(failed.value).splitlines() == [
        "FromZero breaks the rule 'seq counts from 1 without gaps'.",
        "  expected: append, append and close return 1, 2, 3",
        "  found:    [0, 1, 3]",
    ]


def test_a_log_that_cannot_be_made() -> None:
    """What raises is a breach, with its cause."""

    def make() -> Any:
        raise ZeroDivisionError

    with pytest.raises(ContractBroken, match="make breaks the rule 'it can be made'") as failed:
        check_event_log(make)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_a_rule_that_hangs() -> None:
    """What hangs is a breach, and does not hold up the tests."""
    with pytest.raises(ContractBroken, match="it hangs"):
        check_rules("It", [("to end", functools.partial(threading.Event().wait))], timeout=0.01)  # pyright: ignore[reportArgumentType] # what it returns does not matter
