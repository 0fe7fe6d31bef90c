"""Events and spans by which core's dispatcher tells of LLM calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import llama_index_instrumentation as instrumentation
import pytest
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index_instrumentation.span_handlers.base import BaseSpanHandler

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, fail, text


class Told:
    """What core's dispatcher tells.

    Attributes:
        events: the names of the events of LLM calls, with their spans.
        spans: whose method each span is, by its id.
        dropped: the errors that spans ended with, by their ids.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.spans: dict[str, Any] = {}
        self.dropped: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """The names of the events."""
        return [name for name, _ in self.events]


@pytest.fixture
def told() -> Iterator[Told]:
    """What core's dispatcher tells during a test."""
    found = Told()

    class Events(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            if event.class_name().startswith(("LLM", "Exception")):
                found.events.append((event.class_name(), event.span_id))

    class Spans(BaseSpanHandler[Any]):
        def span_enter(
            self, id_: str, bound_args: Any, instance: Any = None, *args: Any, **kwargs: Any
        ) -> None:
            found.spans[id_] = instance

        def span_drop(
            self,
            id_: str,
            bound_args: Any,
            instance: Any = None,
            err: BaseException | None = None,
            **kwargs: Any,
        ) -> None:
            found.dropped[id_] = err

        def new_span(self, *args: Any, **kwargs: Any) -> None: ...

        def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None: ...

        def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None: ...

    root: Any = instrumentation.get_dispatcher()
    before = list(root.event_handlers), list(root.span_handlers)
    root.add_event_handler(Events())
    root.add_span_handler(Spans())
    yield found
    root.event_handlers, root.span_handlers = before


def test_events_of_a_call_have_the_span_of_the_method(told: Told) -> None:
    """By which it is found whose method it is; the id begins with the names of both."""
    llm = MockLLM(max_tokens=1)
    llm.complete("why")
    (span,) = {span for _, span in told.events}
    assert told.spans[span] is llm
    assert span.startswith("MockLLM.complete-")


def test_a_stream_tells_of_its_end_when_it_is_read(told: Told) -> None:
    """A start at once, and then an event for each chunk."""
    chunks = MockLLM(max_tokens=1).stream_complete("why")
    assert told.names == ["LLMCompletionStartEvent"]
    count = len(list(chunks))
    assert told.names[1:] == ["LLMCompletionInProgressEvent"] * count + ["LLMCompletionEndEvent"]


def test_a_call_that_fails_is_told_by_its_span_only(told: Told) -> None:
    """There is no event of its end."""
    llm = FakeStreamingLLM([Turn(fail(OSError("gone")))])
    with contextlib.suppress(OSError):
        llm.complete("why")
    assert told.names == ["LLMCompletionStartEvent"]
    assert isinstance(told.dropped[told.events[0][1]], OSError)


def test_a_stream_that_fails_or_is_left_is_told_by_an_exception(told: Told) -> None:
    """Its span has ended long before."""
    failing = FakeStreamingLLM([Turn(text("It"), fail(OSError("gone")))])
    with contextlib.suppress(OSError):
        list(failing.stream_complete("why"))
    left = MockLLM(max_tokens=3).stream_complete("why")
    next(left)
    left.close()  # pyright: ignore[reportAttributeAccessIssue] # it is a generator
    spans = [span for name, span in told.events if name == "ExceptionEvent"]
    assert spans == [span for name, span in told.events if name == "LLMCompletionStartEvent"]


def test_an_async_custom_llm_asks_itself_late(told: Told) -> None:
    """Its sync stream begins at the first chunk, when its span has ended: two starts."""

    async def ask() -> None:
        chunks = await MockLLM(max_tokens=1).astream_complete("why")
        assert told.names == ["LLMCompletionStartEvent"]
        await anext(chunks)  # pyright: ignore[reportArgumentType] # it is a generator

    asyncio.run(ask())
    starts = [span for name, span in told.events if name == "LLMCompletionStartEvent"]
    methods = [span.partition("-")[0] for span in starts]
    assert methods == ["MockLLM.astream_complete", "MockLLM.stream_complete"]
