"""Turns of a chat that are stopped or fail: who is told, what is remembered, what hangs (U60)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_streaming_ext import StreamingChatEngine
from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    VirtualClock,
    fail,
    gate,
    text,
    wait,
)
from tests.support.query.chat_engines import (
    ANSWER,
    NAMES,
    QUESTION,
    TOKENS,
    TURN,
    answering,
    chatting,
    said,
)
from tests.support.query.half_read_turns import SAID, SO_FAR, aread_two, read_two


class Broken(Exception):
    """The error of the LLM."""


class Weird(BaseException):
    """An error that is no Exception, so that `except Exception` does not catch it."""


class SilentLLM(FakeStreamingLLM):
    """An LLM whose stream has no chunk."""

    def stream_chat(self, *args: Any, **kwargs: Any) -> Any:
        """Stream nothing."""
        return (chunk for chunk in ())

    async def astream_chat(self, *args: Any, **kwargs: Any) -> Any:
        """Stream nothing."""

        async def chunks() -> AsyncGenerator[ChatResponse, None]:
            for chunk in ():
                yield chunk

        return chunks()


def breaking(error: Any) -> FakeStreamingLLM:
    """An LLM that says two tokens, and raises."""
    return answering(SAID, fail(error))


def stalled() -> FakeStreamingLLM:
    """An LLM that says two tokens and then nothing for a long time."""
    return answering(SAID, wait(60), text("!"))


def marked(engine: Any) -> Any:
    """Why the last answer in the memory is not whole, None if it is."""
    return engine.chat_history[-1].additional_kwargs.get("incomplete")


# Stops


@pytest.mark.parametrize("name", NAMES)
def test_leaving_stops_and_remembers_what_there_is(name: str) -> None:
    """After the `with` the memory has the question and the text so far, marked."""
    engine = chatting(name, stalled())
    with engine.stream_chat(QUESTION) as response:
        read_two(response)
    assert said(engine.chat_history) == SO_FAR
    assert marked(engine) == "stopped"
    with pytest.raises(StreamStopped):
        str(response)


@pytest.mark.parametrize("name", NAMES)
async def test_leaving_stops_an_async_turn(name: str) -> None:
    """After the `async with` the memory has the question and the text so far, marked."""
    engine = chatting(name, stalled())
    async with await engine.astream_chat(QUESTION) as response:
        await aread_two(response)
    assert said(engine.chat_history) == SO_FAR
    assert marked(engine) == "stopped"


async def test_cancelling_achat_remembers_what_there_is() -> None:
    """A cancelled `await achat()` stops the turn, and has it remembered."""
    llm = answering(SAID, gate("never"))
    engine = chatting("context", llm)
    task = asyncio.create_task(engine.achat(QUESTION))
    while not llm.calls or llm.calls[0].chunks < 3:  # noqa: ASYNC110 -- the fake tells nobody
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ANSWER.startswith(engine.chat_history[-1].content or "?")
    assert marked(engine) == "stopped"


def test_the_next_turn_sees_what_was_stopped() -> None:
    """A turn that begins right after a stop waits for what there is of the other."""
    llm = FakeStreamingLLM([Turn(SAID, wait(60)), Turn(text(*TOKENS))])
    engine = chatting("simple", llm)
    response = engine.stream_chat(QUESTION)
    read_two(response)
    threading.Thread(target=response.close).start()
    while not response.is_done:
        time.sleep(0)
    engine.chat(QUESTION)
    assert said(llm.calls[1].messages) == [*SO_FAR, ("user", QUESTION)]
    assert said(engine.chat_history) == [*SO_FAR, *TURN]


def test_a_turn_without_a_text_is_not_remembered() -> None:
    """Stopped before the first token, it is as if it had not been asked."""
    engine = chatting("simple", answering(wait(60), text("!")))
    with engine.stream_chat(QUESTION):
        pass
    assert engine.chat_history == []


async def test_an_unread_response_that_is_collected_is_stopped() -> None:
    """Nobody can read it any more."""
    llm = stalled()
    await chatting("simple", llm).astream_chat(QUESTION)
    gc.collect()
    assert await asyncio.wait_for(llm.calls[0].ended(), 120) != "finished"


# Failures


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_is_told_and_remembered(name: str) -> None:
    """Readers get the tokens and then the error, again and again; the memory has the text."""
    engine = chatting(name, answering(SAID, fail(Broken("no"))))
    response = engine.stream_chat(QUESTION)
    for _ in range(2):
        tokens = response.read()
        assert [next(tokens), next(tokens)] == ["It", " is"]
        with pytest.raises(Broken):
            next(tokens)
    assert said(engine.chat_history) == SO_FAR
    assert marked(engine) == "failed"


@pytest.mark.parametrize("name", NAMES)
async def test_an_async_failure_is_told_and_remembered(name: str) -> None:
    """Readers get the tokens and then the error; the memory has the text."""
    engine = chatting(name, answering(SAID, fail(Broken("no"))))
    response = await engine.astream_chat(QUESTION)
    await aread_two(response)
    with pytest.raises(Broken):
        await anext(response.response_gen)
    assert said(engine.chat_history) == SO_FAR
    assert marked(engine) == "failed"


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_before_the_first_token_is_raised_at_once(name: str) -> None:
    """It is raised where the turn is begun or read, and nothing is remembered."""
    engine = chatting(name, answering(fail(Broken("no"))))
    with pytest.raises(Broken):
        str(engine.stream_chat(QUESTION))
    assert engine.chat_history == []


def test_chat_raises_what_the_turn_failed_with() -> None:
    """`chat` gives no half an answer."""
    engine = chatting("simple", answering(SAID, fail(Broken("no"))))
    with pytest.raises(Broken):
        engine.chat(QUESTION)
    assert said(engine.chat_history) == SO_FAR


def test_a_memory_that_fails_is_told() -> None:
    """An answer that could not be remembered ends with that error."""

    class Full(ChatMemoryBuffer):
        def put(self, message: ChatMessage) -> None:
            raise Broken("full")

    kept: Any = Full(token_limit=3000, tokenizer_fn=str.split)
    engine = StreamingChatEngine(SimpleChatEngine(answering(), kept, prefix_messages=[]))
    with pytest.raises(Broken, match="full"):
        str(engine.stream_chat(QUESTION))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [Weird("?"), asyncio.CancelledError(), KeyboardInterrupt()])
def test_what_is_no_exception_does_not_hang(name: str, error: BaseException) -> None:
    """U60: in upstream's writer it leaves readers waiting for ever."""
    engine = chatting(name, breaking(error))
    response = engine.stream_chat(QUESTION)
    # In a thread, a CancelledError that nobody has asked for is an Exception.
    kinds = (type(error), concurrent.futures.CancelledError)
    with pytest.raises(kinds):
        list(response.response_gen)
    assert response.is_done
    assert said(engine.chat_history) == SO_FAR
    assert marked(engine) == "failed"


