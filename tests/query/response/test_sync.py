"""The response of a sync query is core's, and can be read by anybody, again and again."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.response.schema import Response, StreamingResponse

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.events import AnswerDelta, QueryFailed, QueryFinished, QueryStarted
from llama_index_streaming_ext.query.response.sync import LiveResponse
from tests.support.query.scripted_run import PATIENCE, ScriptedRun, failed_run, finished_run, source

WHOLE: dict[str, Callable[[LiveResponse], Any]] = {
    "str": str,
    "format": lambda response: f"{response}",
    "response": lambda response: response.response,
    "get_response": lambda response: response.get_response(),
    "read": lambda response: list(response.read()),
    "response_gen": lambda response: list(response.response_gen),
    "print": lambda response: response.print_response_stream(),
}


def test_it_is_cores_streaming_response() -> None:
    """The response is an instance of core's StreamingResponse."""
    assert isinstance(LiveResponse(finished_run()), StreamingResponse)


def test_a_token_is_read_before_the_next_one_is_written() -> None:
    """A token is there to be read as soon as it is written."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    first = next(response.response_gen)
    run.say("b")
    assert (first, next(response.response_gen)) == ("a", "b")


def test_the_text_is_whole_however_much_was_read() -> None:
    """str() gives the whole answer after some of it was read (U55)."""
    response = LiveResponse(finished_run("a", "b", "c"))
    next(response.response_gen)
    assert str(response) == "abc"


def test_the_text_is_whole_after_all_was_read() -> None:
    """str() gives the whole answer after all of it was read (U55)."""
    response = LiveResponse(finished_run("a", "b"))
    list(response.response_gen)
    assert str(response) == "ab"


def test_str_takes_no_token_from_a_reader() -> None:
    """A reader goes on where it was after somebody has asked for the text."""
    response = LiveResponse(finished_run("a", "b", "c"))
    next(response.response_gen)
    str(response)
    assert list(response.response_gen) == ["b", "c"]


def test_str_waits_for_the_end() -> None:
    """str() in another thread waits until the answer is whole."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(str, response)
        run.say("b")
        run.finish()
        assert asked.result(PATIENCE) == "ab"


def test_an_empty_answer_is_empty() -> None:
    """str() of an answer without tokens is '', never 'None'."""
    assert str(LiveResponse(finished_run())) == ""


def test_get_response_gives_all() -> None:
    """get_response() gives core's Response: the text, the sources and the metadata."""
    run = finished_run("a", "b")
    expected = Response("ab", source_nodes=run.sources, metadata=run.metadata)
    assert LiveResponse(run).get_response() == expected


