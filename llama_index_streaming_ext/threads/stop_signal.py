"""A signal that stops whatever listens to it, from any thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import (
    Callable,
)

from llama_index_streaming_ext.errors import StreamStopped


class StopSignal:
    """Stops what has been told to listen, from any thread, once and for good.

    Example:
        >>> stop = StopSignal()
        >>> remove = stop.on_stop(lambda: print("stopped"))
        >>> stop.stop()
        stopped
    """

    def __init__(self) -> None:
        # Reentrant: a signal's handler may stop a thread that is just listening.
        self._lock = threading.RLock()
        self._callbacks: dict[object, Callable[[], object]] = {}
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """True if it was stopped."""
        return self._stopped

    def stop(self) -> None:
        """Stop, which calls every callback, in this thread. Stopping again does nothing."""
        with self._lock:
            self._stopped = True
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        # A stack calls them all, whatever one of them raises.
        with contextlib.ExitStack() as stack:
            for callback in reversed(callbacks):
                stack.callback(callback)

    def on_stop(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Has `callback` called when it is stopped: once, and at once if it has been.

        Args:
            callback: what to call, in whatever thread stops. It should not block.

        Returns:
            A function that takes the callback out again.
        """
        key = object()
        with self._lock:
            if not self._stopped:
                self._callbacks[key] = callback
                return lambda: self._remove(key)
        callback()
        return lambda: None

    def check(self) -> None:
        """Go on if it was not stopped.

        Raises:
            StreamStopped: it was.
        """
        if self._stopped:
            raise StreamStopped

    def _remove(self, key: object) -> None:
        with self._lock:
            self._callbacks.pop(key, None)
