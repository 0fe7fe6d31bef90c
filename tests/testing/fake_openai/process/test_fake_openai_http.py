"""FakeOpenAI's API and its HTTP, as a client sees them that is not OpenAI's."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    disconnect,
    gate,
    http,
    text,
    truncated,
    wait,
)
from llama_index_streaming_ext.testing.fake_openai import Served

MESSAGES = [{"role": "user", "content": "Hi"}]
BODY: dict[str, Any] = {"model": "any", "messages": MESSAGES}
STREAM: dict[str, Any] = {**BODY, "stream": True}


@contextmanager
def connected(url: str) -> Generator[socket.socket]:
    """A socket to the server of a base URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=120) as client:
        yield client


def read_all(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def asking(path: str = "/v1/models", version: str = "1.1", *headers: str) -> bytes:
    """A GET request."""
    return "\r\n".join([f"GET {path} HTTP/{version}", "host: fake", *headers, "", ""]).encode()


# The API


def test_models_are_listed() -> None:
    """`GET /v1/models` has the names that the fake was given."""
    with FakeOpenAI([], models=["tiny"]).serve() as url:
        answer = httpx.get(f"{url}/models").json()
    assert [model["id"] for model in answer["data"]] == ["tiny"]


def test_any_model_is_there() -> None:
    """`GET /v1/models/{id}` describes whatever model is asked for."""
    with FakeOpenAI([]).serve() as url:
        assert httpx.get(f"{url}/models/huge").json()["id"] == "huge"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "chat/completions"), ("POST", "embeddings"), ("PUT", "models")]
)
def test_an_unknown_path_is_404(method: str, path: str) -> None:
    """What the fake does not know it refuses with an error object like OpenAI's."""
    with FakeOpenAI([]).serve() as url:
        answer = httpx.request(method, f"{url}/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"Invalid URL ({method} /v1/{path})"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_body_that_is_no_json_object_is_400(content: bytes) -> None:
    """A body that cannot be read takes no turn of the script."""
    fake = FakeOpenAI(["Hello"])
    with fake.serve() as url:
        answer = httpx.post(f"{url}/chat/completions", content=content)
    assert (answer.status_code, len(fake.left)) == (400, 1)
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("path", "body", "missing"),
    [
        ("chat/completions", {"messages": MESSAGES}, "model"),
        ("chat/completions", {"model": "any"}, "messages"),
        ("responses", {"model": "any", "messages": MESSAGES}, "input"),
    ],
)
def test_a_missing_parameter_is_400(path: str, body: dict[str, Any], missing: str) -> None:
    """The error object names the parameter that is missing."""
    with FakeOpenAI([]).serve() as url:
        answer = httpx.post(f"{url}/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, missing)


def test_an_error_status_has_its_headers() -> None:
    """`http(429, retry_after=...)` is a status, a header and an error object."""
    with FakeOpenAI([Turn(http(429, retry_after=2)), "Hello"]).serve() as url:
        answer = httpx.post(f"{url}/chat/completions", json=STREAM)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert answer.json()["error"]["type"] == "rate_limit_error"


def test_a_status_that_http_has_no_phrase_for() -> None:
    """Any error status can be told."""
    with FakeOpenAI([Turn(http(529))]).serve() as url:
        assert httpx.post(f"{url}/chat/completions", json=BODY).status_code == 529


def test_a_pause_before_an_answer_that_is_not_streamed() -> None:
    """Pauses come before the body, and before the head."""
    fake = FakeOpenAI([Turn(text("a"), wait(0), gate("hold"))])
    fake.open("hold")
    with fake.serve() as url:
        answer = httpx.post(f"{url}/chat/completions", json=BODY).json()
    assert answer["choices"][0]["message"]["content"] == "a"


def test_an_empty_turn_is_an_empty_stream() -> None:
    """A call more than the script has gets an empty answer where it is not strict."""
    fake = FakeOpenAI([], strict=False)
    with fake.serve() as url:
        answer = httpx.post(f"{url}/chat/completions", json=STREAM)
    assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("event", [threading.Event, None])
def test_a_gate_holds_until_it_is_open(event: type[threading.Event] | None) -> None:
    """A gate of the test's own event, or of a name, holds the stream at its place."""
    own = event() if event else None
    fake = FakeOpenAI([Turn(text("a"), gate(own or "hold"), text("b"))])
    with (
        fake.serve() as url,
        httpx.stream("POST", f"{url}/chat/completions", json=STREAM) as answer,
    ):
        lines = answer.iter_lines()
        assert next(line for line in lines if '"a"' in line)
        (own.set if own else lambda: fake.open("hold"))()
        assert next(line for line in lines if '"b"' in line)


def test_a_stream_that_ends_after_a_pause() -> None:
    """The end of a body may come later than its last byte."""
    fake = FakeOpenAI([Turn(text("a"), wait(0), truncated(""))])
    with fake.serve() as url:
        answer = httpx.post(f"{url}/chat/completions", json=STREAM)
    assert answer.text.endswith("}\n\n")
    assert fake.requests[0].ended_by == "finished"


# Cutting bytes


def chunks_of(fake: FakeOpenAI) -> list[bytes]:
    """The body in the pieces that reach the client."""
    with fake.serve() as url, httpx.stream("POST", f"{url}/chat/completions", json=STREAM) as got:
        return list(got.iter_raw())


def test_each_byte_is_a_piece() -> None:
    """With `split="byte"` a client gets a character of four bytes in four pieces."""
    pieces = chunks_of(FakeOpenAI([Turn(text("🙂"))], split="byte"))
    assert {len(piece) for piece in pieces} == {1}
    assert "🙂".encode() in b"".join(pieces)


def test_pieces_have_the_sizes_that_were_given() -> None:
    """Sizes are gone through again and again."""
    pieces = chunks_of(FakeOpenAI([Turn(text("a", "b"))], split=[10, 200]))
    assert [len(piece) for piece in pieces[:4]] == [10, 200, 10, 200]


def test_random_pieces_are_the_same_for_a_seed() -> None:
    """A seed gives the same pieces each time, another gives others."""
    turn = Turn(text(*"abcdefgh"))
    one, same, other = (chunks_of(FakeOpenAI([turn], split=f"random:{n}")) for n in (1, 1, 2))
    assert one == same != other


def test_what_was_cut_is_sent_before_a_pause() -> None:
    """A piece that is larger than what there is does not hold it back."""
    fake = FakeOpenAI([Turn(text("a"), gate("hold"), text("b"))], split=[100_000])
    with (
        fake.serve() as url,
        httpx.stream("POST", f"{url}/chat/completions", json=STREAM) as answer,
    ):
        raw = answer.iter_raw()
        assert b'"content":"a"' in next(raw)
        fake.open("hold")
        assert b'"content":"b"' in b"".join(raw)


@pytest.mark.parametrize("split", ["word", "random:", "random", [], [0], [3, -1]])
def test_a_split_that_is_none(split: str | list[int]) -> None:
    """A mistake in `split` is an error at once."""
    with pytest.raises(ValueError, match="split="):
        FakeOpenAI([], split=split)


# HTTP


def test_a_connection_is_kept_when_asked_for() -> None:
    """With `keep_alive` one connection carries many requests."""
    fake = FakeOpenAI(["a", "b"], keep_alive=True)
    with fake.serve() as url:
        client = HTTPConnection(urlsplit(url).netloc, timeout=120)
        sockets: list[socket.socket | None] = []
        for stream in (True, False):
            body = json.dumps({**BODY, "stream": stream})
            client.request("POST", "/v1/chat/completions", body)
            assert client.getresponse().read()
            sockets.append(client.sock)
        client.close()
    assert sockets[0] is not None
    assert sockets[0] is sockets[1]


def test_connections_are_closed_by_default() -> None:
    """A client that never closes what it keeps has nothing to close."""
    with FakeOpenAI([]).serve() as url:
        assert httpx.get(f"{url}/models").headers["connection"] == "close"


def test_requests_that_come_in_one_packet() -> None:
    """Pipelined requests are answered one after the other."""
    with FakeOpenAI([], keep_alive=True).serve() as url, connected(url) as client:
        client.sendall(asking("/v1/models/a") + asking("/v1/models/b", "1.1", "connection: close"))
        answer = read_all(client)
    assert answer.index(b'"id": "a"') < answer.index(b'"id": "b"')


def test_http_1_0_has_no_chunks() -> None:
    """An old client gets the stream as it is, and its end is the connection's."""
    fake = FakeOpenAI([Turn(text("a"))])
    body = b'{"model":"any","messages":[{"role":"user","content":"Hi"}],"stream":true}'
    head = b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body)
    with fake.serve() as url, connected(url) as client:
        client.sendall(head + body)
        answer = read_all(client)
    assert b"transfer-encoding" not in answer
    assert answer.endswith(b"data: [DONE]\n\n")


