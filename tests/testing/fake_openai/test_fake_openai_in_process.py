"""What FakeOpenAI.mock() does that a server cannot, and what it refuses."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from llama_index_streaming_ext.errors import MissingDependency
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, gate, http, text, wait
from llama_index_streaming_ext.testing.fake_openai import OPENAI_URL

CHAT = f"{OPENAI_URL}/chat/completions"
STREAM: dict[str, Any] = {
    "model": "any",
    "stream": True,
    "messages": [{"role": "user", "content": "Hi"}],
}


def test_a_gate_with_a_thread_event_holds_a_sync_client() -> None:
    """A stream that is held by the test's own event goes on when that is set."""
    event = threading.Event()
    fake = FakeOpenAI([Turn(text("a"), gate(event), text("b"))])
    with fake.mock(), httpx.stream("POST", CHAT, json=STREAM) as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if '"a"' in line)
        event.set()
        assert next(line for line in lines if '"b"' in line)


async def test_a_gate_with_an_asyncio_event_holds_an_async_client() -> None:
    """An event of the test's own loop is awaited, not polled."""
    event = asyncio.Event()
    fake = FakeOpenAI([Turn(text("a"), gate(event), text("b"))])
    async with (
        fake.mock(),
        httpx.AsyncClient() as client,
        client.stream("POST", CHAT, json=STREAM) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(line async for line in lines if '"a"' in line)
        event.set()
        assert await anext(line async for line in lines if '"b"' in line)


async def test_a_gate_with_an_asyncio_event_holds_a_client_in_a_thread() -> None:
    """A thread may wait for an event of another thread's loop."""
    event = asyncio.Event()
    fake = FakeOpenAI([Turn(gate(event), text("a"))])
    async with fake.mock():
        asked = asyncio.create_task(asyncio.to_thread(httpx.post, CHAT, json=STREAM))
        await asyncio.to_thread(fake.wait_requests)
        event.set()
        assert '"a"' in (await asked).text


@pytest.mark.parametrize("event", [threading.Event, asyncio.Event])
def test_a_sync_client_times_out_at_a_gate(event: Any) -> None:
    """A client's read timeout holds in process, whatever it waits for."""
    fake = FakeOpenAI([Turn(text("a"), gate(event()))])
    with fake.mock(), pytest.raises(httpx.ReadTimeout):
        httpx.post(CHAT, json=STREAM, timeout=0.02)
    assert fake.requests[0].ended_by == "client"


async def test_pauses_come_before_the_head() -> None:
    """A pause that stands first holds the whole answer, as a provider's queue does."""
    fake = FakeOpenAI([Turn(wait(0), gate("hold"), http(503))])
    async with fake.mock(), httpx.AsyncClient() as client:
        asked = asyncio.create_task(client.post(CHAT, json=STREAM))
        await asyncio.to_thread(fake.wait_requests)
        assert not asked.done()
        fake.open("hold")
        assert (await asked).status_code == 503


def test_pauses_come_before_the_head_for_sync_clients() -> None:
    """A sync client waits in its own thread."""
    fake = FakeOpenAI([Turn(wait(0), http(503))])
    with fake.mock():
        assert httpx.post(CHAT, json=STREAM).status_code == 503


async def test_a_patient_async_client_times_out() -> None:
    """A client's read timeout holds in process, too."""
    fake = FakeOpenAI([Turn(text("a"), gate("never"))])
    async with fake.mock(), httpx.AsyncClient(timeout=0.02) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(CHAT, json=STREAM)
    assert fake.requests[0].ended_by == "client"


def test_a_stream_that_is_dropped_is_closed() -> None:
    """A response that nobody holds any more is a client that went away, as with a socket."""
    fake = FakeOpenAI([Turn(text("a", "b"))])
    with fake.mock(), httpx.Client() as client:
        answer = client.send(client.build_request("POST", CHAT, json=STREAM), stream=True)
        next(answer.iter_raw())
        del answer
        gc.collect()
        assert fake.requests[0].wait_closed()


def test_a_stream_that_is_never_read_is_closed() -> None:
    """Closing a response of which only the head was taken is a client's close."""
    fake = FakeOpenAI([Turn(text("a"))])
    with fake.mock(), httpx.stream("POST", CHAT, json=STREAM):
        pass
    assert (fake.requests[0].ended_by, fake.requests[0].bytes_sent) == ("client", 0)


def test_an_error_of_the_fake_itself_reaches_the_client() -> None:
    """In process there is no wire that could hide it."""

    class Broken(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise RuntimeError("broken")

    fake = FakeOpenAI([Turn(text("a"), gate(Broken()))])
    with fake.mock(), pytest.raises(RuntimeError, match="broken"):
        httpx.post(CHAT, json=STREAM)
    assert fake.requests[0].ended_by == "server"


# What is not installed


def _serve(fake: FakeOpenAI) -> object:
    return fake.serve().__enter__()


def _mock(fake: FakeOpenAI) -> object:
    return fake.mock().__enter__()


@pytest.mark.parametrize(
    ("package", "ours", "use"),
    [
        ("h11", "fake_openai.http_server", _serve),
        ("respx", "fake_openai.respx_routes", _mock),
        ("llama_index.llms.openai", None, FakeOpenAI.llm),
        ("llama_index.llms.openai", None, FakeOpenAI.responses_llm),
    ],
)
def test_what_is_missing_says_how_to_get_it(
    package: str,
    ours: str | None,
    use: Callable[[FakeOpenAI], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A package that is not installed is named with its pip line."""
    monkeypatch.setattr(FakeOpenAI, "url", OPENAI_URL)
    monkeypatch.delitem(sys.modules, f"llama_index_streaming_ext.testing.{ours}", False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match="pip install 'llama-index-streaming-ext"):
        use(FakeOpenAI([]))


# httpx2


class _Client:
    def send(self, request: Any, **kwargs: Any) -> str:
        return f"sent to {request.url}"


class _AsyncClient:
    async def send(self, request: Any, **kwargs: Any) -> str:
        return f"sent to {request.url}"


@pytest.fixture
def httpx2(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The little of httpx2 that openai's SDK calls."""
    module: Any = types.ModuleType("httpx2")
    module.__spec__ = types.SimpleNamespace(name="httpx2")
    module.Client, module.AsyncClient, module.Response = _Client, _AsyncClient, httpx.Response
    monkeypatch.setitem(sys.modules, "httpx2", module)
    return module


def test_an_httpx2_client_is_refused_with_a_hint(httpx2: Any) -> None:
    """What respx would let out of the process is answered with what to do, and not tried again."""
    with FakeOpenAI([]).mock():
        answer = httpx2.Client().send(httpx.Request("POST", CHAT))
    assert (answer.status_code, answer.headers["x-should-retry"]) == (400, "false")
    assert "fake.serve()" in answer.json()["error"]["message"]


async def test_an_async_httpx2_client_is_refused_with_a_hint(httpx2: Any) -> None:
    """The async client is refused as well."""
    async with FakeOpenAI([]).mock():
        answer = await httpx2.AsyncClient().send(httpx.Request("POST", CHAT))
    assert answer.status_code == 400


async def test_httpx2_may_go_elsewhere(httpx2: Any) -> None:
    """Only the URL that is mocked is refused; after the block, nothing is."""
    elsewhere = httpx.Request("GET", "http://127.0.0.1:1/")
    with FakeOpenAI([]).mock():
        assert httpx2.Client().send(elsewhere) == "sent to http://127.0.0.1:1/"
        assert await httpx2.AsyncClient().send(elsewhere) == "sent to http://127.0.0.1:1/"
    assert httpx2.Client().send(httpx.Request("POST", CHAT)) == f"sent to {CHAT}"
