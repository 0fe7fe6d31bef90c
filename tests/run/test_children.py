"""Runs inside runs: each has a log of its own, and they end together."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from workflows.errors import WorkflowTimeoutError

from llama_index_streaming_ext import (
    Context,
    StartEvent,
    StopEvent,
    StreamingHandler,
    Workflow,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    step,
)
from tests.support.flows import (
    Counter,
    Endless,
    Note,
    Notes,
    after_notes,
    check_ending,
    notes,
    records,
)

LOGGER = "llama_index_streaming_ext"


class Forwards(Workflow):
    """Forwards all that a child run streams, its StopEvent included, and then says more."""

    @step
    async def forward(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        async for event in Notes(count=1).run().stream_events():
            ctx.write_event_to_stream(event)
        ctx.write_event_to_stream(Note(msg="after the child"))
        return StopEvent(result="mine")


class Parent(Workflow):
    """Starts a child run in its step and waits for it."""

    child: StreamingHandler

    def __init__(self, child: Workflow, *, detach: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.child_workflow = child
        self.detach = detach

    @step
    async def start_child(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        self.child = self.child_workflow.run()
        if self.detach:
            self.child.detach()
        ctx.write_event_to_stream(Note(msg="started"))
        outcome = await self.child.outcome()
        return StopEvent(result=outcome.result)


async def test_a_forwarded_stop_event_does_not_end_the_log() -> None:
    """A child's StopEvent is an event like others in its parent's log (U6)."""
    handler = Forwards().run()
    read = await records(handler)
    check_ending(read)
    assert notes([record.event for record in read]) == ["0", "after the child"]
    assert (await handler.outcome()).result == "mine"


async def test_a_child_is_cancelled_with_its_parent() -> None:
    """A run that was started in another run's step ends with it (U5)."""
    counter = Counter()
    parent = Parent(Endless(counter))
    handler = parent.run()
    await after_notes(handler, 1)
    await after_notes(parent.child, 2)
    await handler.cancel_run()
    assert (await parent.child.outcome()).status == "cancelled"
    assert counter.closed


async def test_a_detached_child_goes_on() -> None:
    """`detach()` lets a child outlive its parent."""
    gate = asyncio.Event()

    parent = Parent(Notes(gate=gate), detach=True)
    handler = parent.run()
    await after_notes(handler, 1)
    await handler.cancel_run()
    gate.set()
    assert (await parent.child.outcome()).status == "completed"


async def test_a_child_that_is_not_awaited_outlives_a_parent_that_completes() -> None:
    """Only a parent that is cancelled, or fails, takes its children with it."""
    gate = asyncio.Event()

    class FiresAndForgets(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=Notes(gate=gate).run())

    child: StreamingHandler = await FiresAndForgets().run()
    gate.set()
    assert (await child.outcome()).status == "completed"


async def test_a_childs_events_do_not_get_into_its_parents_log() -> None:
    """Each run writes into its own log, however deep it is nested."""
    parent = Parent(Notes())
    handler = parent.run()
    await handler
    assert notes([record.event for record in await records(handler)]) == ["started"]
    assert notes([record.event for record in await records(parent.child)]) == ["0", "1", "2"]


async def test_a_childs_timeout_in_a_step_is_a_failure() -> None:
    """The ending of a child is not the ending of its parent."""

    class Waits(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Notes(gate=asyncio.Event(), timeout=0.01).run())

    handler = Waits().run()
    outcome = await handler.outcome()
    assert outcome.status == "failed"
    assert isinstance(outcome.error, WorkflowTimeoutError)
    assert isinstance((await records(handler))[-1].event, WorkflowFailedEvent)


@pytest.mark.parametrize("kind", [WorkflowFailedEvent, WorkflowCancelledEvent])
async def test_a_step_may_return_the_end_of_another_run(kind: type[StopEvent]) -> None:
    """Any event that a step returns is the result: the run has completed."""
    stop = (
        WorkflowCancelledEvent()
        if kind is WorkflowCancelledEvent
        else WorkflowFailedEvent(step_name="of a child", exception=ValueError("child's"))
    )

    class Returns(Workflow):
        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return stop

    handler = Returns().run()
    assert (await handler.outcome()).status == "completed"
    assert await handler is stop
