"""`response_gen` goes on where the last reader stopped; a reader beside it reads from the start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext.query.response.sync import AsyncLiveResponse, LiveResponse
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.event_stream import EventStream
from tests.support.query.scripted_run import PATIENCE, ScriptedRun, finished_run

TOKENS = ["a", "b", "c", "d", "e"]


class InterruptedStream(EventStream):
    """A log whose first reader gets a Ctrl-C where it would wait after two tokens."""

    interrupted = False

    def follow_sync(self, cursor: Cursor[Any]) -> Generator[Any, None, None]:
        """The reader's items."""
        for count, item in enumerate(super().follow_sync(cursor), start=1):
            yield item
            if count == 2 and not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt


class InterruptedRun(ScriptedRun):
    """A query over such a log."""

    make_stream = InterruptedStream


def live() -> LiveResponse:
    """The response of a query that is answered."""
    return LiveResponse(finished_run(*TOKENS))


def alive() -> AsyncLiveResponse:
    """The response of an async query that is answered."""
    return AsyncLiveResponse(finished_run(*TOKENS))


async def taken(tokens: AsyncGenerator[str, None], count: int) -> list[str]:
    """The next tokens, read in a loop that is left."""
    found: list[str] = []
    async for token in tokens:
        found.append(token)
        if len(found) == count:
            break
    return found


# In threads


def test_it_is_a_generator_to_those_who_ask() -> None:
    """The iterator is a Generator, as upstream's field is."""
    assert isinstance(live().response_gen, Generator)


def test_next_advances_the_field() -> None:
    """next(response.response_gen) goes on each time."""
    response = live()
    assert [next(response.response_gen) for _ in TOKENS] == TOKENS


def test_a_loop_goes_on_after_a_break() -> None:
    """A second loop goes on where the first one was left."""
    response = live()
    first = list(islice(response.response_gen, 2))
    assert (first, list(response.response_gen)) == (["a", "b"], ["c", "d", "e"])


def test_after_the_end_it_starts_over() -> None:
    """The field can be read again after its end."""
    response = live()
    assert list(response.response_gen) == list(response.response_gen) == TOKENS


def test_an_iterator_at_its_end_stays_there() -> None:
    """An iterator that was exhausted is not begun again: recipes over `islice` would never end."""
    tokens = iter(live().response_gen)
    batches: list[list[str]] = []
    while batch := list(islice(tokens, 2)):
        batches.append(batch)
    assert batches == [["a", "b"], ["c", "d"], ["e"]]


def test_another_thread_goes_on() -> None:
    """A reader in another thread goes on where the last one was left."""
    response = live()
    next(response.response_gen)
    with ThreadPoolExecutor() as pool:
        other = pool.submit(lambda: list(response.response_gen)).result(PATIENCE)
    assert other == TOKENS[1:]


def test_a_reader_beside_an_open_one_starts_over() -> None:
    """A reader that begins while another is open reads from the start, and takes nothing away."""
    response = live()
    tokens = response.response_gen
    next(tokens)
    assert (list(response.response_gen), list(tokens)) == (TOKENS, TOKENS[1:])


def test_a_loop_in_another_thread_starts_over() -> None:
    """A `for` in another thread reads from the start."""
    tokens = live().response_gen
    next(tokens)
    with ThreadPoolExecutor() as pool:
        assert pool.submit(list, tokens).result(PATIENCE) == TOKENS


def test_another_task_goes_on() -> None:
    """A reader in a task goes on where one in no task was left, in a sync response too."""
    response = live()
    next(response.response_gen)

    async def read() -> list[str]:
        return list(response.response_gen)

    assert asyncio.run(read()) == TOKENS[1:]


def test_a_pool_reads_one_iterator() -> None:
    """An iterator whose every token is asked for in another thread goes on, as web servers do."""
    tokens = iter(live().response_gen)
    found: list[str] = []
    for _ in TOKENS:
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(next, tokens).result(PATIENCE))
    assert found == TOKENS


