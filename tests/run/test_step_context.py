"""The context that core's code gets in a step."""

from __future__ import annotations

from typing import Any

from workflows import Context, step
from workflows.events import Event, StartEvent, StopEvent

from llama_index_streaming_ext import Workflow
from llama_index_streaming_ext.run.step_context import StepContext


class Note(Event):
    """An event of a step."""

    text: str


class Steps(Workflow):
    """Writes by two contexts, and shows what the one of core's code is."""

    @step
    async def work(self, ctx: Context[Any], ev: StartEvent) -> StopEvent:
        """Write the note of core's code in capitals, the user's as it is."""
        inside = StepContext(
            ctx, lambda event: ctx.write_event_to_stream(Note(text=event.text.upper()))
        )
        inside.write_event_to_stream(Note(text="core"))
        inside.write_event_to_stream(None)
        Context.get_step_context().write_event_to_stream(Note(text="user"))
        await inside.store.set("said", 1)
        inside.mark = "set"  # pyright: ignore[reportAttributeAccessIssue] # any name
        assert isinstance(inside, Context)
        assert inside.is_running
        return StopEvent(result=(await ctx.store.get("said"), vars(ctx)["mark"]))


async def test_only_the_code_that_gets_it_writes_in_another_way() -> None:
    """Events by the step's own context stay as they are; all else is that of the step."""
    handler = Steps().run()
    notes = [event.text async for event in handler.stream_events() if isinstance(event, Note)]
    assert notes == ["CORE", "user"]
    assert await handler == (1, "set")
