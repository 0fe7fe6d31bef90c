"""What becomes of those who read a query that is stopped, left or forgotten."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from llama_index_streaming_ext.errors import RunLost, StreamStopped
from llama_index_streaming_ext.query.engine import StreamingQueryEngine, stream_query
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text
from tests.support.query.engines import QUESTION, page
from tests.support.query.openai_on_loops import LONG
from tests.support.query.users_engines import Own

STALLED = Turn(text("word "), gate("never"))


def fake_engine(turn: Turn) -> Any:
    """An engine over a fake LLM that says the same to everything."""
    return page(FakeStreamingLLM([turn], repeat_last=True), False)


def many(count: int) -> Turn:
    """An answer of so many tokens."""
    return Turn(text(*["word "] * count))


def test_a_response_is_stopped_before_its_engine_has_begun() -> None:
    """What is cancelled before its first step is not waited for."""

    async def main() -> float:
        began = time.monotonic()
        async with stream_query(fake_engine(STALLED), QUESTION) as response:  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] -- async here
            pass
        assert response.stream.closed  # pyright: ignore[reportUnknownMemberType]
        return time.monotonic() - began

    # A stop waits for its engine for five seconds.
    assert asyncio.run(main()) < 5


def test_stopping_twice_from_a_thread_leaves_the_cleaning_up_whole() -> None:
    """A second cancellation would break it off."""
    done: list[str] = []

    class Slow(Own):
        llm: Any = None

        async def acustom_query(self, query_str: str) -> Any:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                for _ in range(50):
                    await asyncio.sleep(0)
                done.append("whole")

    async def main() -> None:
        response = await StreamingQueryEngine(Slow()).aquery("why")
        await anext(response.response_gen)

        def twice() -> None:
            response.close()
            response.close()

        await asyncio.to_thread(twice)
        await response.aclose()

    asyncio.run(main())
    assert done == ["whole"]


def test_an_engines_generator_is_closed_when_the_response_is() -> None:
    """Also one that waits for its readers, which is not where it is cancelled."""
    done: list[str] = []

    class Endless(Own):
        llm: Any = None

        async def acustom_query(self, query_str: str) -> Any:
            try:
                while True:
                    yield "a"
            finally:
                await asyncio.sleep(0)
                done.append("closed")

    async def main() -> None:
        response = await StreamingQueryEngine(Endless(), max_lead=4).aquery("why")
        await asyncio.to_thread(eventually, lambda: response.stream.backpressure.waiters > 0)
        await response.aclose()
        assert done == ["closed"]

    asyncio.run(main())


def test_readers_are_told_of_a_loop_that_was_closed() -> None:
    """They would wait for ever."""
    loop = asyncio.new_event_loop()
    response = loop.run_until_complete(StreamingQueryEngine(fake_engine(STALLED)).aquery(QUESTION))
    loop.close()
    # asyncio itself says that a task was destroyed.
    loop.set_exception_handler(_say_nothing)
    assert list(response.stream.read_sync())[-1].terminal
    with pytest.raises(RunLost):
        str(response)


def _say_nothing(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Take note of an error."""


def test_a_loop_does_not_wait_for_itself() -> None:
    """The engine works on it."""

    async def main() -> None:
        async with await StreamingQueryEngine(fake_engine(STALLED)).aquery(QUESTION) as response:
            with pytest.raises(RuntimeError, match="writes what you want to wait for"):
                list(response.stream.read_sync())

    asyncio.run(main())


def test_every_reader_gets_the_stop_in_threads() -> None:
    """Those that wait, those that have some unread, and those that come later."""
    response = StreamingQueryEngine(fake_engine(STALLED)).query(QUESTION)
    started = threading.Barrier(4)
    got: list[Any] = []

    def read() -> None:
        reading = response.read()
        next(reading)
        started.wait(LONG)
        got.append(error_of(lambda: next(reading)))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait(LONG)
    response.close()
    for thread in threads:
        thread.join(LONG)
    got += [error_of(lambda: str(response)), error_of(lambda: list(response.read()))]
    got.append(error_of(lambda: list(response.response_gen)))
    assert list(map(type, got)) == [StreamStopped] * 6
    assert response.outcome().status == "cancelled"


