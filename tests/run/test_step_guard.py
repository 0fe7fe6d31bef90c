"""Steps: guarded wherever they come from, and able to write from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from workflows.errors import WorkflowValidationError
from workflows.representation import get_workflow_representation
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_none
from workflows.testing import WorkflowTestRunner

from llama_index_streaming_ext import (
    Context,
    Event,
    LoopClosed,
    NotInStep,
    StartEvent,
    StepCancelled,
    StopEvent,
    Workflow,
    step,
    stream_writer,
)
from llama_index_streaming_ext.run.step_guard import guarded
from tests.support.flows import Note, Notes, gathered, notes, records


class Mixin:
    """A step that comes from a class that is no workflow."""

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Raises CancelledError, which only a guarded step survives."""
        raise asyncio.CancelledError


class WithMixin(Workflow, Mixin):
    """Has the mixin's step."""


class SubMixin(Mixin):
    """Overrides the mixin's step."""

    @step
    async def only(  # pyright: ignore[reportIncompatibleVariableOverride] # StepFunction is invariant
        self, ctx: Context, ev: StartEvent
    ) -> StopEvent:
        """Returns."""
        return StopEvent(result="overridden")


class Diamond(WithMixin, SubMixin):
    """The order in which classes override each other is Python's."""


class SyncWrites(Workflow):
    """A sync step that writes as it goes."""

    @step
    def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        write = stream_writer(ctx)
        for number in range(3):
            write(Note(msg=str(number)))
        return StopEvent()


async def test_a_step_of_a_mixin_is_guarded() -> None:
    """A step is guarded wherever it was defined."""
    outcome = await WithMixin().run().outcome()
    assert isinstance(outcome.error, StepCancelled)


async def test_overriding_is_pythons() -> None:
    """Guarding a step does not change which class's step is called."""
    assert await Diamond().run() == "overridden"


async def test_a_free_function_step_is_guarded() -> None:
    """`@step(workflow=...)` adds a guarded step."""

    class Free(Workflow):
        pass

    @step(workflow=Free)
    async def only(ev: StartEvent) -> StopEvent:  # pyright: ignore[reportUnusedFunction]
        raise asyncio.CancelledError

    outcome = await Free().run().outcome()
    assert isinstance(outcome.error, StepCancelled)


def test_a_function_that_is_no_step_cannot_be_added() -> None:
    """Upstream's error is upstream's."""

    class Free(Workflow):
        pass

    def only(ev: StartEvent) -> StopEvent:
        return StopEvent()

    with pytest.raises(WorkflowValidationError, match="missing the `@step`"):
        Free.add_step(only)


def test_guarding_twice_is_guarding_once() -> None:
    """A step that is guarded is left as it is."""
    only = guarded(Mixin.only)
    assert guarded(only) is only


def test_a_guarded_step_is_drawn_like_any_other() -> None:
    """Upstream's representation of a workflow is what it would be."""
    graph = get_workflow_representation(Notes())
    assert {node.label for node in graph.nodes} == {"write", "StartEvent", "StopEvent"}


async def test_upstreams_test_runner_runs_our_workflows() -> None:
    """Core's `WorkflowTestRunner` counts the events of our classes (U39)."""
    result = await WorkflowTestRunner(Notes()).run()
    assert result.event_types[Note] == 3
    assert result.result == "done"


async def test_a_sync_step_can_write() -> None:
    """From a sync step, in its executor thread (U8)."""
    assert notes(await gathered(SyncWrites().run().stream_events())) == ["0", "1", "2"]


async def test_a_sync_step_can_write_with_its_context() -> None:
    """`ctx.write_event_to_stream` in a sync step fails upstream (U8); here it writes."""

    class Plain(Workflow):
        @step
        def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            stream_writer(ctx)(Note(msg="a"))
            return StopEvent()

    assert notes(await gathered(Plain().run().stream_events())) == ["a"]


