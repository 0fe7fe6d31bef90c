"""L8 holds for agents, whatever they do, wherever and however they are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext import StreamingHandler
from tests.support.laws.laws import (
    PLAIN_READERS,
    READERS,
    PlainReader,
    Reader,
    check_run,
    everything,
    examples,
)
from tests.support.laws.stopped import Ledger, check_over, run_alone, same
from tests.support.laws.stopped_agents import AGENTS, STORIES, Story, Tools
from tests.support.laws.stops import STOPS, WHEN, Stop, When, let_be, wait_for

ASKED_AT_MOST = 16
"""Chunks that a call may be asked for after the stop. The fake gives one in each turn of the loop,
and a stop takes some turns for each run on its way: that of the agent, that of an agent in a tool.
"""


@dataclass(frozen=True)
class Noted(When):
    """A point in a run, at which is noted how far its LLMs have come.

    Attributes:
        ledger: who is asked.
        pulled: how many chunks each call had been asked for.
    """

    ledger: Ledger = field(default_factory=Ledger)
    pulled: dict[int, int] = field(default_factory=dict[int, int])

    async def comes(self, handler: StreamingHandler) -> None:
        """Wait for it."""
        await super().comes(handler)
        self.pulled.update(self.ledger.pulled_on_the_loop())

    def check(self) -> None:
        """No call has been asked for many more chunks since then."""
        for call, chunks in self.ledger.pulled_on_the_loop().items():
            assert chunks - self.pulled.get(call, 0) <= ASKED_AT_MOST


async def check_stopped(
    kind: Callable[[Story, Ledger, dict[str, Any]], Any],
    story: Story,
    stop: Stop,
    when: When,
    readers: list[Reader],
    plain: PlainReader | None,
) -> None:
    """Run an agent, stop it, and see that it is over, for whoever reads."""
    ledger = Ledger()
    noted = Noted(when.turns, when.records, ledger)
    handler = kind(story, ledger, Tools(ledger).all()).run(user_msg="?", max_iterations=6)
    ledger.streams.append(handler.stream)
    stopping = asyncio.ensure_future(stop(handler, noted))
    records, outcome = await check_run(handler, readers, plain)
    await stopping
    await check_over(ledger)
    # A moment of waiting is no number of turns.
    if stop is not wait_for:
        noted.check()
    # One that has ended by itself has broken nothing off.
    ends = {call.closed_by for llm in ledger.llms for call in llm.calls}
    assert outcome.status == "cancelled" or not ends & {"GeneratorExit", "CancelledError"}
    assert same(await everything(handler.stream), records)


@pytest.mark.parametrize(
    "stop", [stop for stop in STOPS if stop is not let_be], ids=lambda stop: stop.__name__
)
@examples(12)
@given(
    kind=st.sampled_from(AGENTS),
    story=STORIES,
    when=WHEN,
    readers=READERS,
    plain=st.none() | PLAIN_READERS,
)
def test_an_agent_that_is_stopped(
    stop: Stop,
    kind: Callable[[Story, Ledger, dict[str, Any]], Any],
    story: Story,
    when: When,
    readers: list[Reader],
    plain: PlainReader | None,
) -> None:
    """No chunk is pulled, no record is written, nothing is left open, and all see the same."""
    run_alone(lambda: check_stopped(kind, story, stop, when, readers, plain))
