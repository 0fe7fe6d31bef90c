"""Virtual time waits for another process."""

from __future__ import annotations

import asyncio
import sys

from llama_index_streaming_ext.testing import (
    VirtualClock,
)


def test_a_pipe_holds_it() -> None:
    """A child process answers in real time: no timer of its loop overtakes it."""

    async def main() -> bytes:
        command = (sys.executable, "-c", "print('Hello')")
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*command, stdout=pipe)
        out, _ = await asyncio.wait_for(child.communicate(), 0.001)
        return out

    with VirtualClock():
        assert asyncio.run(main()).split() == [b"Hello"]
