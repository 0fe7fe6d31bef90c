"""L8 holds for queries and chats, sync and async, wherever and however they are stopped."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext import Outcome, Record
from llama_index_streaming_ext.events import AnswerDelta
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, fail, text, thinking
from llama_index_streaming_ext.testing.script.parts import Part
from tests.support.laws.laws import PATIENCE, everything, examples
from tests.support.laws.stopped import (
    PIECES,
    Ledger,
    check_log,
    check_over,
    no_thread_left,
    run_alone,
    same,
)
from tests.support.laws.stopped_queries import KINDS, WAYS, Answers, Held, started


def _answer(thought: list[str], said: list[str], end: tuple[Part, ...]) -> Turn:
    return Turn(thinking(*thought), text(*said, *["word "] * 20), *end)


ENDS: list[tuple[Part, ...]] = [(), (), (fail("The provider broke."),)]
ANSWERS = st.builds(_answer, PIECES, PIECES, st.sampled_from(ENDS))
OPTIONS = st.fixed_dictionaries(
    {"max_lead": st.sampled_from([1, 3, 64]), "show": st.sampled_from(["answer", "calls"])}
)
AT = st.integers(0, 40)
"""After so many records it is stopped."""


def check_lead(records: list[Record], read: int, max_lead: int) -> None:
    """The answer is no more than its lead ahead of the only one who has read."""
    ahead = [record for record in records[read:] if isinstance(record.event, AnswerDelta)]
    assert len(ahead) <= max_lead + 1


def check_end(outcome: Outcome, ended: bool, llm: FakeStreamingLLM) -> None:
    """It was cancelled, or has ended by itself, and then no call was broken off."""
    if not ended and outcome.status != "cancelled":
        ends = {call.closed_by for call in llm.calls}
        assert not ends & {"GeneratorExit", "CancelledError"}


# In threads


def read_sync(run: Any, count: int) -> list[Record]:
    """Read so many records, or to the end."""
    found: list[Record] = []
    with closing(run.stream.read_sync(internal=True)) as records:
        while len(found) < count and (record := next(records, None)) is not None:
            found.append(record)
    return found


@pytest.mark.parametrize("stop", WAYS, ids=lambda stop: stop.__name__)
@examples(10)
@given(kind=st.sampled_from(KINDS), answer=ANSWERS, options=OPTIONS, at=AT)
def test_a_query_that_is_stopped_in_a_thread(
    stop: Callable[[Held], None], kind: str, answer: Turn, options: dict[str, Any], at: int
) -> None:
    """Its thread ends, no chunk is pulled, no record is written, and all see the same."""
    llm = FakeStreamingLLM(Answers(answer))
    with no_thread_left():
        run, *held = started(kind, llm, False, **options)
        before = read_sync(run, at)
        ended = run.done
        stop(held)
        run.stream.ended_sync()
        run.stopped_sync()
        pulled = [call.chunks for call in llm.calls]
        records = list(run.stream.read_sync(internal=True))
    assert all(call.closed_by is not None for call in llm.calls)
    assert [call.chunks for call in llm.calls] == pulled
    assert run.stream.last_seq == len(records)
    check_log(records)
    assert same(before, records[: len(before)])
    check_lead(records, len(before), options["max_lead"])
    check_end(asyncio.run(run.stream.outcome()), ended, llm)


# In tasks


async def aclose(held: Held) -> None:
    """Close it, and wait."""
    await held[0].aclose()


async def close(held: Held) -> None:
    """Close it."""
    held[0].close()


async def leave(held: Held) -> None:
    """Leave the block that owns it."""
    async with held[0]:
        pass


async def leave_by_error(held: Held) -> None:
    """Leave the block that owns it because of an error in the block."""
    with suppress(ZeroDivisionError):
        async with held[0]:
            raise ZeroDivisionError


async def cancel(held: Held) -> None:
    """Cancel the task that owns it, in the middle of reading."""

    async def owns() -> None:
        async with held[0] as response:
            async for _ in response.response_gen:
                pass

    owning = asyncio.create_task(owns())
    await asyncio.sleep(0)
    owning.cancel()
    await asyncio.wait([owning])
    if not owning.cancelled():
        owning.exception()


async def forget(held: Held) -> None:
    """Forget it: it is collected, unread."""
    held.clear()
    gc.collect()


async def read(run: Any, count: int) -> list[Record]:
    """Read so many records, or to the end."""
    found: list[Record] = []
    async with aclosing(run.stream.read(internal=True)) as records:
        while len(found) < count and (record := await anext(records, None)) is not None:
            found.append(record)
    return found


async def read_text(run: Any) -> str:
    """Read the answer, as far as there is one."""
    said: list[str] = []
    with suppress(Exception):
        async with aclosing(AsyncLiveResponse(run).read()) as tokens:
            async for token in tokens:
                said.append(token)
    return "".join(said)


async def check_stopped(
    stop: Callable[[Held], Awaitable[None]],
    kind: str,
    llm: FakeStreamingLLM,
    options: dict[str, Any],
    at: int,
    reads: bool,
) -> None:
    """Ask, stop, and see that it is over, for whoever reads."""
    ledger = Ledger()
    ledger.asks(llm)
    run, *held = started(kind, llm, True, **options)
    ledger.streams.append(run.stream)
    # Who reads keeps a forgotten response at work.
    reading = asyncio.create_task(read_text(run)) if reads and stop is not forget else None
    before = await read(run, at)
    ended = run.done
    await stop(held)
    async with asyncio.timeout(PATIENCE):
        outcome = await run.stream.outcome()
        await run.stopped()
        records = await everything(run.stream)
        if reading is not None:
            assert await reading == await read_text(run) == outcome.text
    await check_over(ledger)
    assert same(before, records[: len(before)])
    check_end(outcome, ended, llm)
    if reading is None and stop is not cancel:
        check_lead(records, len(before), options["max_lead"])


@pytest.mark.parametrize(
    "stop",
    [aclose, close, leave, leave_by_error, cancel, forget],
    ids=lambda stop: stop.__name__,
)
@examples(10)
@given(kind=st.sampled_from(KINDS), answer=ANSWERS, options=OPTIONS, at=AT, reads=st.booleans())
def test_a_query_that_is_stopped_in_a_task(
    stop: Callable[[Held], Awaitable[None]],
    kind: str,
    answer: Turn,
    options: dict[str, Any],
    at: int,
    reads: bool,
) -> None:
    """Its task ends, no chunk is pulled, no record is written, and all see the same."""
    llm = FakeStreamingLLM(Answers(answer))
    run_alone(lambda: check_stopped(stop, kind, llm, options, at, reads), by_core=True)
