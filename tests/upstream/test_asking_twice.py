"""What core tells, or keeps, of one thing that is done by way of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import llama_index_instrumentation as instrumentation
import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from pydantic import BaseModel

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, fail, text, tool_call
from tests.support.query.listed_store import extracting_facts


class Fact(BaseModel):
    """A structured answer."""

    answer: str


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The names of the events that core's dispatcher tells."""
    names: list[str] = []

    class Names(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            names.append(event.class_name())

    root: Any = instrumentation.get_dispatcher()
    before = list(root.event_handlers)
    root.add_event_handler(Names())
    yield names
    root.event_handlers = before


def test_a_structured_llm_tells_of_the_llm_in_it_too(told: list[str]) -> None:
    """Two chats begin, though a provider is asked once."""
    llm = FakeStreamingLLM([Turn(tool_call("Fact", {"answer": "so"}))])
    llm.as_structured_llm(Fact).chat([ChatMessage("why")])
    assert (told.count("LLMChatStartEvent"), len(llm.calls)) == (2, 1)


async def test_a_memory_has_the_message_that_it_fails_to_put() -> None:
    """It is stored before the oldest ones are taken out, for which an LLM is asked."""
    failing = FakeStreamingLLM([Turn(text("It"), fail(ConnectionError("gone")))])
    memory = extracting_facts(failing, [ChatMessage("Where is it?")], limit=3)
    with pytest.raises(ConnectionError):
        await memory.aput(ChatMessage("two words more"))
    assert [message.content for message in await memory.aget_all()][-1:] == ["two words more"]
