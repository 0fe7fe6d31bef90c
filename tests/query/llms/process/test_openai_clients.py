"""The clients that LLMs have on loops: which they are, and when they are closed."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from llama_index_streaming_ext.query.llms.loop_llms import for_this_loop
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, text
from llama_index_streaming_ext.testing.network import checked_connects
from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.query.openai_on_loops import (
    BOTH,
    LONG,
    astreamed,
    client_of,
    saying_hello,
    streamed,
    there,
)


@pytest.fixture
def hello() -> Iterator[FakeOpenAI]:
    """A server that says hello."""
    with saying_hello() as fake:
        yield fake


def test_connections_are_kept_from_call_to_call(hello: FakeOpenAI) -> None:
    """A handshake is not paid again."""
    llm, hosts = hello.llm(), list[str]()
    with checked_connects(hosts.append):
        # Not streamed: the SDK lets go of a stream where the payload ends, before the body does.
        call(lambda: there(llm).acomplete("Hi"), StopSignal())
        assert hosts
        hosts.clear()
        call(lambda: there(llm).acomplete("Hi"), StopSignal())
    assert hosts == []


@BOTH
def test_each_loop_has_a_client_of_its_own(api: Any, hello: FakeOpenAI) -> None:
    """And the same one for each call."""
    llm = api(hello)()

    async def here() -> Any:
        assert client_of(for_this_loop(llm)) is client_of(for_this_loop(llm))
        return client_of(for_this_loop(llm))

    clients = [client_of(there(llm)), client_of(there(llm)), asyncio.run(here())]
    assert clients[0] is clients[1] is not clients[2]


def test_an_llm_that_keeps_no_client_keeps_none(hello: FakeOpenAI) -> None:
    """`reuse_client=False`."""
    llm = hello.llm(reuse_client=False)
    assert streamed(llm) == "Hello"
    assert client_of(there(llm)) is not client_of(there(llm))


@BOTH
def test_clients_are_closed_when_their_loop_ends(api: Any, hello: FakeOpenAI) -> None:
    """`asyncio.run` leaves no connection open."""
    llm = api(hello)()

    async def used() -> Any:
        mine = for_this_loop(llm)
        await astreamed(mine)
        return client_of(mine)

    assert asyncio.run(used()).is_closed()


def test_clients_are_closed_when_their_llm_is_collected(hello: FakeOpenAI) -> None:
    """Whoever makes an LLM per request does not pile up connections."""
    llm = hello.llm()
    streamed(llm)
    http = client_of(there(llm))._client
    del llm
    gc.collect()
    # Closing takes a turn or two.
    call(lambda: _closed(http), StopSignal())


async def _closed(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(LONG):
        while not http.is_closed:
            # The SDK leaves generators of its streams to the loop, which hold the client.
            gc.collect()
            await asyncio.sleep(0)


def test_a_stream_outlives_its_llm() -> None:
    """Its client is not closed under it, nor by a change of the LLM."""
    fake = FakeOpenAI([Turn(text("word "), gate("more"), text("more"))])
    with fake.serve():
        llm = fake.llm()
        asked = [there(llm)]
        chunks = iterate(lambda: cast("Any", asked.pop().astream_complete("Hi")), StopSignal())
        assert any(chunk.delta for chunk in chunks)
        llm.api_key = "other-key"
        there(llm)
        del llm
        gc.collect()
        fake.open("more")
        assert "".join(chunk.delta or "" for chunk in chunks) == "more"
        assert not fake.requests[0].wait_closed()


def test_the_interpreter_ends_without_a_word_about_connections() -> None:
    """They are closed before."""
    script = """
from llama_index_streaming_ext.threads.from_thread import call
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from llama_index_streaming_ext.query.llms.loop_llms import for_background_loop
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text
fake = FakeOpenAI([Turn(text("Hello"))], keep_alive=True)
served = fake.serve()
served.__enter__()
llm = fake.llm()
print(call(lambda: for_background_loop(llm).acomplete("Hi"), StopSignal()))
"""
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert (done.stdout, done.stderr) == ("Hello\n", "")
