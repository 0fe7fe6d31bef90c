"""The whole text of whatever an engine gives back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from llama_index_streaming_ext.query.response.complete import (
    acomplete,
    afinished,
    complete,
    finished,
)

PIECES = ("It is", " so.")


class Person(BaseModel):
    """A structured answer."""

    name: str


def _tokens(*pieces: Any) -> Generator[Any]:
    yield from pieces


async def _atokens(*pieces: Any) -> AsyncGenerator[Any]:
    for piece in pieces:
        yield piece


RESPONSES: dict[str, Any] = {
    "str": lambda: "It is so.",
    "response": lambda: Response("It is so."),
    "streaming": lambda: StreamingResponse(_tokens(*PIECES)),
    "async streaming": lambda: AsyncStreamingResponse(_atokens(*PIECES)),
    "generator": lambda: _tokens(*PIECES),
    "async generator": lambda: _atokens(*PIECES),
    "chunks": lambda: _tokens(*(CompletionResponse(text="", delta=piece) for piece in PIECES)),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_every_type_has_a_text(name: str) -> None:
    """All of it, in code without an event loop."""
    assert complete(RESPONSES[name]()) == "It is so."


@pytest.mark.parametrize("name", RESPONSES)
async def test_every_type_has_a_text_in_async_code(name: str) -> None:
    """All of it, on an event loop."""
    assert await acomplete(RESPONSES[name]()) == "It is so."


@pytest.mark.parametrize("response", [Response(None), Response(""), PydanticResponse(None), None])
def test_an_empty_answer_is_empty(response: Any) -> None:
    """It is not `'None'`, as core prints it."""
    assert complete(response) == ""


def test_a_structured_answer_is_json() -> None:
    """As core's `str` of it."""
    assert complete(PydanticResponse(Person(name="Ada"))) == '{"name":"Ada"}'


def test_u54_a_drained_response_has_its_text() -> None:
    """Tokens that core has read from the stream are not lost."""
    response = StreamingResponse(_tokens(*PIECES))
    response.get_response()
    assert complete(response) == "It is so."


async def test_u55_an_async_response_that_was_left_has_all_its_text() -> None:
    """The complete answer has the tokens that a reader took before it left, and the rest."""
    response = AsyncStreamingResponse(_atokens(*PIECES))
    async for _ in response.async_response_gen():
        break
    assert await acomplete(response) == "It is so."


async def test_a_complete_text_can_be_asked_for_again() -> None:
    """The response keeps it."""
    response = AsyncStreamingResponse(_atokens(*PIECES))
    assert await acomplete(response) == await acomplete(response)


async def test_u57_a_loop_does_not_wait_for_itself() -> None:
    """The sync form says so instead of freezing."""
    with pytest.raises(TypeError, match="use aquery"):
        complete(AsyncStreamingResponse(_atokens(*PIECES)))


async def test_a_sync_stream_is_read_off_the_loop() -> None:
    """A generator that blocks does not block the loop: it is read in another thread."""
    threads: list[int] = []

    def tokens() -> Generator[str]:
        threads.append(threading.get_ident())
        yield "a"

    await acomplete(StreamingResponse(tokens()))
    assert threads != [threading.get_ident()]


def test_what_is_no_response_is_an_error() -> None:
    """It says what an engine may give."""
    with pytest.raises(TypeError, match="int is no response"):
        complete(3)


@pytest.mark.parametrize("name", ["streaming", "generator"])
def test_a_finished_stream_is_a_response(name: str) -> None:
    """Core's own code takes it for one."""
    assert finished(RESPONSES[name]()) == Response("It is so.")


async def test_a_finished_response_has_its_sources_and_metadata() -> None:
    """They are those of the stream."""
    nodes = [NodeWithScore(node=TextNode(text="a fact"))]
    response = AsyncStreamingResponse(_atokens("a"), source_nodes=nodes, metadata={"n": 1})
    assert await afinished(response) == Response("a", source_nodes=nodes, metadata={"n": 1})


def test_what_does_not_stream_is_left() -> None:
    """It is the very same object."""
    response = PydanticResponse(Person(name="Ada"))
    assert finished(response) is response


def test_an_error_is_raised_to_whom_completes() -> None:
    """A truncated text is not taken for a whole one."""

    def tokens() -> Generator[str]:
        yield "a"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        complete(StreamingResponse(tokens()))


@given(st.lists(st.text()))
def test_the_text_is_what_was_streamed(pieces: list[str]) -> None:
    """Law: whatever the chunks, sync or async, the text is all of them joined."""
    whole = "".join(pieces)
    assert complete(StreamingResponse(_tokens(*pieces))) == whole
    assert asyncio.run(acomplete(AsyncStreamingResponse(_atokens(*pieces)))) == whole
