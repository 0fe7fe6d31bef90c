"""The response of an async query is core's, never blocks the loop, and can be read repeatedly."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

import pytest
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.events import AnswerDelta, QueryFinished, QueryStarted
from llama_index_streaming_ext.query.response.sync import AsyncLiveResponse
from tests.support.query.scripted_run import ScriptedRun, failed_run, finished_run


async def everything(tokens: AsyncIterable[Any]) -> list[Any]:
    """All that is still to come."""
    return [token async for token in tokens]


async def as_text(response: AsyncLiveResponse) -> str:
    """str(), where others are awaited."""
    return str(response)


async def as_field(response: AsyncLiveResponse) -> str:
    """The property `response`, where others are awaited."""
    return response.response


WHOLE: dict[str, Callable[[AsyncLiveResponse], Awaitable[Any]]] = {
    "str": as_text,
    "response": as_field,
    "get_response": AsyncLiveResponse.get_response,
    "read": lambda response: everything(response.read()),
    "response_gen": lambda response: everything(response.response_gen),
    "async_response_gen": lambda response: everything(response.async_response_gen()),
    "print": AsyncLiveResponse.print_response_stream,
    "_async_str": lambda response: response._async_str(),  # pyright: ignore[reportPrivateUsage] # upstream's name
}


def test_it_is_cores_async_streaming_response() -> None:
    """The response is an instance of core's AsyncStreamingResponse."""
    assert isinstance(AsyncLiveResponse(finished_run()), AsyncStreamingResponse)


async def test_a_token_is_read_before_the_next_one_is_written() -> None:
    """A token is there to be read as soon as it is written."""
    run = ScriptedRun("a")
    response = AsyncLiveResponse(run)
    first = await anext(response.response_gen)
    run.say("b")
    assert (first, await anext(response.response_gen)) == ("a", "b")


@pytest.mark.parametrize("name", ["read", "async_response_gen", "_yield_response"])
async def test_methods_read_from_the_start(name: str) -> None:
    """read() and async_response_gen() begin at the start, whatever was read."""
    response = AsyncLiveResponse(finished_run("a", "b"))
    await anext(response.response_gen)
    read: Callable[[], AsyncIterable[str]] = getattr(response, name)
    assert [await everything(read()) for _ in range(2)] == [["a", "b"], ["a", "b"]]


async def test_readers_read_at_once() -> None:
    """Several tasks that read at once each get every token."""
    run = ScriptedRun()
    response = AsyncLiveResponse(run)
    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(everything(response.response_gen)) for _ in range(3)]
        readers += [tasks.create_task(everything(response.read())) for _ in range(3)]
        await asyncio.wait(readers, timeout=0)
        run.say("a", "b")
        run.finish()
    assert [reader.result() for reader in readers] == [["a", "b"]] * 6


async def test_str_gives_the_text_so_far() -> None:
    """str() and f-strings before the end give the text so far, at once (U57)."""
    run = ScriptedRun("a")
    response = AsyncLiveResponse(run)
    before = f"{response}"
    run.say("b")
    assert (before, str(response)) == ("a", "ab")


async def test_str_takes_no_token_from_a_reader() -> None:
    """str() takes no token from a reader."""
    response = AsyncLiveResponse(finished_run("a", "b"))
    str(response)
    assert await everything(response.response_gen) == ["a", "b"]


def test_str_needs_no_loop() -> None:
    """str() works where no event loop runs."""
    assert str(AsyncLiveResponse(ScriptedRun("a"))) == "a"


def test_an_empty_answer_is_empty() -> None:
    """str() of an answer without tokens is '', never 'None'."""
    assert str(AsyncLiveResponse(finished_run())) == ""


async def test_get_response_waits_and_gives_all() -> None:
    """get_response() waits for the end and gives the text, the sources and the metadata."""
    run = ScriptedRun("a")
    asked = asyncio.create_task(AsyncLiveResponse(run).get_response())
    await asyncio.wait([asked], timeout=0)
    run.say("b")
    run.finish()
    assert await asked == Response("ab", source_nodes=run.sources, metadata=run.metadata)


def test_sources_are_there_before_the_first_token() -> None:
    """Sources and metadata can be read before anything was written."""
    run = ScriptedRun()
    response = AsyncLiveResponse(run)
    assert (response.source_nodes, response.metadata) == (run.sources, run.metadata)
    assert response.get_formatted_sources() == "> Source (Node id: n1): A fact."


