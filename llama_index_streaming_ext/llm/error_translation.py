"""Errors of networks and wires in the middle of a stream, said in one way.

LlamaIndex lets them through as they are: which library's they are depends on the provider, and
none has the text so far (U75). No library is imported to know its errors: an error that was raised
comes from one that is loaded, so the names of its classes say all. That holds for libraries that
are not installed here, too, and costs nothing until a stream breaks.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
from typing import Any

from llama_index_streaming_ext.errors import ConnectionLost, ProviderFailed
from llama_index_streaming_ext.llm.finish.reasons import failure, field

_BROKEN = {
    "httpx": ("TransportError", "DecodingError"),
    "httpx2": ("TransportError", "DecodingError"),
    "httpcore": ("NetworkError", "ProtocolError", "TimeoutException"),
    "h11": ("RemoteProtocolError",),
    "openai": ("APIConnectionError",),
    "anthropic": ("APIConnectionError",),
    "anyio": ("BrokenResourceError", "EndOfStream", "IncompleteRead"),
    "aiohttp": ("ClientConnectionError", "ClientPayloadError"),
    "requests": ("ConnectionError", "Timeout", "ChunkedEncodingError", "ContentDecodingError"),
    "urllib3": ("ProtocolError", "TimeoutError", "SSLError", "DecodeError"),
}
"""The classes, and with them their subclasses, that mean a broken connection, by library."""

# An OSError may be about a file, too: `FileNotFoundError` and the like are nobody's connection.
_BROKEN_BUILTINS = (
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
    asyncio.IncompleteReadError,
    socket.gaierror,
    socket.herror,
    json.JSONDecodeError,  # the SDKs decode the events of a stream, and raise this as it is
    UnicodeDecodeError,
)
_BROKEN_ERRNOS = frozenset(
    {
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENETRESET,
        errno.ENOTCONN,
        errno.ENOBUFS,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EPROTO,
    }
)


def translated(error: Exception, text: str = "", call_id: str = "") -> Exception:
    """Return the error to raise for one that came out of an LLM's stream.

    Args:
        error: the error. It becomes the `__cause__` of what it is translated to.
        text: the text of the answer so far.
        call_id: the id of the call.

    Returns:
        `ProviderFailed`, where the provider said in its stream that it failed; `ConnectionLost`,
        where the connection broke, timed out, or brought what cannot be read; else `error` itself.
        An answer with an error status (`RateLimitError`, `AuthenticationError`, ...) breaks
        nothing: it stays what it is.
    """
    new: Exception
    if _said_by_provider(error):
        new = _provider_failed(error, text, call_id)
    elif _is_broken(error):
        new = ConnectionLost(error, text, call_id)
    else:
        return error
    new.__cause__ = error
    return new


def _said_by_provider(error: BaseException) -> bool:
    """Return True if this is how a library raises an error object that it found in a stream."""
    cls = type(error)
    if _stands_for_openai(cls):
        return field(error, "status_code") is None and field(error, "body") is not None
    if _named(cls, "openai", "APIError"):
        return True  # its subclasses are broken connections, and answers with a status
    # Anthropic's has a status: that of the answer, which had begun well.
    status = field(error, "status_code")
    return _is_a(cls, "anthropic", "APIStatusError") and isinstance(status, int) and status < 400


def _provider_failed(error: Exception, text: str, call_id: str) -> ProviderFailed:
    body: Any = field(error, "body")
    nested = field(body, "error")  # Anthropic's body is the whole event
    said = failure(body if nested is None else nested)
    return ProviderFailed(said.text or str(error), said.code, text, call_id)


def _is_broken(error: BaseException) -> bool:
    if isinstance(error, _BROKEN_BUILTINS):
        return True
    if isinstance(error, OSError) and error.errno in _BROKEN_ERRNOS:
        return True
    cls = type(error)
    if _stands_for_openai(cls):
        return field(error, "status_code") is None
    return any(_is_a(cls, library, name) for library, names in _BROKEN.items() for name in names)


def _stands_for_openai(cls: type) -> bool:
    """Return True if a class of errors stands for those of openai, where that is not installed."""
    return vars(cls).get("speaks_openai") is True


def _is_a(cls: type, library: str, name: str) -> bool:
    return any(_named(base, library, name) for base in cls.__mro__)


def _named(cls: type, library: str, name: str) -> bool:
    return cls.__name__ == name and cls.__module__.partition(".")[0] == library
