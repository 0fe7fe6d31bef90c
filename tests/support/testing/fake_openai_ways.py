"""The ways to reach a FakeOpenAI, and the real classes that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.testing import FakeOpenAI
from llama_index_streaming_ext.testing.fake_openai import Served

ASK = [ChatMessage(role="user", content="Hi")]

Way = Callable[[FakeOpenAI], Served]
Model = Callable[[FakeOpenAI], FunctionCallingLLM]


def serve(fake: FakeOpenAI) -> Served:
    """Over a real socket."""
    return fake.serve()


def mock(fake: FakeOpenAI) -> Served:
    """In process."""
    return fake.mock()


def chat_model(fake: FakeOpenAI) -> FunctionCallingLLM:
    """The class for Chat Completions."""
    return fake.llm()


def responses_model(fake: FakeOpenAI) -> FunctionCallingLLM:
    """The class for the Responses API."""
    return fake.responses_llm()


both_ways = pytest.mark.parametrize("way", [serve, mock])
both_models = pytest.mark.parametrize("model", [chat_model, responses_model])


def deltas(llm: FunctionCallingLLM) -> list[str]:
    """The deltas of one stream."""
    return [chunk.delta or "" for chunk in llm.stream_chat(ASK)]


async def adeltas(llm: FunctionCallingLLM) -> list[str]:
    """The deltas of one async stream."""
    return [chunk.delta or "" async for chunk in await llm.astream_chat(ASK)]


def first_text(stream: Iterator[ChatResponse]) -> str:
    """The first delta that is not empty."""
    return next(chunk.delta for chunk in stream if chunk.delta)
