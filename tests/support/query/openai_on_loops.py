"""The real OpenAI classes over a real server, and ways to ask them on loops."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, cast

import pytest
from llama_index.core.llms import LLM

from llama_index_streaming_ext.query.llms.loop_llms import for_background_loop
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text
from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal

LONG = 120.0
HELLO = Turn(text("Hel", "lo"))


def chat(fake: FakeOpenAI) -> Callable[..., Any]:
    """What makes an LLM of Chat Completions."""
    return fake.llm


def responses(fake: FakeOpenAI) -> Callable[..., Any]:
    """What makes an LLM of the Responses API."""
    return fake.responses_llm


BOTH = pytest.mark.parametrize("api", [chat, responses])
"""The real class of an API: `api(fake)(**fields)`."""


@contextlib.contextmanager
def saying_hello() -> Generator[FakeOpenAI]:
    """A server that says hello and keeps its connections."""
    fake = FakeOpenAI([HELLO], repeat_last=True, keep_alive=True)
    with fake.serve():
        yield fake
        # LLMs are in cycles; their clients are closed when they are collected.
        gc.collect()
        call(_nothing, StopSignal())


async def _nothing() -> None:
    """A turn of the loop."""


def there(llm: LLM) -> LLM:
    """The LLM on the background loop, which there must be."""
    found = for_background_loop(llm)
    assert found is not None
    return found


def client_of(llm: LLM) -> Any:
    """The async client that an LLM has."""
    return cast("Any", llm)._aclient


def streamed(llm: LLM) -> str:
    """What is streamed by the LLM on the background loop."""
    items = iterate(lambda: cast("Any", there(llm).astream_complete("Hi")), StopSignal())
    return "".join(chunk.delta or "" for chunk in items)


async def astreamed(llm: LLM) -> str:
    """What an LLM streams in this loop."""
    return "".join([chunk.delta or "" async for chunk in await llm.astream_complete("Hi")])


def in_threads(*work: Callable[[], object]) -> list[BaseException]:
    """Runs all at once, and returns what they raised."""
    errors: list[BaseException] = []
    together = threading.Barrier(len(work))

    def run(one: Callable[[], object]) -> None:
        try:
            together.wait(LONG)
            one()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    return errors


def tries(fake: FakeOpenAI) -> set[str]:
    """Which tries the requests were: "0" is the first."""
    return {request.headers["x-stainless-retry-count"] for request in fake.requests}


class Stopping(threading.Thread):
    """Another thread that stops what this one waits for."""

    def __init__(self, stop: StopSignal, when: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._stop_signal, self._when, self._began = stop, when, 0.0
        self.start()

    def run(self) -> None:
        """Stops."""
        try:
            self._when()
        finally:
            self._began = time.monotonic()
            self._stop_signal.stop()

    def seen_after(self, fake: FakeOpenAI) -> float:
        """How long it took the server to see the client go, in seconds."""
        assert fake.requests[0].wait_closed()
        self.join()
        return (fake.requests[0].closed_by_client or 0) - self._began