def test_a_client_that_asks_before_it_sends_a_body() -> None:
    """`Expect: 100-continue`, which curl sends with long bodies, is answered."""
    body = b'{"model":"any"}'
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: fake\r\ncontent-length: %d\r\n"
        b"expect: 100-continue\r\nconnection: close\r\n\r\n" % len(body)
    )
    with FakeOpenAI([]).serve() as url, connected(url) as client:
        client.sendall(head)
        assert client.recv(1000).startswith(b"HTTP/1.1 100")
        client.sendall(body)
        assert read_all(client).startswith(b"HTTP/1.1 400")


def test_a_body_in_chunks_and_in_many_packets() -> None:
    """A request may come in pieces, too."""
    fake = FakeOpenAI(["Hello"])

    def pieces() -> Iterator[bytes]:
        yield b'{"model":"any",'
        yield b'"messages":[{"role":"user","content":"Hi"}]}'

    with fake.serve() as url:
        answer = httpx.post(f"{url}/chat/completions", content=pieces())
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"


def test_what_is_not_http_is_refused() -> None:
    """Garbage is a status of 400, and the end of the connection."""
    with FakeOpenAI([]).serve() as url, connected(url) as client:
        client.sendall(b"hello?\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 400")


def test_an_idle_client_may_leave() -> None:
    """A connection without a request is nobody's answer."""
    fake = FakeOpenAI([])
    with fake.serve() as url:
        with connected(url):
            pass
        with connected(url) as client:
            client.sendall(b"POST /v1/chat")
        assert httpx.get(f"{url}/models").status_code == 200
    assert len(fake.requests) == 1