async def test_events_tell_all() -> None:
    """events() gives all events of the query, to its last."""
    events = await everything(AsyncLiveResponse(finished_run("a")).events())
    assert [type(event) for event in events] == [QueryStarted, AnswerDelta, QueryFinished]


async def test_the_outcome_is_waited_for() -> None:
    """outcome() waits for the end and says how it was, without raising."""
    run = ScriptedRun("a")
    asked = asyncio.create_task(AsyncLiveResponse(run).outcome())
    await asyncio.wait([asked], timeout=0)
    run.fail(ValueError("broken"))
    assert (await asked).status == "failed"


# Failures and stops


@pytest.mark.parametrize("ask", WHOLE.values(), ids=WHOLE)
async def test_a_failure_is_raised_to_everybody(
    ask: Callable[[AsyncLiveResponse], Awaitable[Any]],
) -> None:
    """Whoever asks for the answer of a query that failed is told, the second time too (U56)."""
    response = AsyncLiveResponse(failed_run("a", "b"))
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await ask(response)


async def test_a_failure_comes_after_the_tokens() -> None:
    """Readers get the tokens before a failure, then the failure, each time."""
    tokens = AsyncLiveResponse(failed_run("a", "b")).response_gen
    assert [await anext(tokens), await anext(tokens)] == ["a", "b"]
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await anext(tokens)


@pytest.mark.parametrize("ask", WHOLE.values(), ids=WHOLE)
async def test_a_stop_is_raised_to_everybody(
    ask: Callable[[AsyncLiveResponse], Awaitable[Any]],
) -> None:
    """Whoever asks for the answer after aclose() is told that it was stopped."""
    response = AsyncLiveResponse(ScriptedRun("a"))
    await response.aclose()
    with pytest.raises(StreamStopped):
        await ask(response)


async def test_leaving_the_scope_stops() -> None:
    """A query is stopped when the `async with` on its response is left before the end."""
    run = ScriptedRun("a")
    async with AsyncLiveResponse(run) as response:
        await anext(response.response_gen)
    assert isinstance(run.error, StreamStopped)


async def test_leaving_the_scope_after_the_end_changes_nothing() -> None:
    """An answer that is whole stays whole when the `async with` is left."""
    async with AsyncLiveResponse(finished_run("a")) as response:
        pass
    assert str(response) == "a"


def test_close_needs_no_loop() -> None:
    """close() stops the query without waiting, also where no loop runs."""
    run = ScriptedRun("a")
    AsyncLiveResponse(run).close()
    assert isinstance(run.error, StreamStopped)


async def test_a_reader_that_waits_is_told_of_the_stop() -> None:
    """A task that waits for the next token gets the stop, as an error."""
    response = AsyncLiveResponse(ScriptedRun("a"))
    reading = asyncio.create_task(everything(response.response_gen))
    await asyncio.wait([reading], timeout=0)
    response.close()
    with pytest.raises(StreamStopped):
        await reading


def test_collected_unread_it_is_abandoned() -> None:
    """A response that is collected before the end abandons its query, at once."""
    run = ScriptedRun("a")
    response = AsyncLiveResponse(run)
    del response
    assert run.abandoned.is_set()


async def test_nobody_is_attached_when_it_is_abandoned() -> None:
    """The reader of a loop that was left has gone from the log when the query is abandoned."""
    attached: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    class Run(ScriptedRun):
        def abandon(self) -> None:
            attached.set_result(len(self.stream.backpressure.cursors))

    response = AsyncLiveResponse(Run("a", "b"))
    async for _ in response.response_gen:
        break
    del response
    assert await attached == 0


async def test_collected_after_the_end_it_is_not_abandoned() -> None:
    """A query that has ended is not abandoned."""
    run = finished_run("a")
    response = AsyncLiveResponse(run)
    del response
    gc.collect()
    assert not run.abandoned.is_set()


@pytest.mark.parametrize("reader", ["read", "async_response_gen", "events", "response_gen"])
async def test_a_reader_keeps_the_query(reader: str) -> None:
    """A query whose response is gone goes on while somebody reads it."""
    run = ScriptedRun("a")
    response = AsyncLiveResponse(run)
    got: Any = getattr(response, reader)
    reading: Any = got() if callable(got) else got
    del response, got
    await anext(reading)
    assert not run.abandoned.is_set()


async def test_response_is_the_text_so_far() -> None:
    """response.response of an async response never waits."""
    run = ScriptedRun("a")
    response = AsyncLiveResponse(run)
    assert (response.response, str(response)) == ("a", "a")
    run.say("b")
    run.finish()
    assert response.response == "ab"
