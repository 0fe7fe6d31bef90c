"""Errors of HTTP become errors of this package."""

from __future__ import annotations

from collections.abc import Callable

import openai
import pytest
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.errors import (
    ConnectionLost,
    ProviderFailed,
)
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    disconnect,
    fail,
    http,
    malformed,
    text,
    truncated,
)
from llama_index_streaming_ext.testing.fake_openai import Served
from tests.support.llm.broken_streams import ASK, broken


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
