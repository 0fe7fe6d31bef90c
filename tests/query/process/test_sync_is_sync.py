"""A sync query runs the engine's own sync path, in a thread of its own, wherever it is asked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.query.engine import StreamingQueryEngine
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, fail, text
from llama_index_streaming_ext.threads.background_loop import WouldDeadlock
from llama_index_streaming_ext.threads.from_thread import call
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.paths import ROOT
from tests.support.query.engines import QUESTION, page
from tests.support.query.openai_on_loops import HELLO, LONG, in_threads, saying_hello, tries
from tests.support.query.users_engines import Own
from tests.support.ready_python import ReadyPython


def streaming(*parts: Any) -> StreamingQueryEngine:
    """An engine over a fake LLM that says the same to everything."""
    return StreamingQueryEngine(page(FakeStreamingLLM([Turn(*parts)], repeat_last=True), False))


class Together(BaseRetriever):
    """A retriever that finds something once so many others are looking, too.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] -- core's loose types
        self.all_here = threading.Barrier(count)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self.all_here.wait(LONG)
        return [NodeWithScore(node=TextNode(text="It is thirty-eight metres high."))]


def test_twenty_queries_retrieve_at_once() -> None:
    """None waits for another's retriever."""
    llm = FakeStreamingLLM([HELLO], repeat_last=True)
    engine = StreamingQueryEngine(RetrieverQueryEngine.from_args(Together(20), llm=llm))

    def ask(number: int) -> str:
        return str(engine.query(f"{QUESTION} ({number})"))

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))
    assert answers == ["Hello"] * 20


def test_one_openai_is_asked_from_loops_and_threads_at_once() -> None:
    """No error, and no retry."""
    with saying_hello() as fake:
        engine = StreamingQueryEngine(page(fake.llm(), False))

        async def ask() -> str:
            return (await (await engine.aquery(QUESTION)).get_response()).response or ""

        async def often() -> None:
            for _ in range(3):
                assert await asyncio.gather(ask(), ask()) == ["Hello"] * 2

        def sync() -> None:
            for _ in range(6):
                assert str(engine.query(QUESTION)) == "Hello"

        loops: list[Callable[[], object]] = [lambda: asyncio.run(often())] * 2
        assert in_threads(*loops, sync, sync) == []
        assert len(fake.requests) == 24
        assert tries(fake) == {"0"}


def test_it_is_asked_and_read_inside_a_running_loop() -> None:
    """As a cell of a notebook does."""

    async def cell() -> None:
        response = streaming(text("a", "b")).query(QUESTION)
        assert list(response.response_gen) == ["a", "b"]
        assert str(response) == "ab"

    asyncio.run(cell())


def test_the_background_loop_does_not_wait_for_itself() -> None:
    """It is told so, and not left to hang."""

    async def ask() -> Any:
        return streaming(text("a")).query(QUESTION)

    with pytest.raises(WouldDeadlock):
        call(ask, StopSignal())


def test_ours_within_a_tool_of_core_is_complete() -> None:
    """Core takes the text at once."""
    tool = QueryEngineTool.from_defaults(streaming(text("a", "b")), name="x", description="x")
    assert tool.call(QUESTION).content == "ab"
    assert asyncio.run(tool.acall(QUESTION)).content == "ab"


class Whole(CustomLLM):
    """An LLM that cannot stream."""

    @property
    def metadata(self) -> LLMMetadata:
        """Nothing special."""
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The whole answer."""
        return CompletionResponse(text="whole")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """It cannot."""
        raise NotImplementedError("no streams")


@pytest.mark.parametrize("mode", ["compact", "tree_summarize", "simple_summarize"])
def test_strict_refuses_an_llm_that_cannot_stream(mode: str) -> None:
    """Where it is asked, not where it is read."""
    engine = StreamingQueryEngine(page(Whole(), False, response_mode=mode), strict=True)
    for _ in range(20):
        with pytest.raises(NotImplementedError):
            engine.query(QUESTION)
        with pytest.raises(NotImplementedError):
            asyncio.run(engine.aquery(QUESTION))


def test_one_that_cannot_stream_answers_in_one_delta() -> None:
    """By default."""
    engine = StreamingQueryEngine(page(Whole(), False))
    assert list(engine.query(QUESTION).response_gen) == ["whole"]


def test_an_engine_that_raises_stop_iteration_fails() -> None:
    """No future can hold one: who asks would wait for ever."""

    class Odd(Own):
        llm: Any = None

        def custom_query(self, query_str: str) -> str:
            raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(StreamingQueryEngine(Odd()).aquery("why"))


@pytest.mark.parametrize("question", [None, 3, b"why", ["why"]])
def test_what_is_no_question_is_refused(question: Any) -> None:
    """With an error that says what is."""
    with pytest.raises(TypeError, match="a str or a QueryBundle"):
        streaming(text("a")).query(question)


def test_an_error_comes_after_the_tokens_before_it_to_every_reader() -> None:
    """A truncated answer is never taken for a whole one."""
    response = streaming(text("a", "b", "c"), fail(RuntimeError("out"))).query(QUESTION)
    for _ in range(2):
        got: list[str] = []
        with pytest.raises(RuntimeError, match="out"):
            got.extend(response.read())
        reading = response.read()
        assert [next(reading) for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(RuntimeError, match="out"):
        str(response)


# Processes

SCRIPT = """
import sys
sys.path[:0] = {paths!r}
from tests.support.query.engines import QUESTION, page
from llama_index_streaming_ext.query.engine import StreamingQueryEngine, stream_query
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text
STALLED = Turn({first}gate("never"))
engine = page(FakeStreamingLLM([STALLED], repeat_last=True), False)
"""


def script(body: str, first: str = "") -> str:
    """A program over an engine that stalls."""
    return SCRIPT.format(paths=[str(ROOT)], first=first) + body


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_a_query_that_waits() -> None:
    """At once, also while the provider has nothing to send."""
    body = """
try:
    print("asking", flush=True)
    list(StreamingQueryEngine(engine).query(QUESTION).response_gen)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script(body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        # It may still be on its way to where it waits: Ctrl-C must be good anywhere.
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=LONG)
    assert (out, err) == ("stopped\n", "")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_interpreter_ends_while_queries_run(is_async: bool, python: ReadyPython) -> None:
    """Without waiting for them, and without a word."""
    asked = "asyncio.run(main())" if is_async else "[ask() for _ in range(5)]"
    body = f"""
import asyncio
def ask():
    return StreamingQueryEngine(engine).query(QUESTION)
async def main():
    return [await StreamingQueryEngine(engine).aquery(QUESTION) for _ in range(5)]
kept = {asked}
print("over")
"""
    done = python.run(script(body, 'text("word "), '))
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")
