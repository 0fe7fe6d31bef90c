"""What core's streaming responses do when they are read, printed and converted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator

import pytest
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse


def said(*tokens: str, error: Exception | None = None) -> Generator[str, None, None]:
    """What an engine streams."""
    yield from tokens
    if error is not None:
        raise error


async def asaid(*tokens: str, error: Exception | None = None) -> AsyncGenerator[str, None]:
    """What an async engine streams."""
    for token in tokens:
        yield token
    if error is not None:
        raise error


def test_u55_the_text_of_a_response_that_was_read_is_none() -> None:
    """U55: str() after response_gen was iterated is 'None'."""
    response = StreamingResponse(said("a", "b"))
    list(response.response_gen)
    assert str(response) == "None"


def test_u55_the_text_is_what_was_not_read() -> None:
    """U55: str() after some tokens were read is only the rest."""
    response = StreamingResponse(said("a", "b", "c"))
    next(response.response_gen)
    assert str(response) == "bc"


def test_u55_it_is_read_once() -> None:
    """U55: a second iteration is empty."""
    response = StreamingResponse(said("a", "b"))
    assert [list(response.response_gen), list(response.response_gen)] == [["a", "b"], []]


def test_u55_an_empty_answer_is_none() -> None:
    """U55: str() of an answer without tokens is 'None'."""
    assert str(StreamingResponse(said())) == "None"


def test_u56_a_sync_failure_is_none_the_second_time() -> None:
    """U56: str() raises an error once, and is 'None' when it is asked again."""
    response = StreamingResponse(said("a", error=ValueError("broken")))
    with pytest.raises(ValueError, match="broken"):
        str(response)
    assert str(response) == "None"


async def test_u56_an_async_failure_is_a_whole_answer_the_second_time() -> None:
    """U56: after an error the truncated text is given as if it were complete."""
    response = AsyncStreamingResponse(asaid("a", error=ValueError("broken")))
    with pytest.raises(ValueError, match="broken"):
        await response.get_response()
    assert (await response.get_response()).response == "a"


async def test_u57_formatting_freezes_the_loop() -> None:
    """U57: while f"{response}" reads an async response the event loop does nothing else."""
    loop, turned = asyncio.get_running_loop(), threading.Event()
    seen: list[bool] = []

    async def tokens() -> AsyncGenerator[str, None]:
        loop.call_soon_threadsafe(turned.set)
        # In another loop's thread: whatever the answer needs of its own loop never comes.
        seen.append(turned.wait(0.2))
        yield "a"

    assert f"{AsyncStreamingResponse(tokens())}" == "a"
    assert seen == [False]


def test_printing_a_sync_response(capsys: pytest.CaptureFixture[str]) -> None:
    """The first print of a sync response does not end the line, the second one does."""
    response = StreamingResponse(said("a", "b"))
    response.print_response_stream()
    response.print_response_stream()
    assert capsys.readouterr().out == "abab\n"


async def test_printing_an_async_response(capsys: pytest.CaptureFixture[str]) -> None:
    """The async response ends the line each time."""
    response = AsyncStreamingResponse(asaid("a", "b"))
    await response.print_response_stream()
    await response.print_response_stream()
    assert capsys.readouterr().out == "ab\nab\n"
