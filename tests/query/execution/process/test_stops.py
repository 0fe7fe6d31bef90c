"""A query is stopped in many ways; the provider's streams are closed by each of them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.query.engine import StreamingQueryEngine, stream_query
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, text, wait
from tests.support.query.engines import QUESTION, build, of_mode, page
from tests.support.query.openai_on_loops import LONG
from tests.support.query.stopped_servers import (
    CLOSED_WITHIN,
    Told,
    aclosed_after,
    closed_after,
    served,
)

STALLED = Turn(text("word "), gate("never"))
GOING_ON = Turn(*[text("word "), wait(0.005)] * 12_000)

HOWEVER = pytest.mark.parametrize("turn", [STALLED, GOING_ON], ids=["stalled", "going on"])
MODES = pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize"])


# The provider


@HOWEVER
@MODES
def test_close_closes_the_providers_streams(mode: str, turn: Turn) -> None:
    """For every inner call of a sync query."""

    def one(fake: FakeOpenAI) -> float:
        response: Any = stream_query(of_mode(mode)(fake.llm(), False), QUESTION, show="calls")
        fake.wait_requests(1, LONG)
        return closed_after(fake, response.close)

    assert served(turn, one) < CLOSED_WITHIN


@HOWEVER
@MODES
def test_aclose_closes_the_providers_streams(mode: str, turn: Turn) -> None:
    """For every inner call of an async query, of which several go on at once."""

    async def one(fake: FakeOpenAI) -> float:
        response: Any = stream_query(of_mode(mode)(fake.llm(), False), QUESTION, show="calls")
        at_once = 3 if mode == "tree_summarize" else 1
        await asyncio.to_thread(fake.wait_requests, at_once, LONG)
        return await aclosed_after(fake, response.aclose)

    assert served(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


@HOWEVER
def test_leaving_the_block_closes_the_providers_stream(turn: Turn) -> None:
    """So does an error within the block."""

    def one(fake: FakeOpenAI) -> float:
        def leave() -> None:
            with pytest.raises(ZeroDivisionError), response:  # noqa: PT012 -- what is left
                next(response.response_gen)
                raise ZeroDivisionError

        response = StreamingQueryEngine(page(fake.llm(), False)).query(QUESTION)
        return closed_after(fake, leave)

    assert served(turn, one) < CLOSED_WITHIN


@HOWEVER
def test_leaving_the_async_block_closes_the_providers_stream(turn: Turn) -> None:
    """So does an error within the block."""

    async def one(fake: FakeOpenAI) -> float:
        async def leave() -> None:
            with pytest.raises(ZeroDivisionError):  # noqa: PT012 -- what is left
                async with response:
                    await anext(response.response_gen)
                    raise ZeroDivisionError

        engine = StreamingQueryEngine(page(fake.llm(), False))
        response = await engine.aquery(QUESTION)
        return await aclosed_after(fake, leave)

    assert served(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


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

    assert served(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


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
    assert served(turn, lambda fake: asyncio.run(one(fake))) < CLOSED_WITHIN


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

    assert served(Told(STALLED), one) < CLOSED_WITHIN


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
