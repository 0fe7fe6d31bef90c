"""The handler: upstream's members, and readers that are a superset of upstream's."""

from __future__ import annotations

import asyncio
import gc
from typing import Any
from unittest.mock import Mock

import pytest
from workflows import Workflow as UpstreamWorkflow
from workflows import step as upstream_step
from workflows.errors import WorkflowCancelledByUser
from workflows.events import StepStateChanged
from workflows.handler import WorkflowHandler

from llama_index_streaming_ext import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    StreamingHandler,
    Workflow,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    step,
    stream_run,
)
from tests.support.flows import Note, Notes, Raises, gathered, notes, records


class UpstreamNotes(UpstreamWorkflow):
    """An upstream workflow that writes two notes."""

    @upstream_step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        for number in range(2):
            ctx.write_event_to_stream(Note(msg=str(number)))
            await asyncio.sleep(0)
        return StopEvent(result="theirs")


class Asks(Workflow):
    """Asks a person, and returns the answer."""

    @step
    async def ask(self, ev: StartEvent) -> InputRequiredEvent:
        """Asks."""
        return InputRequiredEvent(prefix="Name?")  # pyright: ignore[reportCallIssue] # dynamic

    @step
    async def answer(self, ev: HumanResponseEvent) -> StopEvent:
        """Answers."""
        return StopEvent(result=ev.response)


def public_members(cls: type) -> set[str]:
    """The public names that a class has of its own."""
    return {name for name in vars(cls) if not name.startswith("_")}


async def test_the_handler_is_a_workflow_handler() -> None:
    """Code that checks for upstream's handler accepts ours (U10)."""
    assert isinstance(Notes().run(), WorkflowHandler)


def test_every_public_member_of_upstreams_handler_is_forwarded() -> None:
    """Our handler has every member of upstream's: `register` alone would inherit nothing."""
    assert public_members(WorkflowHandler) - public_members(StreamingHandler) == set()


async def test_awaiting_gives_the_result() -> None:
    """`await handler` gives what upstream's gives, as often as it is awaited."""
    handler = Notes().run()
    assert await handler == "done"
    assert await handler == "done"


async def test_when_awaiting_is_over_the_log_is_closed() -> None:
    """The terminal record of a run is written when `await handler` returns."""
    handler = Notes().run()
    await handler
    assert handler.stream.done


async def test_the_stop_event_can_be_had() -> None:
    """`stop_event_result()` and `get_stop_event()` give the stop event itself."""
    handler = Notes().run()
    stop = await handler.stop_event_result()
    assert stop.result == "done"
    assert handler.get_stop_event() is stop


async def test_the_deprecated_members_work() -> None:
    """`done()`, `exception()` and `cancelled()` say what upstream's say."""
    handler = Raises(ValueError("boom")).run()
    await handler.outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", Mock())
        assert handler.done()
        assert isinstance(handler.exception(), ValueError)
        assert not handler.cancelled()


async def test_a_run_id_can_be_given() -> None:
    """`run(run_id=...)` is the id of the handler and of the stream."""
    handler = Notes().run(run_id="mine")
    assert handler.run_id == handler.stream.run_id == handler.upstream.run_id == "mine"
    await handler


async def test_the_handler_says_what_it_is() -> None:
    """Its text names the workflow and the run."""
    handler = Notes().run(run_id="r1")
    assert str(handler).startswith("StreamingHandler(workflow=")
    assert "run_id=r1" in repr(handler)
    await handler


async def test_a_person_can_answer() -> None:
    """Human in the loop works as upstream's: read the request, send the response."""
    handler = Asks().run()
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            await handler.send_event(HumanResponseEvent(response="Ada"))  # pyright: ignore[reportCallIssue]
    assert await handler == "Ada"


async def test_two_readers_at_once_get_everything() -> None:
    """Each of several readers gets the whole stream; upstream splits it or hangs (U1)."""
    handler = Notes(count=20).run()
    first, second = await asyncio.gather(
        gathered(handler.stream_events()), gathered(handler.stream_events())
    )
    assert first == second
    assert notes(first) == [str(number) for number in range(20)]
    assert isinstance(first[-1], StopEvent)


async def test_a_second_pass_after_the_end_gets_everything() -> None:
    """The stream can be read again; upstream raises (U1)."""
    handler = Notes().run()
    assert notes(await gathered(handler.stream_events())) == ["0", "1", "2"]
    assert notes(await gathered(handler.stream_events())) == ["0", "1", "2"]


