"""When chunks came, and when they are due again."""

from __future__ import annotations

import asyncio
import math
import time


def now() -> float:
    """The time of the running event loop, or else of `time.monotonic()`, in seconds."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


class Stopwatch:
    """The seconds since a request.

    A stream that is made but not read yet has mostly not been requested, so the time
    between `pause()` and `go_on()` does not count.
    """

    def __init__(self) -> None:
        self._since = now()
        self._paused = self._since

    def pause(self) -> None:
        """Pause the watch."""
        self._paused = now()

    def go_on(self) -> None:
        """Go on where the watch was paused."""
        self._since += now() - self._paused

    def read(self) -> float:
        """Seconds, to the microsecond."""
        return round(max(0.0, now() - self._since), 6)


class Schedule:
    """When the chunks of a recording are due, from now on.

    Args:
        speed: 2.0 is twice as fast as recorded; 0 and infinity: at once.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._since = now()

    def delay(self, at: float) -> float:
        """Return the number of seconds until a chunk is due.

        Args:
            at: its recorded offset, in seconds.
        """
        if self._speed == 0 or math.isinf(self._speed):
            return 0.0
        return max(0.0, self._since + at / self._speed - now())

    def wait(self, at: float) -> None:
        """Wait until a chunk is due, and block the thread."""
        if delay := self.delay(at):
            time.sleep(delay)

    async def await_(self, at: float) -> None:
        """Wait until a chunk is due, and let the event loop go on."""
        await asyncio.sleep(self.delay(at))
