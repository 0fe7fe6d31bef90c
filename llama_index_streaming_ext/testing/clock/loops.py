"""Event loops and threads that wait on the virtual clock."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Callable
from typing import Any


class Parked:
    """A thread that waits for the virtual time."""

    def __init__(
        self,
        deadline: float | None,
        look: Callable[[float | None], list[Any]],
        selector: selectors.BaseSelector | None,
    ) -> None:
        self.deadline = deadline
        self.look = look
        self._selector = selector

    def is_due(self, elapsed: float) -> bool:
        """Return True if the time that the thread waits for has come."""
        return self.deadline is not None and elapsed >= self.deadline

    def watches_io(self) -> bool:
        """Return True if the loop watches more than its own self-pipe and servers' sockets."""
        if self._selector is None:
            return False
        watched = [key.fd for key in (self._selector.get_map() or {}).values()]
        return len(watched) > 1 and sum(not _listens(fd) for fd in watched) > 1


def _listens(fd: int) -> bool:
    """Return True for a server's socket: nobody connects to it while the time is virtual."""
    try:
        with socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM) as twin:
            return bool(twin.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def selector_classes() -> list[Any]:
    """Return the selector classes that have a `select` of their own."""
    # A set: DefaultSelector is one of the others.
    classes = {cls for cls in vars(selectors).values() if isinstance(cls, type)}
    return [c for c in classes if issubclass(c, selectors.BaseSelector) and "select" in vars(c)]


def _selector_of(loop: asyncio.AbstractEventLoop | None) -> object:
    # There is no public way to learn what a loop waits with.
    return getattr(loop, "_selector", None)


def is_of_running_loop(selector: selectors.BaseSelector) -> bool:
    """Return True if the loop that runs in this thread waits with the selector."""
    return _selector_of(asyncio._get_running_loop()) is selector


def check_loop() -> None:
    """Raise `RuntimeError` on a loop whose time the clock cannot move: it would stand still."""
    loop = asyncio._get_running_loop()
    if loop is not None and not isinstance(_selector_of(loop), selectors.BaseSelector):
        kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
        raise RuntimeError(
            f"virtual_clock cannot move the time of a {kind}: run the test on "
            "asyncio.SelectorEventLoop, which is the default but on Windows."
        )