def test_a_pool_reads_an_iterator_of_another_thread() -> None:
    """So it does where it was begun in another thread than that which took the field."""
    field = live().response_gen
    next(field)
    found: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        tokens = pool.submit(iter, field).result(PATIENCE)
    for _ in TOKENS:
        with ThreadPoolExecutor(1) as pool:
            found += pool.submit(lambda: list(islice(tokens, 1))).result(PATIENCE)
    assert found == TOKENS


def test_a_closed_iterator_is_at_its_end() -> None:
    """Closing the iterator ends it, as upstream's, and the next one goes on where it stopped."""
    response = live()
    with closing(response.response_gen) as tokens:
        next(tokens)
    assert (list(tokens), list(response.response_gen)) == ([], TOKENS[1:])


def test_closing_the_iterator_stops_no_query() -> None:
    """Closing one reader's iterator leaves the query to the others."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    response.response_gen.close()
    assert not run.done


def test_send_gives_the_next() -> None:
    """send() gives the next token, as upstream's generator does."""
    tokens = live().response_gen
    assert (next(tokens), tokens.send(None)) == ("a", "b")


def test_throw_closes_and_raises() -> None:
    """throw() raises what it is given, and ends the iterator."""
    tokens = live().response_gen
    with pytest.raises(KeyError):
        tokens.throw(KeyError("x"))
    assert list(tokens) == []


def test_an_interrupted_reader_goes_on() -> None:
    """A reader that Ctrl-C took out of its wait goes on where it was, and loses nothing."""
    run = InterruptedRun(*TOKENS)
    run.finish()
    response = LiveResponse(run)
    found: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(response.response_gen)
    assert found + list(response.response_gen) == TOKENS


def test_an_interrupted_iterator_goes_on() -> None:
    """The iterator itself goes on, too, where Ctrl-C took its reader out of the wait."""
    run = InterruptedRun(*TOKENS)
    run.finish()
    tokens = LiveResponse(run).response_gen
    found: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(tokens)
    assert found + list(tokens) == TOKENS


def test_an_iterator_that_is_waited_in_cannot_be_closed() -> None:
    """Closing an iterator that another thread waits in is refused, as a generator does."""
    run = ScriptedRun()
    tokens = LiveResponse(run).response_gen
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, tokens)
        while not run.stream.backpressure.cursors:
            time.sleep(0)
        with pytest.raises(ValueError, match="already executing"):
            tokens.close()
        run.say("a")
        assert waiting.result(PATIENCE) == "a"


@given(st.lists(st.integers(1, 4), max_size=8))
def test_loops_that_are_left_lose_nothing(counts: list[int]) -> None:
    """Loops that are left go on where the last one stopped; after the end each starts over."""
    response = live()
    at, over = 0, False
    for count in counts:
        expected = TOKENS[at : at + count]
        assert list(islice(response.response_gen, count)) == expected
        # A loop that is left at the last token has not seen the end: the next one sees just that.
        over = over or len(expected) < count
        at = 0 if over else at + count


# In tasks


async def test_it_is_an_async_generator_to_those_who_ask() -> None:
    """The iterator is an AsyncGenerator, as upstream's field is."""
    assert isinstance(alive().response_gen, AsyncGenerator)


async def test_anext_advances_the_field() -> None:
    """anext(response.response_gen) goes on each time."""
    response = alive()
    assert [await anext(response.response_gen) for _ in TOKENS] == TOKENS


async def test_an_async_loop_goes_on_after_a_break() -> None:
    """A second `async for` goes on where the first one was left, and then starts over."""
    response = alive()
    first = await taken(response.response_gen, 2)
    rest = [token async for token in response.response_gen]
    again = [token async for token in response.response_gen]
    assert (first, rest, again) == (TOKENS[:2], TOKENS[2:], TOKENS)


async def test_an_async_loop_in_another_task_starts_over() -> None:
    """Tasks that are handed the same field each read all of it."""
    field = alive().response_gen
    await anext(field)
    found = await asyncio.gather(taken(field, 9), taken(field, 9))
    assert list(found) == [TOKENS, TOKENS]


async def test_tasks_ask_one_iterator_in_turn() -> None:
    """An iterator whose every token is asked for in a new task goes on, as heartbeats do."""
    tokens = aiter(alive().response_gen)
    assert [await asyncio.create_task(tokens.__anext__()) for _ in TOKENS] == TOKENS


