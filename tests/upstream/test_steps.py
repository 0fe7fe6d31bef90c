"""What a step may do, and what then comes out of the stream."""

import asyncio
import functools
import gc
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from llama_index_instrumentation.dispatcher import active_instrument_tags
from workflows import Context, Workflow, step
from workflows.errors import WorkflowTimeoutError
from workflows.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
)
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_none
from workflows.testing import WorkflowTestRunner

from tests.support.upstream.flows import (
    Note,
    Notes,
    Source,
    Talk,
    hangs,
    names,
    numbers,
    read,
    soon,
    turns,
)

unawaited = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


async def test_u6_a_stop_event_written_by_a_step_ends_the_stream_early() -> None:
    """U6: a StopEvent that a step writes ends the stream early; the result is still right."""

    class Early(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(StopEvent(result="not this"))
            ctx.write_event_to_stream(Note(n=1))
            return StopEvent(result="this")

    handler = Early().run()
    assert names(await read(handler.stream_events())) == ["StopEvent"]
    assert await soon(handler) == "this"


async def test_u6_a_forwarded_child_ends_its_parents_stream() -> None:
    """U6: forwarding every event of a child ends the parent's stream at the child's end."""

    class Parent(Workflow):
        @step
        async def delegate(self, ctx: Context, ev: StartEvent) -> StopEvent:
            async for event in Notes().run().stream_events():
                ctx.write_event_to_stream(event)
            ctx.write_event_to_stream(Note(n=9))
            return StopEvent(result="parent")

    handler = Parent().run()
    assert numbers(await read(handler.stream_events())) == [0, 1, 2]
    assert await soon(handler) == "parent"


async def test_u6_the_events_of_an_awaited_child_are_invisible() -> None:
    """U6: a nested `await Child().run()` shows nothing in its parent's stream."""

    class Parent(Workflow):
        @step
        async def delegate(self, ctx: Context, ev: StartEvent) -> StopEvent:
            return StopEvent(result=await Notes().run())

    handler = Parent().run()
    assert names(await read(handler.stream_events())) == ["StopEvent"]
    assert await soon(handler) == "done"


async def test_u7_a_retried_step_writes_its_events_twice() -> None:
    """U7: a retry writes the step's events again, equal to the first; `retry_info` tells them."""
    attempts: list[int] = []

    class Flaky(Workflow):
        @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(2)))
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            attempts.append(ctx.retry_info().retry_number)
            ctx.write_event_to_stream(Note(n=0))
            if len(attempts) == 1:
                raise ValueError("flaky")
            return StopEvent()

    events = await read(Flaky().run().stream_events())
    assert names(events) == ["Note", "Note", "StopEvent"]
    assert events[0] == events[1]
    assert attempts == [0, 1]


async def test_u7_waiting_for_an_event_runs_the_step_twice() -> None:
    """U7: `wait_for_event` re-runs the step: what it wrote before the wait comes twice."""

    class Asking(Workflow):
        @step
        async def ask(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(Note(n=0))
            answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent())
            return StopEvent(result=answer.get("text"))

    handler = Asking().run()
    seen: list[Event] = []
    async with asyncio.timeout(120):
        async for event in handler.stream_events():
            seen.append(event)
            if isinstance(event, InputRequiredEvent):
                handler.ctx.send_event(HumanResponseEvent(text="yes"))  # pyright: ignore[reportCallIssue] -- events take any field
    assert names(seen) == ["Note", "InputRequiredEvent", "Note", "StopEvent"]
    assert await soon(handler) == "yes"


@unawaited
async def test_u8_a_sync_step_cannot_write() -> None:
    """U8: `write_event_to_stream` in a sync step raises: no running event loop."""

    class Threaded(Workflow):
        @step
        def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            try:
                ctx.write_event_to_stream(Note(n=0))
            except RuntimeError as error:
                return StopEvent(result=str(error))
            return StopEvent()

    assert await soon(Threaded().run()) == "no running event loop"


async def test_u8_a_sync_step_can_write_through_the_loop() -> None:
    """U8: `loop.call_soon_threadsafe(ctx.write_event_to_stream, ev)` works from a sync step."""
    loop = asyncio.get_running_loop()

    class Threaded(Workflow):
        @step
        def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            loop.call_soon_threadsafe(ctx.write_event_to_stream, Note(n=0))
            return StopEvent()

    assert names(await read(Threaded().run().stream_events())) == ["Note", "StopEvent"]


@unawaited
def test_u8_a_run_needs_a_running_loop() -> None:
    """U8: `workflow.run()` without a running loop raises."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        Notes().run()
    gc.collect()  # here, and not in the next test, the coroutine warns


# U8: reading from another thread's loop has no canary: it wakes a future of a foreign loop without
# a lock, so what it does depends on which loop happens to turn first.


async def test_u14_a_timeout_counts_wall_clock_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """U14: when `time.time` jumps past the timeout, the next wake-up of the loop ends the run."""
    source = Source()
    handler = Talk(source, timeout=3600).run()
    await soon(source.speaking.wait())
    later = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: later)
    handler.ctx.send_event(Note(n=0))
    with pytest.raises(WorkflowTimeoutError):
        await soon(handler)


async def test_u14_a_virtual_loop_clock_never_fires_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """U14: when only the loop's clock jumps past the timeout, the run goes on."""
    source = Source()
    handler = Talk(source, timeout=3600).run()
    await soon(source.speaking.wait())
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + 7200)
    await turns(100)
    assert not handler.is_done()
    source.gate.set()
    assert await soon(handler) == "done"


