"""A run leaves nothing behind but a logged line about a failure that nobody asked for."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from llama_index_streaming_ext import StartEvent, StopEvent, Workflow, step
from llama_index_streaming_ext.run.run import find_run
from tests.support.flows import (
    Notes,
    Raises,
    gathered,
    result_of,
)

LOGGER = "llama_index_streaming_ext"


async def test_a_failure_that_nobody_asked_for_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Upstream says nothing at all (U4)."""
    handler = Raises(ValueError("boom")).run()
    await gathered(handler.stream_events())
    del handler
    gc.collect()
    (entry,) = [entry for entry in caplog.records if entry.name == LOGGER]
    assert entry.levelno == logging.ERROR
    assert "nobody asked" in entry.getMessage()
    assert entry.exc_info is not None


async def test_a_failure_of_a_run_without_a_handler_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fire and forget: the run fails after its handler is gone."""
    gate = asyncio.Event()

    class Later(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            await gate.wait()
            raise ValueError("boom")

    stream = Later().run().stream
    gc.collect()
    gate.set()
    await stream.ended()
    assert len([entry for entry in caplog.records if entry.name == LOGGER]) == 1


@pytest.mark.parametrize("way", ["await", "outcome", "stop_event_result"])
async def test_a_failure_that_was_asked_for_is_not_logged(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is not logged if somebody has asked for the outcome."""
    handler = Raises(ValueError("boom")).run()
    asked = result_of(handler) if way == "await" else getattr(handler, way)()
    await asyncio.gather(asked, return_exceptions=True)
    del handler, asked
    gc.collect()
    assert not [entry for entry in caplog.records if entry.name == LOGGER]


async def test_nothing_is_left_behind() -> None:
    """When a run is over, none of its tasks is, and nobody holds its log."""
    before = len(asyncio.all_tasks())
    handler = Notes().run(run_id="gone")
    await handler
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    del handler
    gc.collect()
    assert find_run("gone") is None


async def test_a_run_id_can_be_used_again() -> None:
    """A run that is over and forgotten does not keep its id (as upstream)."""
    gc.disable()
    try:
        for _ in range(3):
            assert await Notes().run(run_id="again") == "done"
    finally:
        gc.enable()


async def test_a_failed_run_that_was_awaited_can_be_collected() -> None:
    """Nothing holds a run whose error holds its handler."""
    with pytest.raises(ValueError, match="boom"):
        await Raises(ValueError("boom")).run(run_id="collected")
    gc.collect()
    assert find_run("collected") is None
