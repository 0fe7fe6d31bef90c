"""A query whose answer a test writes, token by token, from any thread."""

from __future__ import annotations

import threading
from typing import Any

from llama_index.core.schema import NodeWithScore, TextNode

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.events.query import (
    QueryFailed,
    QueryFinished,
    QueryStarted,
    QueryStopped,
)
from llama_index_streaming_ext.stream.deltas import AnswerText
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.record import Ending

PATIENCE = 120.0


def source(text: str = "A fact.", node_id: str = "n1") -> NodeWithScore:
    """A source."""
    return NodeWithScore(node=TextNode(text=text, id_=node_id), score=0.5)


class ScriptedRun:
    """A query over a real log. Nothing holds it up: it is written when the test writes it."""

    make_stream = EventStream

    def __init__(self, *tokens: str) -> None:
        self.stream = self.make_stream("query-1")
        self.sources = [source()]
        self.metadata: dict[str, Any] | None = {"n1": {"page": 1}}
        self.object: Any = None
        self.error: BaseException | None = None
        self.abandoned = threading.Event()
        self.stops = 0
        self.answer = AnswerText("query-1")
        self.stream.append(QueryStarted(call_id="query-1", query="Why?"))
        self.say(*tokens)

    def say(self, *tokens: str) -> None:
        """Write the next tokens."""
        for token in tokens:
            self.stream.append_delta(self.answer, token)

    def finish(self) -> None:
        """That was all."""
        event = QueryFinished(call_id="query-1", text=self.text, sources=self.sources)
        self.stream.close(event, Ending("completed", self.text))

    def fail(self, error: Exception) -> None:
        """It fails."""
        event = QueryFailed(call_id="query-1", error=str(error), kind=type(error).__name__)
        self._end(error, event, "failed")

    def stop(self) -> None:
        """It is stopped."""
        self.stops += 1
        if not self.done:
            self._end(StreamStopped(self.text), QueryStopped(call_id="query-1"), "cancelled")

    def _end(self, error: BaseException, event: Event, status: Any) -> None:
        self.error = error
        self.stream.close(event, Ending(status, error=error))

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.answer.deltas)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.stream.closed

    async def wait(self) -> None:
        """Wait for the end."""
        await self.stream.ended()

    def wait_sync(self) -> None:
        """Wait for the end."""
        self.stream.ended_sync()

    async def stopped(self) -> None:
        """It ends as soon as it is stopped."""
        await self.stream.ended()

    def stopped_sync(self, timeout: float = PATIENCE) -> None:
        """It ends as soon as it is stopped."""
        self.stream.ended_sync()

    def abandon(self) -> None:
        """Nobody holds the response any more."""
        self.abandoned.set()
        self.stop()


def finished_run(*tokens: str) -> ScriptedRun:
    """A query that has been answered."""
    run = ScriptedRun(*tokens)
    run.finish()
    return run


def failed_run(*tokens: str, error: Exception | None = None) -> ScriptedRun:
    """A query that has failed."""
    run = ScriptedRun(*tokens)
    run.fail(error or ValueError("broken"))
    return run
