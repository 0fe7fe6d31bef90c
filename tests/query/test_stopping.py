"""A query is stopped in many ways; the provider's streams are closed by each of them at once."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from engines import QUESTION, build, of_mode, page
from openai_on_loops import LONG
from stopped_servers import CLOSED_WITHIN, Told, aclosed_after, closed_after, quickest
from users_engines import Own

from llama_index_streaming_ext.errors import RunLost, StreamStopped
from llama_index_streaming_ext.query.engine import StreamingQueryEngine, stream_query
from llama_index_streaming_ext.testing import FakeOpenAI, FakeStreamingLLM, Turn, gate, text, wait

STALLED = Turn(text("word "), gate("never"))
GOING_ON = Turn(*[text("word "), wait(0.005)] * 1000)

HOWEVER = pytest.mark.parametrize("turn", [STALLED, GOING_ON], ids=["stalled", "going on"])
MODES = pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize"])


def fake_engine(turn: Turn) -> Any:
    """An engine over a fake LLM that says the same to everything."""
    return page(FakeStreamingLLM([turn], repeat_last=True), False)


def many(count: int) -> Turn:
    """An answer of so many tokens."""
    return Turn(text(*["word "] * count))


# The provider


@HOWEVER
@MODES
def test_close_closes_the_providers_streams(mode: str, turn: Turn) -> None:
    """Within 100 ms, for every inner call of a sync query."""

    def one(fake: FakeOpenAI) -> float:
        response: Any = stream_query(of_mode(mode)(fake.llm(), False), QUESTION, show="calls")
        fake.wait_requests(1, LONG)
        return closed_after(fake, response.close)

    assert quickest(turn, one) < CLOSED_WITHIN


@HOWEVER
@MODES
def test_aclose_closes_the_providers_streams(mode: str, turn: Turn) -> None:
    """Within 100 ms, for every inner call of an async query, of which several go on at once."""

    async def one(fake: FakeOpenAI) -> float:
        response: Any = stream_query(of_mode(mode)(fake.llm(), False), QUESTION, show="calls")
        at_once = 3 if mode == "tree_summarize" else 1
        await asyncio.to_thread(fake.wait_requests, at_once, LONG)
        return await aclosed_after(fake, response.aclose)

    assert quickest(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


@HOWEVER
def test_leaving_the_block_closes_the_providers_stream(turn: Turn) -> None:
    """So does an error within the block."""

    def one(fake: FakeOpenAI) -> float:
        def leave() -> None:
            with pytest.raises(ZeroDivisionError), response:
                next(response.response_gen)
                raise ZeroDivisionError

        response = StreamingQueryEngine(page(fake.llm(), False)).query(QUESTION)
        return closed_after(fake, leave)

    assert quickest(turn, one) < CLOSED_WITHIN


@HOWEVER
def test_leaving_the_async_block_closes_the_providers_stream(turn: Turn) -> None:
    """So does an error within the block."""

    async def one(fake: FakeOpenAI) -> float:
        async def leave() -> None:
            with pytest.raises(ZeroDivisionError):
                async with response:
                    await anext(response.response_gen)
                    raise ZeroDivisionError

        engine = StreamingQueryEngine(page(fake.llm(), False))
        response = await engine.aquery(QUESTION)
        return await aclosed_after(fake, leave)

    assert quickest(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


@HOWEVER
def test_cancelling_the_task_that_owns_the_response_stops_it(turn: Turn) -> None:
    """A web server cancels the task of a request whose client has gone."""

    async def one(fake: FakeOpenAI) -> float:
        engine = StreamingQueryEngine(page(fake.llm(), False))
        reads = asyncio.Event()

        async def serve() -> None:
            async with await engine.aquery(QUESTION) as response:
                async for _ in response.response_gen:
                    reads.set()

        async def cancel() -> None:
            serving.cancel()
            await asyncio.wait([serving])

        serving = asyncio.create_task(serve())
        await reads.wait()
        return await aclosed_after(fake, cancel)

    assert quickest(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


@pytest.mark.parametrize("mode", ["compact", "tree_summarize"])
def test_a_cancelled_aquery_closes_the_providers_streams(mode: str) -> None:
    """Before there is a response: the provider has not said anything yet."""

    async def one(fake: FakeOpenAI) -> float:
        engine = StreamingQueryEngine(of_mode(mode)(fake.llm(), False))
        asking = asyncio.create_task(engine.aquery(QUESTION))
        await asyncio.to_thread(fake.wait_requests, 1, LONG)

        async def cancel() -> None:
            asking.cancel()
            await asyncio.wait([asking])

        took = await aclosed_after(fake, cancel)
        assert asking.cancelled()
        return took

    turn = Turn(gate("never"))
    assert quickest(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_sub_questions_that_are_asked_at_once_are_all_closed(is_async: bool) -> None:
    """Sync engines ask them on loops of core's own."""

    async def ask(fake: FakeOpenAI) -> float:
        engine = sub_questions(fake)
        response: Any = stream_query(engine, QUESTION, show="calls")
        await asyncio.to_thread(fake.wait_requests, 3, LONG)
        return await aclosed_after(fake, response.aclose)

    def one(fake: FakeOpenAI) -> float:
        if is_async:
            return asyncio.run(ask(fake))
        response: Any = stream_query(sub_questions(fake), QUESTION, show="calls")
        fake.wait_requests(3, LONG)
        return closed_after(fake, response.close)

    assert quickest(Told(STALLED), one) < CLOSED_WITHIN