async def test_a_late_first_reader_gets_everything() -> None:
    """A reader that starts when the run is over misses nothing (U1)."""
    handler = Notes().run()
    await handler
    assert notes(await gathered(handler.stream_events())) == ["0", "1", "2"]


async def first_of(handler: StreamingHandler, count: int) -> list[str]:
    """The first notes of a plain reader, which then breaks out."""
    seen: list[str] = []
    async for event in handler.stream_events():
        seen.extend(notes([event]))
        if len(seen) == count:
            break
    return seen


async def test_after_a_break_the_next_reader_goes_on() -> None:
    """`break` and re-enter continues where it stopped, as upstream (U1)."""
    handler = Notes(count=4).run()
    assert await first_of(handler, 2) == ["0", "1"]
    assert notes(await gathered(handler.stream_events())) == ["2", "3"]


async def test_after_a_break_the_next_reader_goes_on_in_another_task() -> None:
    """The plain cursor belongs to the handler, not to a task."""
    handler = Notes(count=4).run()
    await asyncio.create_task(first_of(handler, 2))
    assert notes(await gathered(handler.stream_events())) == ["2", "3"]


async def test_after_a_break_and_the_end_the_next_reader_goes_on() -> None:
    """Also when the run has ended meanwhile, the rest comes, as upstream."""
    handler = Notes(count=4).run()
    await first_of(handler, 2)
    await handler
    rest = await gathered(handler.stream_events())
    assert notes(rest) == ["2", "3"]
    assert isinstance(rest[-1], StopEvent)


async def test_a_reader_beside_an_open_one_gets_everything() -> None:
    """A reader that is held and not closed is open: the next one starts from the start."""
    handler = Notes(count=4).run()
    held = handler.stream_events()
    assert notes([await anext(held), await anext(held)]) == ["0", "1"]
    assert notes(await gathered(handler.stream_events())) == ["0", "1", "2", "3"]
    assert notes(await gathered(held)) == ["2", "3"]


async def test_a_reader_after_a_closed_one_goes_on() -> None:
    """`aclose()` gives the cursor back."""
    handler = Notes(count=4).run()
    held = handler.stream_events()
    await anext(held)
    await held.aclose()
    assert notes(await gathered(handler.stream_events())) == ["1", "2", "3"]


async def test_a_reader_after_a_collected_one_goes_on() -> None:
    """A reader that nobody can read with any more is not open."""
    handler = Notes(count=4).run()
    held = handler.stream_events()
    await anext(held)
    del held
    gc.collect()
    assert notes(await gathered(handler.stream_events())) == ["1", "2", "3"]


async def test_a_reader_is_open_when_it_starts_not_when_it_is_made() -> None:
    """Two readers made before either is started are told apart when they start."""
    handler = Notes(count=3).run()
    first, second = handler.stream_events(), handler.stream_events()
    assert notes(await gathered(second)) == ["0", "1", "2"]
    assert notes(await gathered(first)) == ["0", "1", "2"]


async def test_a_cancelled_reader_does_not_harm_the_run() -> None:
    """A reader's task can be cancelled; the run goes on and others read all."""
    gate = asyncio.Event()
    handler = Notes(gate=gate).run()
    reader = asyncio.create_task(gathered(handler.stream_events()))
    async for record in handler.stream.read(types=Note):
        if notes([record.event]) == ["2"]:
            break
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    gate.set()
    assert await handler == "done"
    assert notes([record.event for record in await records(handler)]) == ["0", "1", "2"]


async def test_internal_events_are_hidden_unless_asked_for() -> None:
    """`expose_internal` is upstream's (U9)."""
    handler = Notes().run()
    plain = await gathered(handler.stream_events())
    exposed = await gathered(handler.stream_events(expose_internal=True))
    assert not any(isinstance(event, StepStateChanged) for event in plain)
    assert any(isinstance(event, StepStateChanged) for event in exposed)
    assert [event for event in exposed if not isinstance(event, StepStateChanged)] == plain


async def test_each_plain_reader_has_events_of_its_own() -> None:
    """No reader sees the changes that another one makes to an event (U3)."""
    handler = Notes(count=1).run()
    async for event in handler.stream_events():
        if isinstance(event, Note):
            event.msg = "changed"
            event.mark = "added"
    again = await gathered(handler.stream_events())
    assert notes(again) == ["0"]
    assert "mark" not in again[0]


