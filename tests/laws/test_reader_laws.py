"""Readers at random: many, slow, cancelled, on other threads; and runs that share an agent."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future

from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext import (
    Context,
    Event,
    EventStream,
    FunctionAgent,
    Outcome,
    StartEvent,
    StopEvent,
    StreamingHandler,
    Workflow,
    step,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Request, Turn, gate, text, tool_call
from tests.support.laws.laws import PATIENCE, check_responses, everything, examples, turns


class Note(Event):
    """A numbered event."""

    n: int


class Notes(Workflow):
    """Writes notes, a turn of the loop apart."""

    count: int = 100

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Write them."""
        for n in range(self.count):
            ctx.write_event_to_stream(Note(n=n))
            await asyncio.sleep(0)
        return StopEvent(result="done")


def weather(city: str) -> str:
    """Say something about a city."""
    return f"sunny in {city}"


async def seqs(stream: EventStream, after: int = 0, slow: int = 0) -> list[int]:
    """The seqs that a reader of everything gets."""
    found: list[int] = []
    async with asyncio.timeout(PATIENCE):
        async for record in stream.read(after=after, internal=True):
            found.append(record.seq)
            await turns(slow)
    return found


async def test_a_thousand_readers() -> None:
    """1,000 readers that start at random seqs, one of them very slow, each get all the rest."""
    chance = random.Random(7)
    handler = Notes().run()
    starts = [chance.randrange(120) for _ in range(1000)]
    readers = [asyncio.create_task(seqs(handler.stream, after)) for after in starts]
    slow = asyncio.create_task(seqs(handler.stream, slow=50))
    await handler
    last = handler.stream.last_seq
    assert [await reader for reader in readers] == [
        list(range(after + 1, last + 1)) for after in starts
    ]
    assert not slow.done()
    assert await slow == list(range(1, last + 1))


async def test_a_slow_reader_does_not_hold_up_the_run() -> None:
    """A reader that never asks for more costs the run nothing."""
    handler = Notes().run()
    stuck = handler.stream.read()
    await anext(stuck)
    async with asyncio.timeout(PATIENCE):
        assert await handler == "done"
    await stuck.aclose()


def elsewhere(stream: EventStream) -> Future[list[int]]:
    """A reader on another thread's loop."""
    found: Future[list[int]] = Future()

    def read() -> None:
        try:
            found.set_result(asyncio.run(seqs(stream)))
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=read, daemon=True).start()
    return found


async def test_live_readers_on_other_threads() -> None:
    """Readers on other threads' loops follow a run as it goes (U8)."""
    llm = FakeStreamingLLM([Turn(text("so", " far"), gate("go on"), text("!"))])
    handler = FunctionAgent(llm=llm).run(user_msg="?")
    live: Future[None] = Future()

    async def follow() -> None:
        async with asyncio.timeout(PATIENCE):
            async for delta in handler.text_stream():
                if delta == " far":
                    live.set_result(None)

    threading.Thread(target=lambda: asyncio.run(follow()), daemon=True).start()
    readers = [elsewhere(handler.stream) for _ in range(4)]
    async with asyncio.timeout(PATIENCE):
        await asyncio.wrap_future(live)
        llm.open("go on")
        outcome = await handler.outcome()
        found = [await asyncio.wrap_future(reader) for reader in readers]
    assert outcome.text == "so far!"
    assert found == [list(range(1, handler.stream.last_seq + 1))] * 4


async def test_late_readers_on_other_threads() -> None:
    """A reader on another thread's loop gets an ended run from the start."""
    handler = Notes().run()
    await handler
    async with asyncio.timeout(PATIENCE):
        found = await asyncio.wrap_future(elsewhere(handler.stream))
    assert found == list(range(1, handler.stream.last_seq + 1))


def test_a_reader_of_a_run_whose_loop_is_gone() -> None:
    """A run that has ended can be read when its loop is closed."""

    async def run() -> StreamingHandler:
        handler = Notes().run()
        await handler
        return handler

    handler = asyncio.run(run())
    assert asyncio.run(seqs(handler.stream)) == list(range(1, handler.stream.last_seq + 1))


async def test_one_agent_and_one_llm_shared_by_many_runs() -> None:
    """Runs at once of one agent with one LLM do not mix, and each keeps all laws."""
    turns_of_all = [
        turn
        for n in range(20)
        for turn in (
            Turn(text(f"let me {n}"), tool_call("weather", city=f"<{n}>"), when=_first(n)),
            Turn(text(*f"it is sunny in <{n}>".split(" ")), when=_second(n)),
        )
    ]
    agent = FunctionAgent(llm=FakeStreamingLLM(turns_of_all), tools=[weather])
    handlers = [agent.run(user_msg=f"ask <{n}>") for n in range(20)]

    async def read(handler: StreamingHandler) -> Outcome:
        records = await everything(handler.stream)
        assert [record.seq for record in records] == list(range(1, len(records) + 1))
        assert [record.terminal for record in records].index(True) == len(records) - 1
        check_responses(records)
        return await handler.outcome()

    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*map(read, handlers))
    assert [outcome.status for outcome in outcomes] == ["completed"] * 20
    assert [outcome.text for outcome in outcomes] == [
        f"let me {n}itissunnyin<{n}>" for n in range(20)
    ]


def _first(n: int) -> Callable[[Request], bool]:
    return lambda request: f"ask <{n}>" in request.text and "sunny" not in request.text


def _second(n: int) -> str:
    return f"sunny in <{n}>"


async def drained(records: AsyncGenerator[object, None]) -> None:
    """Read to the end."""
    async for _ in records:
        pass


async def check_cancelled_readers(first: int) -> None:
    """Cancel readers of every kind after so many turns, then one turn later, and so on."""
    llm = FakeStreamingLLM([Turn(tool_call("weather", city="Rome")), Turn(text(*"sunny"))])
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="?")
    await turns(first)
    for patience in range(12):
        readers: list[asyncio.Task[object]] = [
            asyncio.create_task(handler.outcome()),
            asyncio.create_task(drained(handler.stream_events())),
            asyncio.create_task(drained(handler.text_stream())),
            asyncio.create_task(drained(handler.stream.read())),
        ]
        await turns(patience)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
    async with asyncio.timeout(PATIENCE):
        found = await handler.outcome()
    assert (found.status, found.text) == ("completed", "sunny")


@examples(10)
@given(st.integers(0, 40))
def test_a_reader_cancelled_anywhere(first: int) -> None:
    """A reader that is cancelled, at whatever point it waits, never harms the run."""
    asyncio.run(check_cancelled_readers(first))
