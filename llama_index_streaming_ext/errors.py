"""What this package raises.

StreamingError
├── MissingInput        an agent was started with nothing to answer (also a ValueError)
├── NotInStep           a stream writer was asked for outside a running step (also a RuntimeError)
├── LoopClosed          the event loop of the run is closed, so nothing can be written to it
├── StepCancelled       a step raised CancelledError though nobody had cancelled it
├── RunLost             the event loop closed under a run, so how it would have ended is unknown
├── RunCancelled        a run was cancelled without upstream saying so by an error of its own
├── UnregisteredEvent   an event class has no kind in the codec (also a TypeError)
├── UndecodableRecord   the bytes of a record are not what its kind says (also a ValueError)
└── MissingDependency   an optional dependency is not installed (also an ImportError)
"""

from __future__ import annotations


class StreamingError(Exception):
    """Base of all that this package raises on its own account."""


class MissingInput(StreamingError, ValueError):
    """An agent was started with neither `user_msg` nor `chat_history`."""


class NotInStep(StreamingError, RuntimeError):
    """`stream_writer` was called where no step of a run is being executed."""


class LoopClosed(StreamingError, RuntimeError):
    """The event loop that a run lives on is closed."""


class StepCancelled(StreamingError):
    """A step raised `asyncio.CancelledError` although nobody cancelled it (U5).

    Upstream would wait for that step for ever; here the run fails with this error instead.

    Attributes:
        step_name: the step that raised it.
    """

    def __init__(self, step_name: str) -> None:
        super().__init__(
            f"Step '{step_name}' raised CancelledError, but nobody cancelled it. "
            "Catch the CancelledError where it comes from (an awaited task or future that "
            "was cancelled), or raise another exception."
        )
        self.step_name = step_name


class RunLost(StreamingError):
    """The event loop of a run was closed while the run was going on."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"The event loop of run '{run_id}' was closed before the run ended. "
            "Keep the loop open until the run is done, or cancel the run first."
        )
        self.run_id = run_id


class RunCancelled(StreamingError):
    """A run was cancelled hard: its task was cancelled, or its handler's `cancel()` called."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"Run '{run_id}' was cancelled.")
        self.run_id = run_id


class UnregisteredEvent(StreamingError, TypeError):
    """An event class that the codec has no kind for."""

    def __init__(self, cls: type) -> None:
        name = f"{cls.__module__}.{cls.__qualname__}"
        super().__init__(
            f"{name} has no kind: call register_event({cls.__name__}, 'your.kind') where the class "
            "is defined, so that records of it can be read back."
        )
        self.event_class = cls


class UndecodableRecord(StreamingError, ValueError):
    """The bytes of a record cannot be read as an event of its kind.

    Attributes:
        kind: the kind that the record claims.
        data: its bytes, untouched.
    """

    def __init__(self, kind: str, data: bytes, reason: str) -> None:
        super().__init__(f"A record of kind '{kind}' cannot be read: {reason}")
        self.kind = kind
        self.data = data


class MissingDependency(StreamingError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} is not installed: pip install 'llama-index-streaming-ext[{extra}]'"
        )
        self.extra = extra
