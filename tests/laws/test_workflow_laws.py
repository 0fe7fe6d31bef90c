"""The laws hold for workflows, whatever their steps write, and however they end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflows import Workflow as UpstreamWorkflow

from llama_index_streaming_ext import (
    AgentStream,
    Context,
    Event,
    Outcome,
    Record,
    StartEvent,
    StopEvent,
    StreamingHandler,
    Workflow,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
    step,
    stream_run,
    stream_writer,
)
from tests.support.laws.laws import (
    PATIENCE,
    PLAIN_READERS,
    READERS,
    PlainReader,
    Reader,
    check_run,
    examples,
)
from tests.support.laws.stops import STOPS, WHEN, Stop, When, cancel_run, let_be

WORKERS = 3


class Note(Event):
    """What a worker writes: who it is, and how many it wrote before."""

    worker: int
    n: int


class Work(Event):
    """The share of one worker."""

    worker: int


class Done(Event):
    """One worker is done."""


class Child(Workflow):
    """A workflow that is run in a step of another."""

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Write something, and end."""
        ctx.write_event_to_stream(Note(worker=-1, n=0))
        await asyncio.sleep(0)
        return StopEvent(result="child")


class Broke(Exception):
    """What a step raises."""


class WroteAnything:
    """Workers side by side, each of which does what its list says."""

    doings: list[list[str]]
    gate: asyncio.Event

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Work | None:
        """Send each worker its share."""
        for worker in range(WORKERS):
            ctx.send_event(Work(worker=worker))

    @step(num_workers=WORKERS)
    async def work(self, ctx: Context, ev: Work) -> Done:
        """Do what the list says, with a note after each thing."""
        said = ""
        for n, doing in enumerate(self.doings[ev.worker]):
            if doing == "say":
                said += f"{n} "
                agent = f"agent {ev.worker}"
                ctx.write_event_to_stream(
                    AgentStream(delta=f"{n} ", response=said, current_agent_name=agent)
                )
            else:
                await self.do(doing, ctx)
            ctx.write_event_to_stream(Note(worker=ev.worker, n=n))
        return Done()

    async def do(self, doing: str, ctx: Context) -> None:
        """Do one thing."""
        hand_written: dict[str, StopEvent] = {
            "stop": StopEvent(result="by hand"),
            "fail": WorkflowFailedEvent(step_name="none", exception=Broke("by hand")),
            "cancel": WorkflowCancelledEvent(),
            "time out": WorkflowTimedOutEvent(timeout=1.0, active_steps=[]),
        }
        if doing in hand_written:
            ctx.write_event_to_stream(hand_written[doing])
        elif doing == "raise":
            raise Broke("in a step")
        elif doing == "raise cancelled":
            raise asyncio.CancelledError
        elif doing == "gate":
            await self.gate.wait()
        elif doing == "child":
            async for event in Child().run().stream_events():
                ctx.write_event_to_stream(event)
        elif doing == "thread":
            write = stream_writer(ctx)
            await asyncio.to_thread(write, Note(worker=-1, n=0))
        else:
            await asyncio.sleep(0)

    @step
    async def end(self, ctx: Context, ev: Done) -> StopEvent | None:
        """End when all workers are done."""
        if ctx.collect_events(ev, [Done] * WORKERS) is not None:
            return StopEvent(result="done")
        return None


class Ours(WroteAnything, Workflow):
    """As a workflow of this package."""


class Upstreams(WroteAnything, UpstreamWorkflow):
    """As a workflow of upstream."""


DOINGS = {
    "s": "say",
    ".": "turn",
    "g": "gate",
    "S": "stop",
    "F": "fail",
    "C": "cancel",
    "T": "time out",
    "c": "child",
    "t": "thread",
}


@dataclass
class Plan:
    """What the workers do, and how long they may take."""

    doings: list[list[str]]
    timeout: float | None
    ours: bool

    def start(self, gate: asyncio.Event) -> StreamingHandler:
        """Start a run."""
        workflow = (Ours if self.ours else Upstreams)(timeout=self.timeout)
        workflow.doings, workflow.gate = self.doings, gate
        return stream_run(workflow.run())


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan at random, in which one worker at most breaks."""
    drawn = [draw(st.text("".join(DOINGS), max_size=5)) for _ in range(WORKERS)]
    doings = [[DOINGS[letter] for letter in letters] for letters in drawn]
    ours = draw(st.booleans())
    # A step of upstream's that raises CancelledError hangs its run (U5).
    breaks = ["raise", "raise cancelled"] if ours else ["raise"]
    if draw(st.integers(0, 3)) == 0:
        doings[0].append(draw(st.sampled_from(breaks)))
    timeout = draw(st.sampled_from([None, None, None, 0.005]))
    return Plan(doings, timeout, ours)


def check_notes(plan: Plan, records: list[Record], outcome: Outcome) -> None:
    """No event of a worker is lost, none comes twice, and they come in order."""
    for worker, doings in enumerate(plan.doings):
        numbers = [
            record.event.n
            for record in records
            if isinstance(record.event, Note) and record.event.worker == worker
        ]
        assert numbers == list(range(len(numbers)))
        if outcome.status == "completed":
            assert len(numbers) == len(doings)


async def check_workflow(
    plan: Plan, stop: Stop, when: When, readers: list[Reader], plain: PlainReader | None
) -> Outcome:
    """Run a workflow, stop it, and check all laws."""
    gate = asyncio.Event()
    handler = plan.start(gate)
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop(handler, when))

    async def open_gate() -> None:
        async with asyncio.timeout(PATIENCE):
            await stopping
        gate.set()

    opening = asyncio.create_task(open_gate())
    records, outcome = await check_run(handler, readers, plain)
    await opening
    check_notes(plan, records, outcome)
    return outcome


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
@examples(20)
@given(plan=plans(), when=WHEN, readers=READERS, plain=st.none() | PLAIN_READERS)
def test_workflow_laws(
    stop: Stop, plan: Plan, when: When, readers: list[Reader], plain: PlainReader | None
) -> None:
    """L1, L2, L6 and L7 hold for a workflow's run that is stopped in this way."""
    outcome = asyncio.run(check_workflow(plan, stop, when, readers, plain))
    if stop is let_be:
        assert outcome.status != "cancelled"


@examples(20)
@given(plan=plans())
def test_a_run_left_alone_ends_as_its_steps_say(plan: Plan) -> None:
    """A run is completed unless a step raised or time was up, whatever it wrote by hand."""
    outcome = asyncio.run(check_workflow(plan, let_be, When(0, 0), [], None))
    raises = any(doing.startswith("raise") for doings in plan.doings for doing in doings)
    expected = {"failed"} if raises else {"completed"}
    if plan.timeout is not None:
        expected.add("timed_out")
    assert outcome.status in expected


@examples(20)
@given(plan=plans(), when=WHEN)
def test_a_held_run_that_is_cancelled(plan: Plan, when: When) -> None:
    """A run that cannot end by itself is cancelled when somebody cancels it."""
    plan.doings = [[doing for doing in plan.doings[0] if "raise" not in doing], ["gate"], []]
    plan.timeout = None
    outcome = asyncio.run(check_workflow(plan, cancel_run, when, [], None))
    assert outcome.status == "cancelled"
