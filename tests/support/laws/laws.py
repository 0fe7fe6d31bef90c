"""The laws of a stream, and readers at random that they are checked with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from llama_index_streaming_ext import (
    AgentInput,
    AgentStream,
    Event,
    EventStream,
    Outcome,
    Record,
    StreamingHandler,
)
from llama_index_streaming_ext.events import InternalDispatchEvent

PATIENCE = 120.0
"""Seconds after which a run or a reader counts as one that hangs."""


def examples(count: int) -> settings:
    """So many examples, each of which may take its time on a slow machine."""
    return settings(max_examples=count, deadline=None)


async def turns(count: int) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


def content(record: Record) -> tuple[Any, ...]:
    """What every reader sees of a record: `raw` may be added when its LLM call is over."""
    event = record.event
    if isinstance(event, AgentStream):
        event = event.model_copy(update={"raw": None})
    return record.seq, record.ts, record.terminal, type(event), event


def check_seqs(records: Sequence[Record]) -> None:
    """L1: seqs are 1..n without gaps, and time never goes back."""
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    times = [record.ts for record in records]
    assert times == sorted(times)


def check_terminal(records: Sequence[Record]) -> None:
    """L2: there is one terminal record, and it is the last."""
    assert [record.terminal for record in records] == [False] * (len(records) - 1) + [True]


def check_responses(records: Sequence[Record]) -> None:
    """L3: in each LLM call of an agent, response grows by exactly delta."""
    said = ""
    for record in records:
        event = record.event
        if isinstance(event, AgentInput):
            said = ""
        elif isinstance(event, AgentStream):
            said += event.delta
            assert event.response == said


def check_text(records: Sequence[Record], outcome: Outcome) -> None:
    """L7: the outcome's text is what a reader of the deltas of this very run has seen."""
    deltas = [
        record.event.delta
        for record in records
        if isinstance(record.event, AgentStream) and record.origin.run_id is None
    ]
    assert outcome.text == "".join(deltas)


@dataclass
class Reader:
    """A reader at random.

    Attributes:
        start: the turn of the loop in which it starts.
        after: where it starts.
        pauses: after so many records each it stops, and another goes on behind the last record.
        slow: turns of the loop that it takes for each record.
        cancelled: turns after which its task is cancelled, each time; then it goes on likewise.
        found: the records that it got.
    """

    start: int
    after: int
    pauses: list[int]
    slow: int
    cancelled: list[int]
    found: list[Record] = field(default_factory=list[Record])

    async def read(self, stream: EventStream) -> None:
        """Read to the end, with all interruptions."""
        await turns(self.start)
        for patience in self.cancelled:
            reading = asyncio.create_task(self._read_on(stream, None))
            await turns(patience)
            reading.cancel()
            await asyncio.wait([reading])
        for pause in self.pauses:
            await self._read_on(stream, pause)
        await self._read_on(stream, None)

    async def _read_on(self, stream: EventStream, count: int | None) -> None:
        after = self.found[-1].seq if self.found else self.after
        async with aclosing(stream.read(after=after)) as records:
            async for record in records:
                self.found.append(record)
                await turns(self.slow)
                if count is not None:
                    count -= 1
                    if count <= 0:
                        break

    def check(self, records: Sequence[Record]) -> None:
        """L6: it has seen what is in the log."""
        wanted = [
            content(record)
            for record in records
            if record.seq > self.after and not isinstance(record.event, InternalDispatchEvent)
        ]
        assert [content(record) for record in self.found] == wanted


def numbers(digits: str, max_size: int) -> st.SearchStrategy[list[int]]:
    """Lists of small numbers, drawn as one text: that is quicker than drawing each."""
    return st.text(digits, max_size=max_size).map(lambda drawn: [int(digit) for digit in drawn])


READERS = st.lists(
    st.builds(
        Reader,
        start=st.integers(0, 60),
        after=st.just(0) | st.integers(0, 8),
        pauses=numbers("123456789", 3),
        slow=st.sampled_from([0, 0, 1, 5]),
        cancelled=numbers("0123456789", 2).map(lambda drawn: [4 * n for n in drawn]),
    ),
    max_size=4,
)


@dataclass
class PlainReader:
    """A reader that knows only `stream_events()`, breaks it off, and comes back.

    Attributes:
        pauses: after so many events each it breaks off.
        found: the events that it got, each time.
    """

    pauses: list[int]
    found: list[list[Event]] = field(default_factory=list[list[Event]])

    async def read(self, handler: StreamingHandler) -> None:
        """Read to the end, with all interruptions."""
        for pause in [*self.pauses, None]:
            found: list[Event] = []
            self.found.append(found)
            async with aclosing(handler.stream_events()) as events:
                async for event in events:
                    found.append(event)
                    if len(found) == pause:
                        break

    def check(self, records: Sequence[Record]) -> None:
        """It went on where it broke off, and after the end it got everything again."""
        wanted = [content(r)[-1] for r in records if not isinstance(r.event, InternalDispatchEvent)]
        at, over = 0, False
        for found in self.found:
            seen = [
                event.model_copy(update={"raw": None}) if isinstance(event, AgentStream) else event
                for event in found
            ]
            assert seen == wanted[at : at + len(seen)]
            at = at + len(seen) if 0 < at + len(seen) < len(wanted) and not over else 0
            over = over or at == 0
        assert over


PLAIN_READERS = st.builds(PlainReader, pauses=numbers("123456789", 3))


async def everything(stream: EventStream) -> list[Record]:
    """All records of a run, to its end."""
    return [record async for record in stream.read(internal=True)]


async def check_run(
    handler: StreamingHandler, readers: Sequence[Reader], plain: PlainReader | None
) -> tuple[list[Record], Outcome]:
    """Read a run to its end in every way there is, and check the laws that hold for all runs.

    The readers are started now; whoever is to stop the run does it in a task of its own.

    Returns:
        What is in the log, and the outcome.
    """
    stream = handler.stream
    reading = [asyncio.create_task(reader.read(stream)) for reader in readers]
    if plain is not None:
        reading.append(asyncio.create_task(plain.read(handler)))
    texts = asyncio.create_task(_joined(handler.text_stream()))
    async with asyncio.timeout(PATIENCE):
        outcome = await handler.outcome()
        await asyncio.gather(*reading)
        records = await everything(stream)
        live_text = await texts
    check_seqs(records)
    check_terminal(records)
    check_text(records, outcome)
    assert live_text == outcome.text
    for reader in [*readers, *([plain] if plain is not None else [])]:
        reader.check(records)
    assert outcome.ended == records[-1].ts
    assert stream.snapshot().text == outcome.text
    return records, outcome


async def _joined(texts: AsyncGenerator[str, None]) -> str:
    return "".join([text async for text in texts])
