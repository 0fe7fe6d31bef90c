"""Structured answers of the real OpenAI classes."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any, cast

import pytest

from llama_index_streaming_ext import (
    PartialObject,
)
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    text,
    tool_call,
)
from tests.support.query.structured_answers import (
    PIECES,
    ROCK,
    Height,
    aasked,
    asked,
    engine,
    of,
)


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_the_real_classes_are_shown(api: str, is_async: bool) -> None:
    """OpenAI's classes show the object, over HTTP, though one of them asks past its chat."""
    fake = FakeOpenAI(
        lambda asked: Turn(tool_call("Height", ROCK) if asked.tools else text(*PIECES))
    )
    with fake.serve():
        given = engine(fake.llm() if api == "chat" else fake.responses_llm())
        response = await aasked(given) if is_async else asked(given)
        await response.outcome() if isinstance(response, AsyncLiveResponse) else str(response)
    assert response.object == Height(**cast("Any", ROCK))
    assert of(PartialObject, response)[-1].output == ROCK
