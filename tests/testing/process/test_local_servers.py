"""no_llm_network lets servers on this machine be reached."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text

pytestmark = pytest.mark.usefixtures("network_blocked")


def test_a_server_on_this_machine_is_reached() -> None:
    """Loopback goes through, by address."""
    with FakeOpenAI([Turn(text("Hello"))]).serve() as url:
        assert httpx.get(f"{url}/models").status_code == 200


async def test_a_server_on_this_machine_is_reached_by_name() -> None:
    """Loopback goes through, by name and on asyncio."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "localhost", 0)
    async with server:
        reader, writer = await asyncio.open_connection(
            "localhost", server.sockets[0].getsockname()[1]
        )
        assert await reader.read() == b""
        writer.close()
