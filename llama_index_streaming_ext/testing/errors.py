"""Errors of the fakes.

StreamingError
├── NotServed           a fake was asked for its URL while it answers nowhere (also a RuntimeError)
├── UnexpectedLLMCall   an LLM was called more often than its script says
└── ProviderError       what the provider said, where the openai package is not installed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llama_index_streaming_ext.errors import StreamingError

if TYPE_CHECKING:
    from llama_index_streaming_ext.testing.script.request import Request
    from llama_index_streaming_ext.testing.script.turns import Turn


class NotServed(StreamingError, RuntimeError):
    """A `FakeOpenAI` was asked for its URL, or for an LLM, while it answers nowhere."""

    def __init__(self) -> None:
        super().__init__(
            "This FakeOpenAI answers nowhere yet: use it inside `with fake.serve() as url:`, a "
            "real server, or `with fake.mock():`, in process."
        )


class UnexpectedLLMCall(StreamingError):
    """An LLM was called though its script has no turn for the call.

    Attributes:
        request: the call.
        left: the turns that are left: none, or only such whose `when=` does not match.
    """

    def __init__(self, request: Request, left: Sequence[Turn], *, taken: int) -> None:
        super().__init__(_unexpected(request, left, taken))
        self.request = request
        self.left = list(left)

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors are copied by their arguments, which here are not the constructor's."""
        return _rebuild, (self.args, self.request, self.left)


def _rebuild(args: tuple[Any, ...], request: Request, left: list[Turn]) -> UnexpectedLLMCall:
    error = UnexpectedLLMCall.__new__(UnexpectedLLMCall)
    error.args, error.request, error.left = args, request, left
    return error


def _unexpected(request: Request, left: Sequence[Turn], taken: int) -> str:
    asked = "\n".join(f"  {message}" for message in request.messages) or "  (none)"
    rest = "\n".join(f"  {turn!r}" for turn in left)
    rest = f"Turns left, none of which matches:\n{rest}" if left else "No turn is left."
    return (
        f"The LLM was called once more than its script says; {taken} turns were taken before.\n"
        f"Messages of the call:\n{asked}\n{rest}\n"
        "Add a Turn to the script, or pass repeat_last=True or strict=False."
    )


class ProviderError(StreamingError):
    """The provider answered with an error, and there is no openai package to say it in its types.

    Attributes:
        status_code: the status of the answer, None for an error object in a stream.
        body: the error object.
    """

    # It is read as openai's errors are: with no status, the connection broke.
    speaks_openai = True

    def __init__(self, message: str, *, status_code: int | None, body: object) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.body = body