def test_a_reset_is_a_tcp_reset() -> None:
    """`disconnect()` is not a polite close."""
    fake = FakeOpenAI([Turn(disconnect())])
    body = b'{"model":"any","messages":[{"role":"user","content":"Hi"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: fake\r\ncontent-length: %d\r\n\r\n"
    with fake.serve() as url, connected(url) as client:
        client.sendall(head % len(body) + body)
        with pytest.raises(ConnectionResetError):
            client.recv(1000)
    assert fake.requests[0].ended_by == "server"


def test_a_client_that_does_not_read_is_waited_for() -> None:
    """Bytes count as sent when the client's side has taken them, not when they were produced."""
    fake = FakeOpenAI([Turn(*(text("x" * 1_000_000) for _ in range(40)))])
    with fake.serve() as url:
        with httpx.stream("POST", f"{url}/chat/completions", json=STREAM) as answer:
            pieces = answer.iter_raw()
            assert next(pieces)
            assert fake.requests[0].ended_by is None
        # While the server is there: else it may be the one that ends first.
        assert fake.requests[0].wait_closed(timeout=120)
    assert fake.requests[0].bytes_sent < 40_000_000


def test_a_port_that_is_taken() -> None:
    """A port that is in use is an OSError, and leaves no thread."""
    before = set(threading.enumerate())
    with FakeOpenAI([]).serve() as url:
        port = urlsplit(url).port or 0
        with pytest.raises(OSError, match="address"), FakeOpenAI([]).serve(port=port):
            pass
    assert set(threading.enumerate()) <= before


def test_a_fake_can_be_served_twice() -> None:
    """The script goes on where it was, at another address."""
    fake = FakeOpenAI(["a", "b"])
    contents: list[str] = []
    served: list[Served] = [fake.serve(), fake.serve()]
    for place in served:
        with place as url:
            answer = httpx.post(f"{url}/chat/completions", json=BODY).json()
            contents.append(answer["choices"][0]["message"]["content"])
    assert contents == ["a", "b"]


def test_an_error_of_the_fake_itself_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A gate that cannot be asked is in the log, and a reset for the client."""

    class Broken(threading.Event):
        def is_set(self) -> bool:
            raise RuntimeError("broken")

    fake = FakeOpenAI([Turn(text("a"), gate(Broken()))])
    with fake.serve() as url, pytest.raises(httpx.ReadError):
        httpx.post(f"{url}/chat/completions", json=STREAM)
    assert "could not answer" in caplog.text


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_is_in_brackets() -> None:
    """The base URL of an IPv6 address can be used as it is."""
    with FakeOpenAI([]).serve(host="::1") as url:
        assert httpx.get(f"{url}/models").status_code == 200
