"""What no_llm_network refuses, and what it lets through."""

from __future__ import annotations

import asyncio
import os
import socket

import anyio
import httpx
import openai
import pytest

from llama_index_streaming_ext.testing import NetworkBlocked, no_network

pytestmark = pytest.mark.usefixtures("network_blocked")


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"])
def test_an_address_elsewhere_is_refused(address: str) -> None:
    """A socket does not connect to another machine's address, and the error names it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(NetworkBlocked) as refused:
        sock.connect((address, 443))
    assert refused.value.host == address


def test_connect_ex_is_refused_too() -> None:
    """The face of connect that returns errors raises this one."""
    with socket.socket() as sock, pytest.raises(NetworkBlocked):
        sock.connect_ex(("192.0.2.1", 443))


@pytest.mark.parametrize("host", ["api.openai.com", b"api.openai.com", "localhost.example.com"])
def test_a_name_elsewhere_is_not_even_resolved(host: str | bytes) -> None:
    """The error names the host and says what to do."""
    with pytest.raises(NetworkBlocked, match=r"(?s)example.com|api.openai.com.*fake_llm"):
        socket.getaddrinfo(host, 443)


async def test_asyncio_is_refused() -> None:
    """Connections of asyncio are refused at the name."""
    with pytest.raises(NetworkBlocked, match=r"api\.openai\.com"):
        await asyncio.open_connection("api.openai.com", 443)


async def test_asyncio_is_refused_at_an_address() -> None:
    """Connections of asyncio are refused at an address, of which there is no name to resolve."""
    with pytest.raises(NetworkBlocked, match=r"192\.0\.2\.1"):
        await asyncio.open_connection("192.0.2.1", 443)


async def test_anyio_is_refused() -> None:
    """Connections of anyio, which httpx makes, are refused."""
    with pytest.raises(NetworkBlocked):
        await anyio.connect_tcp("api.openai.com", 443)


async def test_a_client_of_openai_shows_the_reason() -> None:
    """The SDK's connection error has the refusal as its cause."""
    async with openai.AsyncOpenAI(api_key="fake-key", max_retries=0) as client:
        with pytest.raises(openai.APIConnectionError) as failed:
            await client.models.list()
    assert isinstance(failed.value.__cause__, NetworkBlocked)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "app.localhost", None, ""])
def test_names_of_this_machine_are_resolved(host: str | None) -> None:
    """What is loopback by its name or address is left to the resolver."""
    try:
        socket.getaddrinfo(host, 80)
    except socket.gaierror:
        return


def test_a_proxy_is_no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy on this machine, which is loopback, is not used."""
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        with no_network(), pytest.raises(NetworkBlocked, match=r"api\.openai\.com"):
            httpx.get("https://api.openai.com/v1/models")
        assert os.environ["HTTPS_PROXY"] == "http://127.0.0.1:9"


def test_the_block_ends() -> None:
    """Afterwards sockets are what they were."""
    before = socket.socket.connect, socket.getaddrinfo
    with no_network():
        assert (socket.socket.connect, socket.getaddrinfo) != before
    assert (socket.socket.connect, socket.getaddrinfo) == before


@pytest.mark.parametrize("name", ["gethostbyname", "gethostbyname_ex"])
def test_names_are_not_resolved_by_the_older_calls_either(name: str) -> None:
    """`gethostbyname` asks nobody."""
    with no_network():
        with pytest.raises(NetworkBlocked, match="example"):
            getattr(socket, name)("provider.example")
        assert getattr(socket, name)("127.0.0.1")
