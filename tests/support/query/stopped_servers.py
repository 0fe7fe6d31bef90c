"""How long a server sees a client stay that has stopped its query."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text
from tests.support.query.openai_on_loops import LONG
from tests.support.query.scripted import SUB_QUESTIONS
from tests.support.stopped_requests import SOON

CLOSED_WITHIN = SOON
"""Seconds after which the provider must have seen the client go."""


def closed_after(fake: FakeOpenAI, stop: Callable[[], object]) -> float:
    """How long after a stop the server sees the last of the clients go that it serves, seconds."""
    fake.wait_requests(1, LONG)
    open_ones = [request for request in fake.requests if request.ended_by is None]
    began = time.monotonic()
    stop()
    return max(_closed(request) - began for request in open_ones)


async def aclosed_after(fake: FakeOpenAI, stop: Callable[[], Awaitable[object]]) -> float:
    """What `closed_after` says, of an async stop."""
    await asyncio.to_thread(fake.wait_requests, 1, LONG)
    open_ones = [request for request in fake.requests if request.ended_by is None]
    began = time.monotonic()
    await stop()
    closed = [await asyncio.to_thread(_closed, request) for request in open_ones]
    return max(closed) - began


def _closed(request: Any) -> float:
    assert request.wait_closed(LONG)
    return request.closed_by_client


class Told:
    """A script that generates sub-questions, and says the same to everything else.

    Args:
        turn: what it says to everything else.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __call__(self, request: Any) -> Turn:
        """What a request is answered with."""
        if "<Tools>" in request.text:
            return Turn(text(f"```json\n{json.dumps({'items': SUB_QUESTIONS})}\n```"))
        return self._turn


def served(turn: Turn | Told, one: Callable[[FakeOpenAI], float]) -> float:
    """What is measured at a server, where the garbage collector closes nothing."""
    fake = FakeOpenAI(turn) if isinstance(turn, Told) else FakeOpenAI([turn], repeat_last=True)
    gc.disable()
    try:
        with fake.serve():
            seconds = one(fake)
            fake.open("never")
            return seconds
    finally:
        gc.enable()
