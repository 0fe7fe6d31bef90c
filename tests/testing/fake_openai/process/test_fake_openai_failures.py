"""What the real LlamaIndex classes make of the failures of a FakeOpenAI."""

from __future__ import annotations

import httpx
import openai
import pytest

from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    disconnect,
    fail,
    gate,
    http,
    malformed,
    text,
    truncated,
    wait,
)
from tests.support.testing.fake_openai_ways import (
    ASK,
    Model,
    Way,
    adeltas,
    both_models,
    both_ways,
    deltas,
    first_text,
)


@both_ways
@both_models
def test_a_reset_is_a_read_error(way: Way, model: Model) -> None:
    """After a `disconnect()` in the middle the client has what came before, and an error (U75)."""
    fake = FakeOpenAI([Turn(text("a"), disconnect())])
    with way(fake):
        stream = model(fake).stream_chat(ASK)
        assert first_text(stream) == "a"
        with pytest.raises(httpx.ReadError):
            list(stream)


@both_ways
async def test_a_reset_is_a_read_error_for_async_clients(way: Way) -> None:
    """The async client has the same error (U75)."""
    fake = FakeOpenAI([Turn(text("a"), disconnect())])
    async with way(fake):
        with pytest.raises(httpx.ReadError):
            await adeltas(fake.llm())


@both_ways
def test_a_reset_before_the_answer_is_a_connection_error(way: Way) -> None:
    """A `disconnect()` that comes first is an answer that never begins."""
    fake = FakeOpenAI([Turn(disconnect())])
    with way(fake), pytest.raises(openai.APIConnectionError):
        deltas(fake.llm(max_retries=0))


@both_ways
@both_models
def test_a_body_that_ends_in_a_line_is_no_error(way: Way, model: Model) -> None:
    """After `truncated()` the stream just ends: the real class notices nothing (U75)."""
    fake = FakeOpenAI([Turn(text("a"), truncated(), text("b"))])
    with way(fake):
        assert "".join(deltas(model(fake))) == "a"


@both_ways
@both_models
def test_a_malformed_chunk_is_a_json_error(way: Way, model: Model) -> None:
    """After `malformed()` the real class raises a raw JSONDecodeError (U75)."""
    fake = FakeOpenAI([Turn(text("a"), malformed(), text("b"))])
    with way(fake), pytest.raises(ValueError, match="Expecting value"):
        deltas(model(fake))


@both_ways
def test_an_error_object_in_the_stream(way: Way) -> None:
    """`fail("...")` is the provider saying so in the stream."""
    fake = FakeOpenAI([Turn(text("a"), fail("The server had an error"))])
    with way(fake), pytest.raises(openai.APIError, match="The server had an error"):
        deltas(fake.llm())


@both_ways
@both_models
def test_an_exception_in_the_script_is_told_by_the_provider(way: Way, model: Model) -> None:
    """`fail(exception)` reaches the client as an error object with its text."""
    fake = FakeOpenAI([Turn(text("a"), fail(ValueError("odd")))])
    with way(fake), pytest.raises(openai.APIError, match="odd"):
        deltas(model(fake))


@both_ways
def test_a_failure_before_the_answer_is_one_request(way: Way) -> None:
    """`fail(...)` that comes first is a status of 500 which the SDK does not try again."""
    fake = FakeOpenAI([Turn(fail(ValueError("odd")))])
    with way(fake), pytest.raises(openai.InternalServerError, match="odd"):
        deltas(fake.llm())
    assert [request.status for request in fake.requests] == [500]


def test_a_failure_of_the_network_is_a_reset() -> None:
    """`fail(...)` with an error of the transport is what that looks like on a wire."""
    fake = FakeOpenAI([Turn(text("a"), fail(httpx.ReadError("gone")))])
    with fake.serve(), pytest.raises(httpx.ReadError):
        deltas(fake.llm())


@both_ways
@pytest.mark.parametrize("status", [429, 500])
def test_the_sdk_tries_again_and_succeeds(way: Way, status: int) -> None:
    """An error status before the first byte is not seen by who uses the class (U75)."""
    fake = FakeOpenAI([Turn(http(status, retry_after=0.001)), Turn("Hello")])
    with way(fake):
        assert "".join(deltas(fake.llm())) == "Hello"
    assert [request.status for request in fake.requests] == [status, 200]


@both_ways
def test_a_script_that_ends_in_an_error_status(way: Way) -> None:
    """When nothing is left, the SDK is told not to try again, so that the error is the script's."""
    fake = FakeOpenAI([Turn(http(429, message="slow down"))])
    with way(fake), pytest.raises(openai.RateLimitError, match="slow down"):
        deltas(fake.llm())
    assert not fake.unexpected


@both_ways
def test_a_client_that_tries_again_after_the_end_of_a_script(way: Way) -> None:
    """A retry of what was refused last is refused in the same way; it is no unexpected call."""
    fake = FakeOpenAI([Turn(disconnect())])
    with way(fake), pytest.raises(openai.APIConnectionError):
        deltas(fake.llm(max_retries=1))
    assert (len(fake.requests), fake.unexpected) == (2, [])


@both_ways
def test_a_call_too_many_is_refused_once(way: Way) -> None:
    """A call more than the script has is an error that names it, and the SDK tries it once."""
    fake = FakeOpenAI([])
    with way(fake), pytest.raises(openai.BadRequestError, match="UnexpectedLLMCall"):
        deltas(fake.llm())
    assert (len(fake.unexpected), len(fake.requests)) == (1, 1)


def test_repeat_last_answers_all_further_calls() -> None:
    """With `repeat_last` there is no call too many."""
    fake = FakeOpenAI(["Hello"], repeat_last=True)
    with fake.serve():
        llm = fake.llm()
        assert [llm.complete("a").text, llm.complete("b").text] == ["Hello", "Hello"]


def test_a_script_that_raises_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """An error in the script's own function reaches the client, and the log with its traceback."""

    def script(_: object) -> str:
        raise KeyError("city")

    fake = FakeOpenAI(script)
    with fake.serve(), pytest.raises(openai.BadRequestError, match="KeyError: 'city'"):
        deltas(fake.llm())
    assert caplog.records[0].exc_info


@both_ways
def test_a_stall_longer_than_the_clients_patience(way: Way) -> None:
    """A pause that is longer than the client's timeout is a read timeout, and a client's close."""
    fake = FakeOpenAI([Turn(text("a"), gate("never"), text("b"))])
    with way(fake):
        with pytest.raises(httpx.ReadTimeout):
            deltas(fake.llm(timeout=0.05))
        # While the server is there: else it may be the one that ends first.
        assert fake.requests[0].wait_closed()


def test_a_wait_longer_than_the_clients_patience_in_process() -> None:
    """Pauses without a byte between them add up to the client's timeout."""
    fake = FakeOpenAI([Turn(text("a"), wait(0.03), wait(60), text("b"))])
    with fake.mock(), pytest.raises(httpx.ReadTimeout):
        deltas(fake.llm(timeout=0.05))
