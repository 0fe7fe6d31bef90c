"""Users' own chat engines, which stream by core's writers (U60)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine.types import BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.types import Thread

from llama_index_streaming_ext import StreamingChatEngine
from llama_index_streaming_ext.errors import StreamingError
from llama_index_streaming_ext.testing import FakeStreamingLLM, fail, text, wait
from tests.support.query.chat_engines import (
    ANSWER,
    QUESTION,
    TOKENS,
    TURN,
    answering,
    memory,
    said,
)

SO_FAR = [("user", QUESTION), ("assistant", "It is")]


class Weird(BaseException):
    """An error that is no Exception, so that `except Exception` does not catch it."""


def saying(*after: Any) -> FakeStreamingLLM:
    """An LLM that says two tokens, and then that."""
    return answering(text(*TOKENS[:2]), *after)


class OwnChat(BaseChatEngine):
    """A chat engine as users write it, after core's."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._memory = memory()

    def stream_chat(self, message: str, chat_history: Any = None) -> Any:
        """Stream, by core's writer."""
        self._memory.put(ChatMessage(message))
        response = StreamingAgentChatResponse(chat_stream=self._llm.stream_chat(self._memory.get()))
        thread = Thread(target=response.write_response_to_history, args=(self._memory,))
        response.write_response_to_history_thread = thread
        thread.start()
        return response

    async def astream_chat(self, message: str, chat_history: Any = None) -> Any:
        """Stream, by core's writer."""
        await self._memory.aput(ChatMessage(message))
        response = StreamingAgentChatResponse(
            achat_stream=await self._llm.astream_chat(await self._memory.aget())
        )
        response.awrite_response_to_history_task = asyncio.create_task(
            response.awrite_response_to_history(self._memory)
        )
        return response

    def chat(self, message: str, chat_history: Any = None) -> Any:
        """Not streamed."""
        raise AssertionError

    async def achat(self, message: str, chat_history: Any = None) -> Any:
        """Not streamed."""
        raise AssertionError

    def reset(self) -> None:
        """Forget."""
        self._memory.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The messages of the conversation."""
        return self._memory.get_all()


def test_a_users_engine_streams() -> None:
    """Its answer comes token by token, and its memory has it once."""
    engine = StreamingChatEngine(OwnChat(answering()))
    assert tuple(engine.stream_chat(QUESTION).response_gen) == TOKENS
    assert said(engine.chat_history) == TURN


async def test_a_users_engine_streams_async() -> None:
    """Its answer comes token by token, and its memory has it once."""
    engine = StreamingChatEngine(OwnChat(answering()))
    response = await engine.astream_chat(QUESTION)
    assert tuple([token async for token in response.response_gen]) == TOKENS
    assert said(engine.chat_history) == TURN


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_users_engine_is_stopped() -> None:
    """Its LLM's stream is closed, its writer ends, and its memory has what there is."""
    engine = StreamingChatEngine(OwnChat(saying(wait(60), text("!"))))
    with engine.stream_chat(QUESTION) as response:
        tokens = response.response_gen
        assert [next(tokens), next(tokens)] == ["It", " is"]
    assert said(engine.chat_history) == SO_FAR
    assert engine.chat_history[-1].additional_kwargs["incomplete"] == "stopped"


async def test_a_users_engine_is_stopped_async() -> None:
    """Its LLM's stream is closed, its writer ends, and its memory has what there is."""
    engine = StreamingChatEngine(OwnChat(saying(wait(60), text("!"))))
    async with await engine.astream_chat(QUESTION) as response:
        tokens = response.response_gen
        assert [await anext(tokens), await anext(tokens)] == ["It", " is"]
    assert said(engine.chat_history) == SO_FAR


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_users_writer_that_is_broken_off_does_not_hang() -> None:
    """U60: a BaseException in core's writer leaves its readers waiting for ever; not ours."""
    engine = StreamingChatEngine(OwnChat(saying(fail(Weird("?")))))
    response = engine.stream_chat(QUESTION)
    with pytest.raises(StreamingError, match="broken off"):
        list(response.response_gen)
    assert said(engine.chat_history) == SO_FAR


async def test_a_users_writer_that_is_cancelled_does_not_hang() -> None:
    """U60: a CancelledError in core's writer leaves its readers waiting for ever; not ours."""
    engine = StreamingChatEngine(OwnChat(saying(fail(asyncio.CancelledError()))))
    response = await engine.astream_chat(QUESTION)
    with pytest.raises(StreamingError):
        await response.get_response()


class OnlyWhole(OwnChat):
    """A user's engine that does not stream."""

    def stream_chat(self, message: str, chat_history: Any = None) -> Any:
        """Not streamed."""
        raise NotImplementedError

    def chat(self, message: str, chat_history: Any = None) -> Any:
        """Give a text."""
        self._memory.put_messages([ChatMessage(message), ChatMessage(ANSWER, role="assistant")])
        return ANSWER


def test_a_users_engine_that_cannot_stream() -> None:
    """It answers in one delta; with `strict=True` it is an error."""
    engine = StreamingChatEngine(OnlyWhole(answering()))
    assert list(engine.stream_chat(QUESTION).response_gen) == [ANSWER]
    assert said(engine.chat_history) == TURN
    with pytest.raises(NotImplementedError):
        StreamingChatEngine(OnlyWhole(answering()), strict=True).stream_chat(QUESTION)