@pytest.mark.parametrize("way", ["ctx", "upstream"])
async def test_nobody_can_take_events_away_from_the_log(way: str) -> None:
    """Reading upstream's context or handler reads the log, and leaves it whole (U5)."""
    handler = Notes().run()
    other: Any = handler.ctx if way == "ctx" else handler.upstream
    seen = await gathered(other.stream_events())
    assert notes(seen) == ["0", "1", "2"]
    assert notes([record.event for record in await records(handler)]) == ["0", "1", "2"]


async def test_the_context_is_left_as_it_was() -> None:
    """A context that is used again, even by upstream's classes, has nothing of ours on it."""
    workflow = UpstreamNotes()
    ctx = Context(workflow)
    await stream_run(workflow.run(ctx=ctx))
    second = workflow.run(ctx=ctx)
    assert notes([event async for event in second.stream_events()]) == ["0", "1"]


async def test_stream_run_makes_an_upstream_run_streaming() -> None:
    """`stream_run(handler)` gives the same for a handler of any upstream workflow."""
    handler = stream_run(UpstreamNotes().run())
    first, second = await asyncio.gather(
        gathered(handler.stream_events()), gathered(handler.stream_events())
    )
    assert first == second
    assert notes(first) == ["0", "1"]
    assert await handler == "theirs"


async def test_stream_run_of_the_same_run_is_the_same_handler() -> None:
    """A run has one log, however often it is asked for."""
    upstream = UpstreamNotes().run()
    handler = stream_run(upstream)
    assert stream_run(upstream) is handler
    assert stream_run(handler) is handler
    await handler


async def test_a_second_handler_of_a_run_whose_first_is_gone() -> None:
    """The log outlives the handler, as long as the run goes on."""
    gate = asyncio.Event()
    upstream = Notes(gate=gate).run().upstream
    gc.collect()
    handler = stream_run(upstream)
    gate.set()
    assert notes(await gathered(handler.stream_events())) == ["0", "1", "2"]


async def test_leaving_the_block_cancels_the_run() -> None:
    """`async with` owns the run."""
    async with Notes(gate=asyncio.Event()).run() as handler:
        assert not handler.is_done()
    assert (await handler.outcome()).status == "cancelled"
    assert isinstance((await records(handler))[-1].event, WorkflowCancelledEvent)


async def test_leaving_the_block_of_a_run_that_has_ended_changes_nothing() -> None:
    """A run that is over keeps the end that it had."""
    async with Notes().run() as handler:
        await handler
    assert (await handler.outcome()).status == "completed"


async def test_an_error_in_the_block_cancels_the_run_and_is_raised() -> None:
    """The block's own error is not hidden."""
    handler = Notes(gate=asyncio.Event()).run()
    with pytest.raises(KeyError):
        async with handler:
            raise KeyError("mine")
    assert (await handler.outcome()).status == "cancelled"


async def test_a_detached_run_goes_on() -> None:
    """`detach()` lets a run outlive the block."""
    gate = asyncio.Event()
    async with Notes(gate=gate).run().detach() as handler:
        pass
    gate.set()
    assert await handler == "done"


async def test_cancel_run_ends_the_run_as_upstream() -> None:
    """`cancel_run()` makes `await handler` raise what upstream raises."""
    handler = Notes(gate=asyncio.Event()).run()
    await handler.cancel_run()
    assert handler.is_done()
    assert handler.stream.done
    with pytest.raises(WorkflowCancelledByUser):
        await handler


async def test_text_stream_is_empty_where_no_agent_speaks() -> None:
    """A workflow that writes no AgentStream has no text."""
    assert await gathered(Notes().run().text_stream()) == []


async def test_a_failure_answers_to_both_namings() -> None:
    """A WorkflowFailedEvent has the attributes of both versions of the documents."""
    handler = Raises(ValueError("boom")).run()
    last = (await gathered(handler.stream_events()))[-1]
    assert isinstance(last, WorkflowFailedEvent)
    assert type(last) is WorkflowFailedEvent
    assert last.step_name == "fail"
    assert isinstance(last.exception, ValueError)
    assert last.exception_type == "builtins.ValueError"
    assert last.exception_message == "boom"
    assert "raise self.error" in last.traceback
