"""Event loops as other threads see them: which one runs here, and how to reach one elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def on_loop(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Return True if this is called on `loop`, whose tasks and futures may be touched only there.

    Args:
        loop: an event loop; with None the answer is False.
    """
    return loop is not None and running_loop() is loop


def call_on_loop(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any
) -> None:
    """Have a loop call a function, from any thread; a closed loop calls nothing."""
    # It may be closed at any moment, so asking first would not do.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)


def wake(waiter: asyncio.Future[None]) -> None:
    """Let the task that awaits a future go on, from the loop of that future."""
    # It is cancelled if its task was, in the meantime.
    if not waiter.done():
        waiter.set_result(None)
