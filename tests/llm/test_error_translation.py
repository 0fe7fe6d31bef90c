"""Broken streams are said in one way, with the text so far."""

from __future__ import annotations

import asyncio
import errno
import pickle
import socket
import ssl
from typing import Any

import anyio
import httpx
import openai
import pytest

from llama_index_streaming_ext import errors
from llama_index_streaming_ext.errors import (
    ConnectionLost,
    ContentFiltered,
    IncompleteResponse,
    LengthLimit,
    MissingDependency,
    ModelRefused,
    ProviderFailed,
    RunCancelled,
    RunLost,
    StepCancelled,
    StreamingError,
    StreamTruncated,
    UndecodableRecord,
)
from llama_index_streaming_ext.llm.error_translation import translated
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    ProviderError,
    Turn,
    disconnect,
    malformed,
    text,
)
from tests.support.llm.broken_streams import broken

REQUEST = httpx.Request("POST", "https://api.openai.com/v1/chat/completions")


@pytest.mark.parametrize("part", [disconnect(), malformed()])
def test_the_fake_llm_breaks_likewise(part: object) -> None:
    """What the fake raises in the middle is a ConnectionLost as well."""
    llm = FakeStreamingLLM([Turn(text("It"), part)])  # pyright: ignore[reportArgumentType]
    _, said = broken(llm)
    assert isinstance(said, ConnectionLost)
    assert said.text == "It"


def test_the_fake_s_own_error_is_the_provider_s_failure() -> None:
    """What the fake raises for an error object where openai is missing is a ProviderFailed."""
    error = ProviderError("Sorry!", status_code=None, body={"message": "Sorry!", "code": "oops"})
    said = translated(error)
    assert isinstance(said, ProviderFailed)
    assert said.code == "oops"


def test_the_fake_s_own_error_without_an_answer_is_a_lost_connection() -> None:
    """What the fake raises for no answer where openai is missing is a ConnectionLost."""
    error = ProviderError("Connection error.", status_code=None, body=None)
    assert isinstance(translated(error), ConnectionLost)


def test_the_fake_s_own_error_of_a_status_stays() -> None:
    """What the fake raises for an error status where openai is missing is an answer."""
    error = ProviderError("Slow down.", status_code=429, body={"message": "Slow down."})
    assert translated(error) is error


LOST = [
    httpx.ReadError("reset", request=REQUEST),
    httpx.ReadTimeout("late", request=REQUEST),
    httpx.RemoteProtocolError("peer closed connection", request=REQUEST),
    httpx.ConnectError("refused", request=REQUEST),
    httpx.DecodingError("bad gzip", request=REQUEST),
    openai.APITimeoutError(request=REQUEST),
    anyio.BrokenResourceError(),
    anyio.EndOfStream(),
    ssl.SSLError(1, "bad record"),
    ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    BrokenPipeError(errno.EPIPE, "broken"),
    TimeoutError(),
    asyncio.IncompleteReadError(b"", 1),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    socket.gaierror(-2, "Name or service not known"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]


@pytest.mark.parametrize("error", LOST, ids=lambda e: type(e).__name__)
def test_errors_of_networks_are_a_lost_connection(error: Exception) -> None:
    """All that networks, timeouts and undecodable bytes raise is a ConnectionLost."""
    said = translated(error, "It is", "call-1")
    assert isinstance(said, ConnectionLost)
    assert said.__cause__ is error


STAYING = [
    ValueError("a bug"),
    KeyError("choices"),
    FileNotFoundError(errno.ENOENT, "no such file"),
    PermissionError(errno.EACCES, "denied"),
    OSError(errno.ENOSPC, "No space left on device"),
    NotImplementedError("no streaming"),
    httpx.HTTPStatusError("500", request=REQUEST, response=httpx.Response(500)),
    httpx.StreamClosed(),
    openai.RateLimitError("429", response=httpx.Response(429, request=REQUEST), body=None),
    openai.AuthenticationError("401", response=httpx.Response(401, request=REQUEST), body=None),
    ModelRefused("I'm sorry."),
    ConnectionLost(ValueError("x")),
]


@pytest.mark.parametrize("error", STAYING, ids=lambda e: type(e).__name__)
def test_other_errors_stay(error: Exception) -> None:
    """What is no break of a stream is returned as it is."""
    assert translated(error, "It is", "call-1") is error


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()])
def test_cancellation_stays(error: BaseException) -> None:
    """A cancelled call is not a broken one."""
    assert translated(error) is error  # pyright: ignore[reportArgumentType] # it takes no such


def test_a_user_s_subclass_of_a_network_error_counts() -> None:
    """A subclass of a library's error is known by its base, wherever it is defined."""

    class MyReadError(httpx.ReadError):
        pass

    assert isinstance(translated(MyReadError("reset")), ConnectionLost)


def anthropic_error(status: int) -> Exception:
    """What the anthropic SDK raises, made as its class is, for it need not be installed."""
    cls = type("APIStatusError", (Exception,), {"__module__": "anthropic"})
    error: Any = cls("overloaded")
    error.status_code = status
    error.body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return error


def test_anthropic_s_error_event_is_the_provider_s_failure() -> None:
    """An error event of Anthropic, which has the status of the good answer, is a ProviderFailed."""
    said = translated(anthropic_error(200), "It is")
    assert isinstance(said, ProviderFailed)
    assert str(said) == "The provider failed (overloaded_error): Overloaded"


def test_anthropic_s_error_status_stays() -> None:
    """An error status of Anthropic is an answer."""
    error = anthropic_error(529)
    assert translated(error) is error


PICKLED: list[StreamingError] = [
    IncompleteResponse("It", "call-1", "odd"),
    LengthLimit("It is", "call-1"),
    ModelRefused("I'm sorry.", "call-1"),
    ContentFiltered("", "call-1"),
    StreamTruncated("It", "call-1", "truncated"),
    ProviderFailed("Sorry!", "server_error", "It is", "call-1"),
    ConnectionLost(httpx.ReadError("reset"), "It is", "call-1"),
    MissingDependency("Redis support", "redis"),
    StepCancelled("answer"),
    RunLost("run-1"),
    RunCancelled("run-1"),
    UndecodableRecord("a.kind", b"{", "it is no JSON"),
]


@pytest.mark.parametrize("error", PICKLED, ids=lambda e: type(e).__name__)
def test_errors_pickle_with_all_they_carry(error: StreamingError) -> None:
    """A pickled error has the type, the message and the attributes of the first."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_every_error_of_a_call_is_pickled_here() -> None:
    """No error that an LLM call can end with is forgotten above."""
    calls = {
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type)
        and issubclass(cls, IncompleteResponse | ProviderFailed | ConnectionLost)
    }
    assert calls <= {type(error) for error in PICKLED}
