"""What a FakeOpenAI was asked, and what became of its answers."""

from __future__ import annotations

import asyncio
import threading

import httpx
import pytest

from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, text
from tests.support.testing.fake_openai_ways import (
    ASK,
    Model,
    Way,
    both_models,
    both_ways,
    deltas,
    first_text,
)


@both_ways
def test_requests_keep_what_was_asked(way: Way) -> None:
    """Method, path and body are kept, and no key."""
    fake = FakeOpenAI(["Hello"])
    with way(fake):
        fake.llm(api_key="sk-secret").complete("Hi")
    (request,) = fake.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.json["messages"] == [{"role": "user", "content": "Hi"}]
    assert request.headers["authorization"] == "Bearer ***"


@both_ways
@both_models
def test_a_whole_answer_is_finished(way: Way, model: Model) -> None:
    """An answer that was read to its end was finished, and not closed by the client."""
    fake = FakeOpenAI(["Hello"])
    with way(fake):
        deltas(model(fake))
        assert not fake.requests[0].wait_closed()
    assert (fake.requests[0].ended_by, fake.requests[0].streaming) == ("finished", True)


@both_ways
@both_models
def test_bytes_sent_count_the_body(way: Way, model: Model) -> None:
    """All ways of cutting the bytes send as many of them."""

    def sent(split: str | None) -> int:
        fake = FakeOpenAI([Turn(text("Grüß", " dich"))], split=split)
        with way(fake):
            deltas(model(fake))
        return fake.requests[0].bytes_sent

    assert sent("byte") == sent("random:1") == sent(None) > 500


def _whole_size(script: list[Turn]) -> int:
    fake = FakeOpenAI(script)
    fake.open("hold")
    with fake.serve():
        deltas(fake.llm())
    return fake.requests[0].bytes_sent


@both_ways
def test_a_client_that_closes_is_seen_at_once(way: Way) -> None:
    """While the stream is stalled, a client's close is noted and nothing more is sent."""
    script = [Turn(text("a"), gate("hold"), text("b", "c"))]
    fake = FakeOpenAI(script)
    with way(fake) as url:
        # A client of httpx, because LlamaIndex's generators leave HTTP open when closed (U58).
        body = {"model": "any", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        with httpx.stream("POST", f"{url}/chat/completions", json=body) as response:
            next(line for line in response.iter_lines() if '"a"' in line)
        (request,) = fake.requests
        assert request.wait_closed()
    assert request.closed_by_client is not None
    assert request.closed_by_client >= request.started
    assert request.finished is None
    assert 0 < request.bytes_sent < _whole_size(script)


@both_ways
async def test_cancelling_the_task_closes_the_stream(way: Way) -> None:
    """A task that reads and is cancelled closes the stream, which can be awaited (U58)."""
    fake = FakeOpenAI([Turn(text("a"), gate("hold"), text("b"))])
    got_one = asyncio.Event()

    async def read() -> None:
        async for chunk in await fake.llm().astream_chat(ASK):
            if chunk.delta:
                got_one.set()

    async with way(fake):
        task = asyncio.create_task(read())
        await got_one.wait()
        task.cancel()
        assert await fake.requests[0].await_closed()
        await asyncio.wait([task])


def test_waiting_for_the_close_of_a_stream_that_goes_on() -> None:
    """`wait_closed` gives up after its timeout."""
    fake = FakeOpenAI([Turn(text("a"), gate("hold"))])
    with fake.serve():
        stream = fake.llm().stream_chat(ASK)
        first_text(stream)
        with pytest.raises(TimeoutError):
            fake.requests[0].wait_closed(0.01)
        assert fake.requests[0].ended_by is None
        fake.open("hold")
        list(stream)


def test_waiting_for_a_request_that_does_not_come() -> None:
    """`wait_requests` gives up after its timeout and says how many there were."""
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        FakeOpenAI([]).wait_requests(timeout=0.01)


def test_waiting_for_a_request_of_another_thread() -> None:
    """`wait_requests` returns as soon as the request is there, while its answer is stalled."""
    fake = FakeOpenAI([Turn(gate("hold"), text("a"))])
    with fake.serve():
        asking = threading.Thread(target=lambda: deltas(fake.llm()))
        asking.start()
        assert fake.wait_requests()[0].status is None
        fake.open("hold")
        asking.join()