async def test_u16_a_context_can_be_given_its_own_stream_events() -> None:
    """U16: `stream_events` set on the Context object is what `handler.stream_events()` reads."""
    handler = Notes().run()
    upstream = handler.ctx.stream_events

    async def shifted() -> Any:
        async for event in upstream():
            yield Note(n=event.n + 10) if isinstance(event, Note) else event

    monkey = cast("Any", handler.ctx)  # a method is not meant to be set
    monkey.stream_events = shifted
    events = await read(handler.stream_events())
    assert numbers(events) == [10, 11, 12]
    assert names(events)[-1] == "StopEvent"


async def test_u16_the_context_of_the_handler_is_the_users() -> None:
    """U16: `handler.ctx` is the very Context given to `run`, and cannot be set."""
    workflow = Notes()
    ctx = Context(workflow)
    handler = workflow.run(ctx=ctx)
    assert handler.ctx is ctx
    with pytest.raises(AttributeError):
        setattr(handler, "ctx", ctx)  # noqa: B010 -- the type checker knows that it cannot
    await soon(handler)


def _counted(function: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def counted_async(*args: Any, **kwargs: Any) -> Any:
            calls.append(function.__name__)
            return await cast("Awaitable[Any]", function(*args, **kwargs))

        return counted_async

    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(function.__name__)
        return function(*args, **kwargs)

    return counted


class TwoSteps(Workflow):
    """One async and one sync step, which say on which thread they ran."""

    @step
    async def first(self, ctx: Context, ev: StartEvent) -> Note:
        """Run on the loop."""
        return Note(n=threading.get_ident())

    @step
    def second(self, ev: Note) -> StopEvent:
        """Run in the executor."""
        return StopEvent(result=(ev.n, threading.get_ident()))


async def test_u18_wrapped_steps_set_on_a_subclass_validate_and_run() -> None:
    """U18: steps wrapped with `functools.wraps` and set on a subclass are still its steps."""
    calls: list[str] = []
    subclass = type("Wrapped", (TwoSteps,), {})
    for name in ("first", "second"):
        original = getattr(TwoSteps, name)
        wrapped = cast("Any", _counted(original, calls))  # the config is put on by the decorator
        assert wrapped._step_config is original._step_config
        setattr(subclass, name, wrapped)
    workflow = subclass()
    workflow.validate()
    on_loop, in_executor = await soon(workflow.run())
    assert calls == ["first", "second"]
    assert on_loop == threading.get_ident() != in_executor


async def test_u18_wrapping_a_subclass_leaves_its_base_alone() -> None:
    """U18: the steps set on a subclass are not the base's."""
    calls: list[str] = []
    subclass = type("Wrapped", (TwoSteps,), {})
    subclass.first = _counted(TwoSteps.first, calls)  # pyright: ignore[reportAttributeAccessIssue] -- a class made at run time
    await soon(TwoSteps().run())
    assert calls == []


async def test_u19_the_run_id_is_a_tag_in_every_step() -> None:
    """U19: `active_instrument_tags` has the handler's run id in async and in sync steps."""
    seen: list[object] = []

    class Tagged(Workflow):
        @step
        async def first(self, ev: StartEvent) -> Note:
            seen.append(active_instrument_tags.get()["llamaindex.run_id"])
            return Note(n=0)

        @step
        def second(self, ev: Note) -> StopEvent:
            seen.append(active_instrument_tags.get()["llamaindex.run_id"])
            return StopEvent()

    handler = Tagged().run()
    await soon(handler)
    assert seen == [handler.run_id, handler.run_id]


async def test_u19_a_child_run_has_a_run_id_of_its_own() -> None:
    """U19: in a child run the tag is the child's, and again the parent's after it."""
    seen: list[object] = []

    class Child(Workflow):
        @step
        async def tell(self, ev: StartEvent) -> StopEvent:
            seen.append(active_instrument_tags.get()["llamaindex.run_id"])
            return StopEvent()

    class Parent(Workflow):
        @step
        async def delegate(self, ev: StartEvent) -> StopEvent:
            await Child().run(run_id="child")
            seen.append(active_instrument_tags.get()["llamaindex.run_id"])
            return StopEvent()

    handler = Parent().run(run_id="parent")
    await soon(handler)
    assert handler.run_id == "parent"
    assert seen == ["child", "parent"]


async def test_u39_the_test_runner_counts_events_by_exact_type() -> None:
    """U39: `WorkflowTestRunner` counts and excludes by `type()`: a subclass is another type."""

    class Special(Note):
        pass

    class Both(Workflow):
        @step
        async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
            ctx.write_event_to_stream(Note(n=0))
            ctx.write_event_to_stream(Special(n=1))
            return StopEvent()

    result = await soon(WorkflowTestRunner(Both()).run(exclude_events=[Note]))
    assert result.event_types.get(Special) == 1
    assert result.event_types.get(Note) is None


async def test_u39_collect_events_waits_for_the_exact_type() -> None:
    """U39: `collect_events` never takes a subclass for the type it waits for: the run hangs."""

    class Special(Note):
        pass

    class Collecting(Workflow):
        @step
        async def send(self, ctx: Context, ev: StartEvent) -> Note:
            return Special(n=0)

        @step(accept_event_subclasses=True)
        async def collect(self, ctx: Context, ev: Note) -> StopEvent | None:
            return StopEvent() if ctx.collect_events(ev, [Note]) else None

    assert await hangs(Collecting(timeout=None).run())