def sub_questions(fake: FakeOpenAI) -> Any:
    """An engine that asks two others at once, after the question generator."""
    engine, _, _ = build("sub_question")
    real = fake.llm()
    engine._question_gen._llm = real
    for inner in engine._query_engines.values():
        inner._response_synthesizer._llm = real
    return engine


def test_with_a_clients_own_http_a_stop_takes_effect_at_the_next_chunk() -> None:
    """The request goes out by it, in the engine's own thread, which nothing can wake."""
    fake = FakeOpenAI([Turn(text("word "), gate("more"), text(*["word "] * 50), gate("never"))])
    with fake.serve(), httpx.Client() as client:
        llm = fake.llm(http_client=client)
        response = StreamingQueryEngine(page(llm, False)).query(QUESTION)
        next(response.response_gen)
        closing = threading.Thread(target=response.close)
        closing.start()
        with pytest.raises(StreamStopped):
            list(response.read())
        assert fake.requests[0].ended_by is None
        fake.open("more")
        assert fake.requests[0].wait_closed(LONG)
        closing.join(LONG)


# Whoever waits


def test_a_response_is_stopped_before_its_engine_has_begun() -> None:
    """What is cancelled before its first step is not waited for."""

    async def main() -> float:
        began = time.monotonic()
        async with stream_query(fake_engine(STALLED), QUESTION) as response:  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] -- async here
            pass
        assert response.stream.closed  # pyright: ignore[reportUnknownMemberType]
        return time.monotonic() - began

    assert asyncio.run(main()) < 1


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
        while response.stream.lead.waiters == 0:
            await asyncio.sleep(0)
        await response.aclose()
        assert done == ["closed"]

    asyncio.run(main())


def test_readers_are_told_of_a_loop_that_was_closed() -> None:
    """They would wait for ever."""
    loop = asyncio.new_event_loop()
    response = loop.run_until_complete(StreamingQueryEngine(fake_engine(STALLED)).aquery(QUESTION))
    loop.close()
    # asyncio itself says that a task was destroyed.
    loop.set_exception_handler(lambda *_: None)
    assert list(response.stream.read_sync())[-1].terminal
    with pytest.raises(RunLost):
        str(response)


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
        while response.stream.lead.waiters == 0:
            await asyncio.sleep(0)
        assert response.stream.last_seq <= 64
        assert len([token async for token in response.response_gen]) == 1000

    asyncio.run(main())


def test_an_unread_sync_response_is_at_most_its_lead_ahead() -> None:
    """The engine's thread waits for its readers."""
    response = StreamingQueryEngine(fake_engine(many(1000))).query(QUESTION)
    assert eventually(lambda: response.stream.lead.waiters > 0)
    assert response.stream.last_seq <= 64
    assert len(list(response.response_gen)) == 1000


def eventually(holds: Callable[[], bool], within: float = LONG) -> bool:
    """Whether something holds, sooner or later: threads tell nobody that they wait."""
    end = time.monotonic() + within
    while not holds() and time.monotonic() < end:
        threading.Event().wait(0.002)
    return holds()


# Collected, and none left


def test_one_that_is_collected_unread_is_stopped() -> None:
    """Nobody can ask for it any more."""
    fake = FakeOpenAI([STALLED])
    with fake.serve():
        response = StreamingQueryEngine(page(fake.llm(), False)).query(QUESTION)
        fake.wait_requests(1, LONG)
        assert not response.stream.closed
        del response
        gc.collect()
        assert fake.requests[0].wait_closed(LONG)


def test_an_async_one_that_is_collected_unread_is_stopped() -> None:
    """Nobody can ask for it any more."""

    async def main() -> None:
        fake = FakeOpenAI([STALLED])
        with fake.serve():
            engine = StreamingQueryEngine(page(fake.llm(), False))
            response = await engine.aquery(QUESTION)
            await asyncio.to_thread(fake.wait_requests, 1, LONG)
            assert not response.stream.closed
            del response
            gc.collect()
            assert await fake.requests[0].await_closed(LONG)

    asyncio.run(main())


def test_a_thousand_stopped_queries_leave_no_thread() -> None:
    """Each has worked in one of its own."""
    engine = StreamingQueryEngine(fake_engine(many(1000)))
    engine.query(QUESTION).close()
    before = set(threading.enumerate())
    for number in range(1000):
        response = engine.query(QUESTION)
        if number % 2:
            next(response.response_gen)
        response.close()
    del response
    assert eventually(lambda: not {t for t in threading.enumerate() if t not in before})
