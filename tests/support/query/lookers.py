"""Engines that find their LLM only while they work, and what is seen of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from llama_index.core import Settings
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.query_engine import CustomQueryEngine

from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.events import Event, LLMCallDelta, LLMCallFinished, LLMCallStarted
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text

_E = TypeVar("_E", bound=Event)

TOKENS = ("It", " is", " so.")


def saying(*parts: Any) -> FakeStreamingLLM:
    """An LLM that always says the same."""
    return FakeStreamingLLM([Turn(*(parts or (text(*TOKENS),)))], repeat_last=True)


def default_llm() -> Any:
    """What core looks up."""
    return Settings.llm


class Looking(CustomQueryEngine):
    """A user's engine without an LLM.

    Attributes:
        look: finds one, at every question.
        way: the method of it that is asked.
    """

    look: Callable[[], Any] = default_llm
    way: str = "complete"

    def custom_query(self, query_str: str) -> str:
        """Ask the LLM that is found."""
        asked = getattr(self.look(), self.way)(_prompt(self.way, query_str))
        return _text(list(asked)[-1] if "stream" in self.way else asked)

    async def acustom_query(self, query_str: str) -> str:
        """Ask the LLM that is found."""
        asked = await getattr(self.look(), f"a{self.way}")(_prompt(self.way, query_str))
        return _text([chunk async for chunk in asked][-1] if "stream" in self.way else asked)


def _prompt(way: str, question: str) -> Any:
    return [ChatMessage(question)] if "chat" in way else question


def _text(answer: Any) -> str:
    return answer.message.content if hasattr(answer, "message") else answer.text


class Seen(NamedTuple):
    """What is seen of a question."""

    text: str
    events: list[Event]

    def of(self, kind: type[_E]) -> list[_E]:
        """The events of a class."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def calls(self) -> list[tuple[str | None, str | None]]:
        """The purpose of each call, and why it ended."""
        ends = {event.call_id: event.finish_reason for event in self.of(LLMCallFinished)}
        return [(event.purpose, ends.get(event.call_id)) for event in self.of(LLMCallStarted)]

    @property
    def shown(self) -> str:
        """What the inner calls say, all in one."""
        return "".join(event.delta for event in self.of(LLMCallDelta))


def ask(engine: Any, *, is_async: bool = False, show: Any = "answer") -> Seen:
    """Ask an engine, by our adapter."""
    adapter = StreamingQueryEngine(engine, show=show)
    if is_async:
        return asyncio.run(aask(adapter))
    response = adapter.query("why")
    return Seen("".join(response.read()), list(response.events()))


async def aask(adapter: StreamingQueryEngine) -> Seen:
    """Ask an adapter in this loop."""
    response = await adapter.aquery("why")
    said = "".join([delta async for delta in response.read()])
    return Seen(said, [event async for event in response.events()])
