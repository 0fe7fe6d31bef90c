"""Small workflows that the tests run, and how they are gathered."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

from llama_index_streaming_ext import (
    Context,
    Event,
    Record,
    StartEvent,
    StopEvent,
    StreamingHandler,
    Workflow,
    step,
)

T = TypeVar("T")


class Note(Event):
    """An event with a text."""

    msg: str


class Notes(Workflow):
    """Writes `count` notes, a turn of the loop apart, then waits for `gate` if there is one."""

    def __init__(self, count: int = 3, gate: asyncio.Event | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count
        self.gate = gate

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        for number in range(self.count):
            ctx.write_event_to_stream(Note(msg=str(number)))
            await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        return StopEvent(result="done")


class Raises(Workflow):
    """Writes a note, then raises."""

    def __init__(self, error: BaseException, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    @step
    async def fail(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        ctx.write_event_to_stream(Note(msg="before"))
        raise self.error


class Custom(StopEvent):
    """A stop event with a field."""

    answer: int


class Counter:
    """A stream that counts what is pulled from it, and knows when it was closed."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed = False

    async def chunks(self) -> AsyncGenerator[int, None]:
        """Chunks without end, a turn of the loop apart."""
        try:
            while True:
                self.pulled += 1
                yield self.pulled
                await asyncio.sleep(0)
        finally:
            self.closed = True


class Endless(Workflow):
    """Streams what a counter gives, for ever."""

    def __init__(self, counter: Counter, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.counter = counter

    @step
    async def pull(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        async for number in self.counter.chunks():
            ctx.write_event_to_stream(Note(msg=str(number)))
        return StopEvent()


async def gathered(events: AsyncIterator[T]) -> list[T]:
    """All of a stream; a stream that hangs fails the test."""
    async with asyncio.timeout(120):
        return [event async for event in events]


async def records(handler: StreamingHandler, after: int = 0) -> list[Record]:
    """All records of a run."""
    return await gathered(handler.stream.read(after=after))


def notes(events: list[Any]) -> list[str]:
    """The texts of the notes among events."""
    return [event.msg for event in events if isinstance(event, Note)]


async def after_notes(handler: StreamingHandler, count: int) -> None:
    """Return when a run has written some notes."""
    seen = 0
    async for _ in handler.stream.read(types=Note):
        seen += 1
        if seen == count:
            return


def check_ending(read: list[Record]) -> None:
    """L1 and L2: no gaps, one terminal record, the last one."""
    assert [record.seq for record in read] == sorted({record.seq for record in read})
    assert [record.terminal for record in read] == [False] * (len(read) - 1) + [True]


async def result_of(handler: StreamingHandler) -> Any:
    """What `await handler` gives, or raises."""
    result: Any = await handler
    return result
