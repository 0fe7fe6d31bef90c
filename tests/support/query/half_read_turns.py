"""Turns of a chat of which two tokens are read."""

from __future__ import annotations

from typing import Any

from llama_index_streaming_ext.testing import (
    text,
)
from tests.support.query.chat_engines import (
    QUESTION,
    TOKENS,
)

SO_FAR = [("user", QUESTION), ("assistant", "It is")]

SAID = text(*TOKENS[:2])


def read_two(response: Any) -> None:
    """Read as much as the LLM says."""
    tokens = response.response_gen
    assert [next(tokens), next(tokens)] == ["It", " is"]


async def aread_two(response: Any) -> None:
    """Read as much as the LLM says."""
    tokens = response.response_gen
    assert [await anext(tokens), await anext(tokens)] == ["It", " is"]
