"""The task that an async engine works in: cancelled once, and seen to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from llama_index_streaming_ext.threads.loops import call_on_loop, on_loop

# Tasks of queries whose responses nobody holds go on until they are stopped.
_at_work: set[EngineTask] = set()


class EngineTask:
    """A task of the running loop.

    Args:
        work: what it does.
        name: its name.
        ended: called when it is over, with whether it was cancelled: also when that was before
            its first step, of which the coroutine itself sees nothing.

    Attributes:
        loop: the loop that it runs on.
    """

    def __init__(
        self, work: Coroutine[Any, Any, None], name: str, ended: Callable[[bool], None]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._ended = ended
        self._task = self.loop.create_task(work, name=name)
        _at_work.add(self)
        self._task.add_done_callback(self._over)

    def cancel(self) -> None:
        """Cancel it, from any thread."""
        if on_loop(self.loop):
            self._cancel()
        else:
            call_on_loop(self.loop, self._cancel)

    def _cancel(self) -> None:
        # Cancelled twice it would break off its own cleaning up, and leave connections open.
        if not self._task.done() and not self._task.cancelling():
            self._task.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        _at_work.discard(self)
        self._ended(task.cancelled())
