"""The LLM of the demo: LlamaIndex's `OpenAI`, pointed at a fake provider or at the real one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from llama_index_streaming_ext.testing.fake_openai import FakeOpenAI
from llama_index_streaming_ext.testing.script.turns import Turn, text, tool_call, wait, words

if TYPE_CHECKING:
    from llama_index.llms.openai import OpenAI

    from llama_index_streaming_ext.testing.script.parts import Part

# Without it, OpenAI's streams do not say how many tokens they cost.
_WITH_USAGE = {"stream_options": {"include_usage": True}}
# Seconds: before the first token of an answer, between tokens, and that the tool takes.
_THINKING, _TOKEN, TOOL_SECONDS = 0.5, 0.05, 2.0

_MOBY_DICK = (
    "Call me Ishmael. Some years ago - never mind how long precisely - having little or no money "
    "in my purse, and nothing particular to interest me on shore, I thought I would sail about a "
    "little and see the watery part of the world. It is a way I have of driving off the spleen, "
    "and regulating the circulation.\nThere now is your insular city of the Manhattoes, belted "
    "round by wharves as Indian isles by coral reefs - commerce surrounds it with her surf."
)
_PLAN = "I will look up the weather."
_WEATHER = (
    "The current weather in San Francisco is partly cloudy with a temperature of 13.9°C (57.0°F). "
    "A light jacket will do; take sunglasses for the hours between the clouds."
)


def _script(pace: float) -> list[Turn]:
    """Return the answers to the calls of the demo, in their order."""
    return [
        Turn(*_paced(_MOBY_DICK, pace)),
        Turn(*_paced(_PLAN, pace), tool_call("weather", city="San Francisco")),
        Turn(*_paced(_WEATHER, pace)),
    ]


def _paced(answer: str, pace: float) -> list[Part]:
    parts: list[Part] = [wait(pace * _THINKING)]
    for word in words(answer):
        parts += [text(word), wait(pace * _TOKEN)]
    return parts


@asynccontextmanager
async def fake_llm(pace: float) -> AsyncGenerator[OpenAI]:
    """Serve a fake provider, and give the LLM that calls it.

    Args:
        pace: how slow it is; 1.0 is for people to watch, 0.0 does not wait.
    """
    fake = FakeOpenAI(_script(pace))
    # trust_env: a proxy that the environment names must not get to see calls to this machine.
    async with httpx.AsyncClient(trust_env=False) as client:
        with fake.serve():
            yield fake.llm(async_http_client=client, additional_kwargs=_WITH_USAGE)


@asynccontextmanager
async def live_llm() -> AsyncGenerator[OpenAI]:
    """Give the LLM that calls the provider of the environment."""
    from llama_index.llms.openai import OpenAI

    async with httpx.AsyncClient() as client:
        yield OpenAI("gpt-4o-mini", async_http_client=client, additional_kwargs=_WITH_USAGE)