def test_the_text_field_is_none_before_the_end() -> None:
    """response_txt is None until the answer is whole, and then it is all of it."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    before = response.response_txt
    run.finish()
    assert (before, response.response_txt) == (None, "a")


def test_sources_are_there_before_the_first_token() -> None:
    """Sources, metadata and formatted sources can be read before anything was written."""
    response = LiveResponse(ScriptedRun())
    assert response.source_nodes == [source()]
    assert response.metadata == {"n1": {"page": 1}}
    assert response.get_formatted_sources() == "> Source (Node id: n1): A fact."


def test_sources_that_come_later_are_seen() -> None:
    """The response shows sources that the engine finds after it was made."""
    run = ScriptedRun()
    run.sources = []
    response = LiveResponse(run)
    run.sources = [source("Another.")]
    assert response.source_nodes == [source("Another.")]


def test_metadata_that_comes_later_is_seen() -> None:
    """Metadata that was None when the response was made is not kept as None."""
    run = ScriptedRun()
    run.metadata = None
    response = LiveResponse(run)
    run.metadata = {"late": 1}
    assert response.metadata == {"late": 1}


def test_the_object_is_the_runs() -> None:
    """The structured answer is that of the query."""
    run = finished_run("{}")
    run.object = {"answer": 1}
    assert LiveResponse(run).object == {"answer": 1}


def test_readers_from_the_start_do_not_share() -> None:
    """read() begins at the start, whatever others have read."""
    response = LiveResponse(finished_run("a", "b"))
    one, other = response.read(), response.read()
    next(one)
    assert (list(other), list(one)) == (["a", "b"], ["b"])


@given(st.lists(st.text(min_size=1)), st.integers(0, 5))
def test_every_reader_gets_every_token(tokens: list[str], written: int) -> None:
    """Readers that begin before, amid and after the writing all read the same tokens."""
    run = ScriptedRun(*tokens[:written])
    response = LiveResponse(run)
    early = response.read()
    begun = [next(early)] if tokens[:written] else []
    run.say(*tokens[written:])
    amid = response.read()
    run.finish()
    assert begun + list(early) == list(amid) == list(response.response_gen) == tokens


def test_threads_read_at_once() -> None:
    """Several threads that read at once each get every token."""
    run = ScriptedRun()
    response = LiveResponse(run)
    started = threading.Barrier(5)

    def read() -> list[str]:
        started.wait(PATIENCE)
        return list(response.response_gen)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        started.wait(PATIENCE)
        run.say("a", "b", "c")
        run.finish()
        assert [reader.result(PATIENCE) for reader in readers] == [["a", "b", "c"]] * 4


async def test_it_is_read_in_a_running_loop() -> None:
    """Iterating in a running loop (a notebook) blocks and works: the writer is elsewhere."""
    run = ScriptedRun()
    gate = threading.Event()

    def write() -> None:
        gate.wait(PATIENCE)
        run.say("a", "b")
        run.finish()

    writing = asyncio.get_running_loop().run_in_executor(None, write)
    gate.set()
    assert list(LiveResponse(run).response_gen) == ["a", "b"]
    await writing


def test_events_tell_all() -> None:
    """events() gives all events of the query, to its last."""
    seen = [type(event) for event in LiveResponse(finished_run("a")).events()]
    assert seen == [QueryStarted, AnswerDelta, QueryFinished]


def test_events_of_a_kind() -> None:
    """events() can be asked for some classes only."""
    events = LiveResponse(finished_run("a", "b")).events(types=AnswerDelta)
    assert [type(event) for event in events] == [AnswerDelta, AnswerDelta]


def test_the_stream_is_the_runs() -> None:
    """The stream is the log of the query."""
    run = finished_run()
    assert LiveResponse(run).stream is run.stream


def test_the_outcome_of_a_failure() -> None:
    """outcome() says what the query failed with, and does not raise it."""
    error = ValueError("broken")
    outcome = LiveResponse(failed_run("a", error=error)).outcome()
    assert (outcome.status, outcome.error) == ("failed", error)


def test_the_outcome_is_waited_for() -> None:
    """outcome() waits for the end."""
    run = ScriptedRun()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(LiveResponse(run).outcome)
        run.finish()
        assert asked.result(PATIENCE).status == "completed"


# Failures


@pytest.mark.parametrize("ask", WHOLE.values(), ids=WHOLE)
def test_a_failure_is_raised_to_everybody(ask: Callable[[LiveResponse], Any]) -> None:
    """Whoever asks for the answer of a query that failed is told, the second time too (U56)."""
    response = LiveResponse(failed_run("a", "b"))
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            ask(response)


@pytest.mark.parametrize("name", ["read", "response_gen"])
def test_a_failure_comes_after_the_tokens(name: str) -> None:
    """Readers get the tokens before a failure, then the failure."""
    response = LiveResponse(failed_run("a", "b"))
    tokens = response.read() if name == "read" else response.response_gen
    assert [next(tokens), next(tokens)] == ["a", "b"]
    with pytest.raises(ValueError, match="broken"):
        next(tokens)


def test_a_failure_stays_raised_to_an_iterator() -> None:
    """An iterator that has raised the failure raises it again, and is never just at its end."""
    tokens = LiveResponse(failed_run()).response_gen
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            next(tokens)


def test_a_failed_answer_has_no_text_field() -> None:
    """response_txt of a truncated answer is None: it is not taken for a whole one."""
    assert LiveResponse(failed_run("a")).response_txt is None


def test_events_end_with_the_failure() -> None:
    """events() of a query that failed ends with the event that says so."""
    *_, last = LiveResponse(failed_run("a")).events()
    assert isinstance(last, QueryFailed)


# Stopping


def test_leaving_the_scope_stops() -> None:
    """A query is stopped when the `with` on its response is left before the end."""
    run = ScriptedRun("a")
    with LiveResponse(run) as response:
        next(response.response_gen)
    assert isinstance(run.error, StreamStopped)


def test_leaving_the_scope_after_the_end_changes_nothing() -> None:
    """An answer that is whole stays whole when the `with` is left."""
    with LiveResponse(finished_run("a")) as response:
        pass
    assert str(response) == "a"


def test_the_scope_lets_errors_out() -> None:
    """An error raised inside the `with` block leaves it unchanged."""
    with pytest.raises(KeyError), LiveResponse(ScriptedRun()):
        raise KeyError


@pytest.mark.parametrize("ask", WHOLE.values(), ids=WHOLE)
def test_a_stop_is_raised_to_everybody(ask: Callable[[LiveResponse], Any]) -> None:
    """Whoever asks for the answer after close() is told that it was stopped."""
    response = LiveResponse(ScriptedRun("a"))
    response.close()
    with pytest.raises(StreamStopped):
        ask(response)


def test_a_reader_that_waits_is_told_of_the_stop() -> None:
    """A thread that waits for the next token gets the stop, as an error."""
    response = LiveResponse(ScriptedRun("a"))
    reading = threading.Event()

    def read() -> None:
        for _ in response.response_gen:
            reading.set()

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        reading.wait(PATIENCE)
        response.close()
        with pytest.raises(StreamStopped):
            reader.result(PATIENCE)


def test_breaking_out_of_a_loop_stops_nothing() -> None:
    """A loop that is left outside of a scope only pauses."""
    run = ScriptedRun("a", "b")
    response = LiveResponse(run)
    for _ in response.response_gen:
        break
    assert not run.done


def test_collected_unread_it_is_abandoned() -> None:
    """A response that is collected before the end abandons its query, at once."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    del response
    assert run.abandoned.is_set()