def error_of(ask: Callable[[], object]) -> BaseException | None:
    """What something raises."""
    try:
        ask()
    except Exception as error:
        return error
    return None


def test_every_reader_gets_the_stop_in_tasks() -> None:
    """Those that wait, and those that come later."""

    async def main() -> None:
        response = await StreamingQueryEngine(fake_engine(STALLED)).aquery(QUESTION)

        async def read() -> list[str]:
            return [token async for token in response.read()]

        readers = [asyncio.create_task(read()) for _ in range(3)]
        await anext(response.response_gen)
        await response.aclose()
        ends: list[Any] = await asyncio.gather(
            *readers, read(), response.get_response(), return_exceptions=True
        )
        assert list(map(type, ends)) == [StreamStopped] * 5

    asyncio.run(main())


def test_a_response_is_closed_twice_without_harm() -> None:
    """Also after its end, which stays a good one."""
    response = StreamingQueryEngine(fake_engine(many(3))).query(QUESTION)
    assert str(response) == "word " * 3
    response.close()
    response.close()
    assert str(response) == "word " * 3


# Breaking out


def test_breaking_out_pauses_and_goes_on() -> None:
    """Nothing is lost of it, and the engine stays near."""
    response = StreamingQueryEngine(fake_engine(many(1000))).query(QUESTION)
    for _ in response.response_gen:
        break
    assert len(list(response.response_gen)) == 999
    assert len(list(response.response_gen)) == 1000


def test_an_unread_async_response_is_at_most_its_lead_ahead() -> None:
    """Of the start, or of where its reader has broken off."""

    async def main() -> None:
        response = await StreamingQueryEngine(fake_engine(many(1000))).aquery(QUESTION)
        await asyncio.to_thread(eventually, lambda: response.stream.backpressure.waiters > 0)
        assert response.stream.last_seq <= 64
        assert len([token async for token in response.response_gen]) == 1000

    asyncio.run(main())


def test_an_unread_sync_response_is_at_most_its_lead_ahead() -> None:
    """The engine's thread waits for its readers."""
    response = StreamingQueryEngine(fake_engine(many(1000))).query(QUESTION)
    assert eventually(lambda: response.stream.backpressure.waiters > 0)
    assert response.stream.last_seq <= 64
    assert len(list(response.response_gen)) == 1000


def eventually(holds: Callable[[], bool], within: float = LONG) -> bool:
    """Whether something holds, sooner or later: threads tell nobody that they wait."""
    end = time.monotonic() + within
    while not holds() and time.monotonic() < end:
        threading.Event().wait(0.002)
    return holds()


# Collected, and none left


def test_one_that_is_collected_in_a_cycle_is_stopped() -> None:
    """With its reader, which may be collected after it."""
    for read in ("read", "events"):
        response: Any = StreamingQueryEngine(fake_engine(STALLED)).query(QUESTION)
        stream = response.stream
        reading = getattr(response, read)()
        next(reading)
        cycle: list[Any] = [response, reading]
        cycle.append(cycle)
        del response, reading, cycle
        gc.collect()
        assert eventually(lambda stream=stream: stream.closed)


def test_a_thousand_stopped_queries_leave_no_thread() -> None:
    """Each has worked in one of its own."""
    engine = StreamingQueryEngine(fake_engine(many(1000)))
    engine.query(QUESTION).close()
    before = set(threading.enumerate())
    for number in range(1000):
        with engine.query(QUESTION) as response:
            if number % 2:
                next(response.response_gen)
    assert eventually(lambda: not {t for t in threading.enumerate() if t not in before})
