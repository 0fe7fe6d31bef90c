"""Broken streams are said in one way, with the text so far."""

from __future__ import annotations

import asyncio
import errno
import pickle
import socket
import ssl
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

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
    FakeOpenAI,
    FakeStreamingLLM,
    ProviderError,
    Turn,
    disconnect,
    fail,
    http,
    malformed,
    text,
    truncated,
)
from llama_index_streaming_ext.testing.fake_openai import Served

ASK = [ChatMessage("Hi")]
REQUEST = httpx.Request("POST", "https://api.openai.com/v1/chat/completions")


def serve(fake: FakeOpenAI) -> Served:
    """Over a real socket."""
    return fake.serve()


def mock(fake: FakeOpenAI) -> Served:
    """In process."""
    return fake.mock()


def chat(fake: FakeOpenAI) -> FunctionCallingLLM:
    """The class for Chat Completions."""
    return fake.llm(max_retries=0)


def responses(fake: FakeOpenAI) -> FunctionCallingLLM:
    """The class for the Responses API."""
    return fake.responses_llm(max_retries=0)


both_ways = pytest.mark.parametrize("way", [serve, mock])
both_models = pytest.mark.parametrize("model", [chat, responses])
Way = Callable[[FakeOpenAI], Served]
Model = Callable[[FakeOpenAI], FunctionCallingLLM]


def broken(llm: FunctionCallingLLM) -> tuple[Exception, Exception]:
    """The error that a stream breaks with, and what it is translated to."""
    so_far = ""
    try:
        for chunk in llm.stream_chat(ASK):
            so_far += chunk.delta or ""
    except Exception as error:
        return error, translated(error, so_far, "call-1")
    raise AssertionError("the stream did not break")


@both_ways
@both_models
def test_a_reset_is_a_lost_connection(way: Way, model: Model) -> None:
    """A connection that is reset in the middle is a ConnectionLost, with what was there (U75)."""
    fake = FakeOpenAI([Turn(text("It", " is"), disconnect())])
    with way(fake):
        error, said = broken(model(fake))
    assert isinstance(said, ConnectionLost)
    assert (said.text, said.call_id, said.__cause__) == ("It is", "call-1", error)


@both_ways
@both_models
def test_malformed_json_is_a_lost_connection(way: Way, model: Model) -> None:
    """An event that is not JSON is a ConnectionLost (U75)."""
    fake = FakeOpenAI([Turn(text("It", " is"), malformed())])
    with way(fake):
        _, said = broken(model(fake))
    assert isinstance(said, ConnectionLost)
    assert said.text == "It is"


@both_ways
@both_models
def test_no_answer_at_all_is_a_lost_connection(way: Way, model: Model) -> None:
    """A connection that breaks before the answer is a ConnectionLost without text."""
    fake = FakeOpenAI([Turn(disconnect())])
    with way(fake):
        _, said = broken(model(fake))
    assert isinstance(said, ConnectionLost)
    assert said.text == ""


@both_ways
@both_models
def test_a_body_that_ends_in_a_line_raises_nothing(way: Way, model: Model) -> None:
    """A body that is cut in a line is no error, so that only the missing finish tells (U75)."""
    fake = FakeOpenAI([Turn(text("It", " is"), truncated())])
    with way(fake):
        assert "".join(c.delta or "" for c in model(fake).stream_chat(ASK)) == "It is"


@both_ways
def test_an_error_object_is_the_provider_s_failure(way: Way) -> None:
    """An error object in a chat stream is a ProviderFailed, with what the provider said."""
    fake = FakeOpenAI([Turn(text("It", " is"), fail("Sorry about that!"))])
    with way(fake):
        error, said = broken(chat(fake))
    assert isinstance(said, ProviderFailed)
    assert (said.code, said.text, said.call_id) == ("server_error", "It is", "call-1")
    assert str(said) == "The provider failed (server_error): Sorry about that!"
    assert said.__cause__ is error


@both_ways
@both_models
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_an_answer_with_an_error_status_stays(way: Way, model: Model, status: int) -> None:
    """An answer with an error status broke nothing: the SDK's own error is kept."""
    fake = FakeOpenAI([Turn(http(status))])
    with way(fake):
        error, said = broken(model(fake))
    assert said is error
    assert isinstance(error, openai.APIStatusError)


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
