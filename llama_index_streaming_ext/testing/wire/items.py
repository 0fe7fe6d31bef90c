"""The items of the wire: chunks, and the things that happen between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import asyncio
    import threading

Dialect: TypeAlias = Literal["chat", "responses"]
"""The wire format: Chat Completions or the Responses API."""


@dataclass(frozen=True)
class Chunk:
    """One server-sent event with a JSON payload."""

    data: dict[str, Any]
    """The payload."""
    event: str | None = None
    """The name in the `event:` line, which the Responses API has and Chat Completions has not."""


@dataclass(frozen=True)
class Malformed:
    """One complete server-sent event whose payload is not JSON."""

    text: str
    """The text behind `data: `."""
    event: str | None = None
    """The name in the `event:` line, if there is one."""


@dataclass(frozen=True)
class Truncated:
    """The beginning of an event, after which the body ends cleanly."""

    text: str
    """The bytes of the body from the last event's start, as text, without a blank line."""


@dataclass(frozen=True)
class Comment:
    """A keep-alive line (`: text`), which no client shows."""

    text: str = ""
    """The text behind the colon."""


@dataclass(frozen=True)
class Done:
    """The end of a stream: `data: [DONE]` in Chat Completions, nothing in the Responses API."""

    dialect: Dialect = "chat"
    """The wire format that the stream is in."""


@dataclass(frozen=True)
class Wait:
    """A pause."""

    seconds: float
    """The length of the pause, in seconds."""


@dataclass(frozen=True)
class Gate:
    """A place where the stream holds until the test opens it."""

    name: str
    """The name for `fake.open(name)`."""
    event: asyncio.Event | threading.Event | None = field(default=None, compare=False)
    """The test's own event, where it gave one instead of a name."""

    def __reduce__(self) -> tuple[Callable[..., Gate], tuple[str]]:
        """Locks cannot be pickled: the copy has a gate of the same name."""
        return Gate, (self.name,)


@dataclass(frozen=True)
class Fail:
    """An error in the middle of a stream."""

    make: Callable[[], BaseException]
    """The function that makes a fresh error each time, so that no traceback is shared."""
    message: str = ""
    """The message of the error, for a wire that can only send text."""
    provider: bool = False
    """True where the provider itself says that it failed (an error object in the stream)."""


@dataclass(frozen=True)
class Disconnect:
    """The connection is reset. Before the first chunk: before any answer at all."""


@dataclass(frozen=True)
class Http:
    """An answer with another status than 200, instead of a stream."""

    status: int
    """The status code."""
    retry_after: float | None = None
    """Seconds in the `Retry-After` header."""
    message: str | None = None
    """The message of the error object in the body."""

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        message = self.message or f"The fake provider answered with status {self.status}."
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def headers(self) -> dict[str, str]:
        """The headers that the answer has beside the usual ones."""
        if self.retry_after is None:
            return {}
        return {"retry-after": f"{self.retry_after:g}"}


WireItem: TypeAlias = (
    Chunk | Malformed | Truncated | Comment | Done | Wait | Gate | Fail | Disconnect | Http
)
"""Everything that a scripted answer consists of, in the order in which it happens."""