@pytest.mark.parametrize("name", NAMES)
async def test_a_cancelled_stream_does_not_hang_async_readers(name: str) -> None:
    """U60: in upstream's writer it leaves readers waiting for ever."""
    engine = chatting(name, breaking(asyncio.CancelledError()))
    response = await engine.astream_chat(QUESTION)
    with pytest.raises(StreamStopped):
        await response.get_response()
    assert said(engine.chat_history) == SO_FAR


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_stream_does_not_hang(name: str) -> None:
    """U60: an answer without a chunk ends, and is not remembered."""
    make: Any = SilentLLM
    engine = chatting(name, make([Turn(SAID)], strict=False))
    response = engine.stream_chat(QUESTION)
    assert "".join(response.response_gen) == ""
    assert engine.chat_history == []


# Time


async def test_there_is_no_tail(virtual_clock: VirtualClock) -> None:
    """U60: upstream's async readers look for the end every 100 ms."""
    engine = chatting("simple", answering(SAID, wait(1.03125)))
    began = time.monotonic()
    async for _ in (await engine.astream_chat(QUESTION)).response_gen:
        pass
    assert time.monotonic() - began == 1.03125


def test_waiting_is_not_busy() -> None:
    """U60: upstream's sync readers spin while the LLM says nothing."""
    engine = chatting("simple", answering(SAID, wait(0.5), text("!")))
    response = engine.stream_chat(QUESTION)
    read_two(response)
    began = time.thread_time()
    str(response)
    # A thread that spins has most of the half second, however busy the machine is with others.
    assert time.thread_time() - began < 0.1


def test_no_thread_is_left() -> None:
    """A stopped turn leaves nothing at work."""
    engine = chatting("context", stalled())
    with engine.stream_chat(QUESTION) as response:
        read_two(response)
    left = [one.name for one in threading.enumerate() if one.name.startswith(("query-", "chat-"))]
    assert left == []