async def test_a_thread_can_write() -> None:
    """With a function that was taken in the step, also from a thread without any context."""

    class Threads(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            write = stream_writer(ctx)
            thread = threading.Thread(target=lambda: write(Note(msg="from a thread")))
            thread.start()
            await asyncio.to_thread(thread.join)
            await asyncio.to_thread(lambda: write(Note(msg="from to_thread")))
            write(Note(msg="from the loop"))
            return StopEvent()

    seen = notes(await gathered(Threads().run().stream_events()))
    assert seen == ["from a thread", "from to_thread", "from the loop"]


async def test_a_thread_may_change_its_event_at_once() -> None:
    """An event that a thread writes is logged as it was then."""

    class Reuses(Workflow):
        @step
        def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            write, note = stream_writer(ctx), Note(msg="")
            for text in "abc":
                note.msg = text
                write(note)
            return StopEvent()

    assert notes(await gathered(Reuses().run().stream_events())) == ["a", "b", "c"]


async def test_a_writer_can_only_be_taken_in_a_step() -> None:
    """Outside of a step there is nothing to write to."""
    handler = Notes().run()
    with pytest.raises(NotInStep, match="inside the step"):
        stream_writer(handler.ctx)
    with pytest.raises(NotInStep):
        stream_writer(Context(Notes()))
    await handler


async def test_a_writer_in_a_thread_that_knows_no_run() -> None:
    """It says what to do instead."""
    told: list[BaseException] = []

    class Threads(Workflow):
        @step
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            def take() -> None:
                try:
                    stream_writer(ctx)
                except NotInStep as error:
                    told.append(error)

            thread = threading.Thread(target=take)
            thread.start()
            await asyncio.to_thread(thread.join)
            return StopEvent()

    await Threads().run()
    assert "hand the function on" in str(told[0])


class Keeps(Workflow):
    """Keeps its writer for later."""

    write: Callable[[Event], None]

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        self.write = stream_writer(ctx)
        return StopEvent()


async def test_what_is_written_after_the_end_is_dropped() -> None:
    """The log is fenced, whoever still writes."""
    workflow = Keeps()
    handler = workflow.run()
    await handler
    before = handler.stream.last_seq
    workflow.write(Note(msg="late"))
    await asyncio.to_thread(workflow.write, Note(msg="late, from a thread"))
    await asyncio.sleep(0)
    assert handler.stream.last_seq == before


def test_writing_to_a_closed_loop_says_so() -> None:
    """A thread that outlives the loop gets a clear error, not a lost event."""
    workflow = Keeps()

    async def main() -> None:
        await workflow.run()

    asyncio.run(main())
    with pytest.raises(LoopClosed, match="Note cannot be written"):
        workflow.write(Note(msg="too late"))


async def test_retries_of_a_step_are_upstreams() -> None:
    """A guarded step that fails is retried as its policy says, and its events come again (U7)."""

    class Flaky(Workflow):
        tries = 0

        @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(3)))
        async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            type(self).tries += 1
            ctx.write_event_to_stream(Note(msg=str(self.tries)))
            if self.tries < 3:
                raise ValueError("again")
            return StopEvent(result=self.tries)

    handler = Flaky().run()
    assert await handler == 3
    assert notes([record.event for record in await records(handler)]) == ["1", "2", "3"]


async def test_events_of_steps_come_in_the_order_of_the_steps() -> None:
    """Events of a step stand behind all that upstream published before the step."""

    class Second(Event):
        pass

    class TwoSteps(Workflow):
        @step
        async def first(self, ctx: Context, ev: StartEvent) -> Second:
            ctx.write_event_to_stream(Note(msg="first"))
            return Second()

        @step
        async def second(self, ctx: Context, ev: Second) -> StopEvent:
            ctx.write_event_to_stream(Note(msg="second"))
            return StopEvent()

    handler = TwoSteps().run()
    seen = await gathered(handler.stream_events(expose_internal=True))
    kinds = [getattr(event, "msg", None) or type(event).__name__ for event in seen]
    assert kinds == [
        "StepStateChanged",
        "first",
        "StepStateChanged",
        "StepStateChanged",
        "second",
        "StepStateChanged",
        "StopEvent",
    ]


async def test_a_stop_event_written_by_a_sync_step_does_not_end_the_log() -> None:
    """Also from an executor thread, and with the step's own context (U6, U8)."""

    class ByHand(Workflow):
        @step
        def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
            stream_writer(ctx)(StopEvent(result="by hand"))
            ctx.write_event_to_stream(Note(msg="after"))
            return StopEvent(result="real")

    handler = ByHand().run()
    read = await records(handler)
    assert [type(record.event) for record in read] == [StopEvent, Note, StopEvent]
    assert await handler == "real"


class SyncMixin:
    """A sync step that comes from a class that is no workflow."""

    @step
    def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Writes, and returns."""
        stream_writer(ctx)(Note(msg="sync"))
        return StopEvent(result="inherited")


async def test_a_sync_step_of_a_mixin_is_guarded() -> None:
    """An inherited sync step runs in its thread, and can write."""

    class Inherits(Workflow, SyncMixin):
        pass

    handler = Inherits().run()
    assert notes(await gathered(handler.stream_events())) == ["sync"]
    assert await handler == "inherited"


async def test_a_sync_step_that_raises_stop_iteration_fails() -> None:
    """Asyncio cannot hand a StopIteration over; upstream waits for ever."""

    class BareNext(Workflow):
        @step
        def only(self, ev: StartEvent) -> StopEvent:
            return next(iter([]))

    outcome = await BareNext(timeout=None).run().outcome()
    assert outcome.status == "failed"
    assert "StopIteration" in str(outcome.error)


async def test_a_step_can_be_overridden_by_something_else() -> None:
    """A name that is no step any more is left alone."""

    class Without(Notes):
        write = None  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]

        @step
        async def other(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result="other")

    assert await Without().run() == "other"
