"""Small workflows, and the few ways in which the canaries read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

HANG = 0.2
"""Seconds after which a wait counts as a hang; a slow machine only makes it surer."""

PATIENCE = 120.0
"""Seconds that a wait which must end may take."""


class Note(Event):
    """An event that a step writes to the stream."""

    n: int


class Notes(Workflow):
    """Writes three notes and ends with `done`."""

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Write, without a pause."""
        for n in range(3):
            ctx.write_event_to_stream(Note(n=n))
        return StopEvent(result="done")


class Source:
    """A stand-in for a streaming LLM: 100 chunks, with a pause at the gate after the first five."""

    def __init__(self) -> None:
        self.pulled = 0
        self.speaking = asyncio.Event()
        self.gate = asyncio.Event()
        self.closed = asyncio.Event()
        self.task: asyncio.Task[Any] | None = None

    async def chunks(self) -> AsyncIterator[int]:
        """Count what is pulled, and say when the last of it is."""
        self.task = asyncio.current_task()
        try:
            for n in range(100):
                if n == 5:
                    self.speaking.set()
                    await self.gate.wait()
                self.pulled += 1
                yield n
                await asyncio.sleep(0)
        finally:
            self.closed.set()


class Talk(Workflow):
    """Streams a source as notes, as an agent's step streams its LLM."""

    def __init__(self, source: Source, timeout: float | None = None) -> None:
        super().__init__(timeout=timeout)
        self.source = source

    @step
    async def talk(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Write a note for every chunk."""
        async for n in self.source.chunks():
            ctx.write_event_to_stream(Note(n=n))
        return StopEvent(result="done")


async def read(events: AsyncIterator[Event]) -> list[Event]:
    """Everything that a stream still has."""
    async with asyncio.timeout(PATIENCE):
        return [event async for event in events]


async def soon(awaitable: Awaitable[Any]) -> Any:
    """The result of a wait that must end."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def hangs(awaitable: Awaitable[object]) -> bool:
    """Whether a wait is still waiting when the patience for a hang has run out."""
    try:
        await asyncio.wait_for(awaitable, HANG)
    except TimeoutError:
        return True
    return False


async def turns(count: int = 20) -> None:
    """Let the loop go round, so that whatever is ready has run."""
    for _ in range(count):
        await asyncio.sleep(0)


def names(events: list[Event]) -> list[str]:
    """The type names, with one entry for a run of equal ones."""
    found: list[str] = []
    for event in events:
        name = type(event).__name__
        if not found or found[-1] != name or name != "AgentStream":
            found.append(name)
    return found


def numbers(events: list[Event]) -> list[int]:
    """The numbers of the notes among the events."""
    return [event.n for event in events if isinstance(event, Note)]
