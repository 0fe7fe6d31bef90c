"""The errors that this package raises.

StreamingError
├── MissingInput        an agent was started with nothing to answer (also a ValueError)
├── NotInStep           a stream writer was asked for outside a running step (also a RuntimeError)
├── LoopClosed          the event loop of the run is closed, so nothing can be written to it
├── StepCancelled       a step raised CancelledError though nobody had cancelled it
├── RunLost             the event loop closed under a run, so how it would have ended is unknown
├── RunCancelled        a run was cancelled without upstream saying so by an error of its own
├── UnregisteredEvent   an event class has no kind in the codec (also a TypeError)
├── UndecodableRecord   the bytes of a record do not fit its kind (also a ValueError)
├── IncompleteResponse  an LLM call ended before its answer was whole
│   ├── LengthLimit     the model was cut off at a limit of tokens
│   ├── ModelRefused    the model refused to answer
│   ├── ContentFiltered the provider's filter withheld the answer, or the rest of it
│   └── StreamTruncated the provider's stream just ended, without saying that it was the end
├── StreamStopped       a response that is read was stopped before its end
├── NoStructuredAnswer  an engine cannot answer with the object that it is asked for (also a
│                       ValueError)
├── ProviderFailed      the provider said in its stream that it had failed
├── ConnectionLost      the connection to the provider broke, or brought what cannot be read
└── MissingDependency   an optional dependency is not installed (also an ImportError)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class StreamingError(Exception):
    """Base class of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy by fields, as constructors take other arguments than `args`."""
        return _rebuilt, (type(self), self.args, vars(self))


def _rebuilt(
    cls: type[StreamingError], args: tuple[Any, ...], fields: dict[str, Any]
) -> StreamingError:
    error = cls.__new__(cls)
    error.args = args
    vars(error).update(fields)
    return error


class MissingInput(StreamingError, ValueError):
    """An agent was started with neither `user_msg` nor `chat_history`."""


class NotInStep(StreamingError, RuntimeError):
    """`stream_writer` was called where no step of a run is being executed."""


class LoopClosed(StreamingError, RuntimeError):
    """The event loop that a run lives on is closed."""


class StepCancelled(StreamingError):
    """A step raised `asyncio.CancelledError` although nobody cancelled it.

    Upstream would wait for that step for ever; a run of this package fails with this error.

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


class IncompleteResponse(StreamingError):
    """An LLM call ended before its answer was whole.

    Attributes:
        finish_reason: the reason: `length`, `refusal`, `content_filter`, `truncated`.
        text: the answer so far; for a refusal, the words of the model.
        call_id: the id of the call.
    """

    finish_reason = "incomplete"
    _what = "The LLM's answer is not whole"

    def __init__(self, text: str = "", call_id: str = "", finish_reason: str | None = None) -> None:
        so_far = f": {text!r:.500}" if text else ", and there is no text."
        super().__init__(self._what + so_far)
        self.text = text
        self.call_id = call_id
        if finish_reason is not None:
            self.finish_reason = finish_reason


class LengthLimit(IncompleteResponse):
    """The model was cut off at a limit of tokens."""

    finish_reason = "length"
    _what = "The LLM was cut off at its limit of tokens (raise max_tokens, or ask for less)"


class ModelRefused(IncompleteResponse):
    """The model refused to answer."""

    finish_reason = "refusal"
    _what = "The LLM refused to answer"


class ContentFiltered(IncompleteResponse):
    """The provider's filter withheld the answer, or the rest of it."""

    finish_reason = "content_filter"
    _what = "The provider's content filter stopped the answer"


class StreamTruncated(IncompleteResponse):
    """The provider's stream just ended, without the finish reason that it always gives."""

    finish_reason = "truncated"
    _what = "The LLM's stream ended without a finish reason, so the answer is not whole"


class StreamStopped(StreamingError):
    """A response was stopped before its end, so that its text is not whole.

    Attributes:
        text: the answer so far.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(f"The response was stopped after {len(text)} characters.")
        self.text = text


class NoStructuredAnswer(StreamingError, ValueError):
    """A query engine cannot answer with the object that it is asked for (`output_cls`)."""


class ProviderFailed(StreamingError):
    """The provider said in its stream that it had failed.

    Attributes:
        code: the provider's code of the error, None if it gave none.
        text: the answer so far.
        call_id: the id of the call.
    """

    def __init__(
        self, message: str, code: str | None = None, text: str = "", call_id: str = ""
    ) -> None:
        super().__init__(f"The provider failed{f' ({code})' if code else ''}: {message}")
        self.code = code
        self.text = text
        self.call_id = call_id


class ConnectionLost(StreamingError):
    """The connection to the provider broke in the middle of a stream, or brought unreadable data.

    The error of the HTTP library is its `__cause__`.

    Attributes:
        text: the answer so far.
        call_id: the id of the call.
    """

    def __init__(self, cause: BaseException, text: str = "", call_id: str = "") -> None:
        said = str(cause) or type(cause).__name__
        super().__init__(f"The LLM's stream broke off after {len(text)} characters: {said}")
        self.text = text
        self.call_id = call_id