async def test_a_cancelled_reader_loses_nothing() -> None:
    """A reader that was cancelled while it waited goes on where it was."""
    run = ScriptedRun("a")
    tokens = aiter(AsyncLiveResponse(run).response_gen)
    await anext(tokens)
    waiting = asyncio.create_task(tokens.__anext__())
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    await asyncio.wait([waiting])
    run.say("b")
    assert (waiting.cancelled(), await anext(tokens)) == (True, "b")


async def test_two_tasks_cannot_wait_in_one_place() -> None:
    """A second task that asks an iterator while it is waited in is refused, as by a generator."""
    run = ScriptedRun()
    tokens = aiter(AsyncLiveResponse(run).response_gen)
    waiting = asyncio.create_task(tokens.__anext__())
    await asyncio.wait([waiting], timeout=0)
    with pytest.raises(RuntimeError, match="already running"):
        await anext(tokens)
    run.say("a")
    assert await waiting == "a"


async def test_a_closed_async_iterator_is_at_its_end() -> None:
    """Closing the iterator ends it, and the next one goes on where it stopped."""
    response = alive()
    async with aclosing(response.response_gen) as tokens:
        await anext(tokens)
    assert [token async for token in tokens] == []
    assert [token async for token in response.response_gen] == TOKENS[1:]


async def test_asend_gives_the_next() -> None:
    """asend() gives the next token."""
    assert await alive().response_gen.asend(None) == "a"


async def test_athrow_closes_and_raises() -> None:
    """athrow() raises what it is given, and ends the iterator."""
    tokens = alive().response_gen
    with pytest.raises(KeyError):
        await tokens.athrow(KeyError("x"))
    assert [token async for token in tokens] == []


# Both


def test_a_sync_response_is_read_by_a_task() -> None:
    """`async for` over the readers of a sync response gives what `for` gives."""
    response = LiveResponse(finished_run(*TOKENS))

    async def read(tokens: AsyncIterable[Any]) -> list[Any]:
        return [token async for token in tokens]

    assert asyncio.run(read(response.response_gen)) == TOKENS
    assert asyncio.run(read(response.read())) == TOKENS
    assert asyncio.run(read(response.events())) == list(response.events())


def test_an_async_response_is_read_in_a_thread() -> None:
    """`for` over the readers of an async response gives what `async for` gives."""
    response = alive()
    assert list(response.response_gen) == list(response.read()) == TOKENS
    assert len(list(response.events())) == len(TOKENS) + 2


async def test_a_loop_does_not_wait_for_itself() -> None:
    """`for` on the event loop that writes the answer is refused instead of waiting for ever."""
    run = ScriptedRun()
    run.stream.written_on(asyncio.get_running_loop(), run.stop)
    with pytest.raises(RuntimeError, match="event loop"):
        next(iter(AsyncLiveResponse(run).events()))


@pytest.mark.parametrize("make", [LiveResponse, AsyncLiveResponse])
async def test_assigned_tokens_are_read_by_tasks_and_threads(make: Any) -> None:
    """Tokens that were put in the place of the query's are read both ways, too."""
    response: Any = make(finished_run())
    setattr(response, "response_gen", iter(TOKENS))  # noqa: B010 # it reads as something else
    assert [token async for token in response.response_gen] == TOKENS
    assert list(response.response_gen) == TOKENS


async def test_assigned_async_tokens_are_not_waited_for() -> None:
    """`for` over async tokens that were not pulled says so instead of blocking."""
    response = alive()

    async def tokens() -> AsyncGenerator[str, None]:
        yield "a"

    response.response_gen = tokens()
    with pytest.raises(RuntimeError, match="async for"):
        list(response.read())


async def test_both_scopes_stop_the_query() -> None:
    """`with` and `async with` stop the query of either response."""
    run, other = ScriptedRun("a"), ScriptedRun("a")
    with AsyncLiveResponse(run):
        pass
    async with LiveResponse(other):
        pass
    assert run.done
    assert other.done