def test_collected_after_a_break_it_is_abandoned() -> None:
    """A response that is collected after a loop was left abandons its query."""
    run = ScriptedRun("a", "b")
    response = LiveResponse(run)
    for _ in response.response_gen:
        break
    del response
    assert run.abandoned.is_set()


def test_nobody_is_attached_when_it_is_abandoned() -> None:
    """The reader of a loop that was left has gone from the log when the query is abandoned."""
    attached: list[int] = []

    class Run(ScriptedRun):
        def abandon(self) -> None:
            attached.append(len(self.stream.backpressure.cursors))

    response = LiveResponse(Run("a", "b"))
    for _ in response.response_gen:
        break
    del response
    assert attached == [0]


def test_collected_after_the_end_it_is_not_abandoned() -> None:
    """A query that has ended is not abandoned."""
    run = finished_run("a")
    response = LiveResponse(run)
    del response
    gc.collect()
    assert not run.abandoned.is_set()


@pytest.mark.parametrize("reader", ["read", "events", "response_gen"])
def test_a_reader_keeps_the_query(reader: str) -> None:
    """A query whose response is gone goes on while somebody reads it."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    got: Any = getattr(response, reader)
    reading: Any = got() if callable(got) else got
    del response
    next(reading)
    held = not run.abandoned.is_set()
    del reading, got
    assert (held, run.abandoned.is_set()) == (True, True)


async def test_response_inside_a_running_loop_is_the_text_so_far() -> None:
    """response.response does not block an event loop: there it is the text so far."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    assert response.response == "a"
    run.say("b")
    run.finish()
    assert response.response == "ab"
