"""A city as a structured answer of agents."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import BaseModel

from llama_index_streaming_ext import (
    AgentStreamStructuredOutput,
    StreamingHandler,
)
from llama_index_streaming_ext.testing import (
    Turn,
    text,
    tool_call,
)


class City(BaseModel):
    """What is asked for."""

    name: str
    sights: list[str] = []
    people: int = 0


PARIS = {"name": "Paris", "sights": ["Tower", "Louvre"], "people": 2_000_000}

PIECES = [json.dumps(PARIS)[at : at + 6] for at in range(0, len(json.dumps(PARIS)), 6)]

GROWTH = [
    {"name": "Pa"},
    {"name": "Paris"},
    {"name": "Paris", "sights": [""]},
    {"name": "Paris", "sights": ["Tower"]},
    {"name": "Paris", "sights": ["Tower", "Lou"]},
    PARIS,
]

ANSWER = Turn(text("It is", " Paris."))

AS_TEXT = Turn(text(*PIECES))

AS_TOOL = Turn(tool_call("City", fragments=PIECES))


async def seen_by(handler: StreamingHandler) -> list[Any]:
    """The events of a run; a hang fails the test."""
    async with asyncio.timeout(120):
        return [event async for event in handler.stream_events()]


def objects(events: list[Any]) -> list[Any]:
    """The objects in a stream."""
    return [event.output for event in events if isinstance(event, AgentStreamStructuredOutput)]
