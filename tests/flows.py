"""Small workflows that the tests run, and how they are gathered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
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


async def gathered(events: AsyncIterator[T]) -> list[T]:
    """All of a stream; a stream that hangs fails the test."""
    async with asyncio.timeout(10):
        return [event async for event in events]


async def records(handler: StreamingHandler, after: int = 0) -> list[Record]:
    """All records of a run."""
    return await gathered(handler.stream.read(after=after))


def notes(events: list[Any]) -> list[str]:
    """The texts of the notes among events."""
    return [event.msg for event in events if isinstance(event, Note)]
