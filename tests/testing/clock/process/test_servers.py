"""Virtual time and servers on this machine."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from llama_index_streaming_ext.testing import (
    ConnectedOnVirtualTime,
    FakeOpenAI,
    Turn,
    VirtualClock,
    text,
)


async def test_a_loopback_server_is_refused(clock: VirtualClock) -> None:
    """Connecting says what is wrong, instead of timing out at random."""
    with FakeOpenAI([Turn(text("Hello"))]).serve() as url:
        async with httpx.AsyncClient() as client:
            with pytest.raises(ConnectedOnVirtualTime, match=r"127\.0\.0\.1.*virtual_clock"):
                await client.get(f"{url}/models")


async def test_a_listening_server_does_not_hold_it(clock: VirtualClock) -> None:
    """A server that nobody can connect to has nothing to say."""
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0):
        await asyncio.sleep(5)
    assert clock.elapsed == 5.0
