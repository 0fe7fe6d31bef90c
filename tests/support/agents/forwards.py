"""Runs that forward others, and what came of them."""

from typing import Any

from llama_index_streaming_ext import (
    Context,
    Record,
    StartEvent,
    StopEvent,
    Workflow,
    forward,
    step,
)
from tests.support.flows import Note


class Outer(Workflow):
    """Forwards a run from a plain step."""

    def __init__(self, inner: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner
        self.handler: Any = None

    @step
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        ctx.write_event_to_stream(Note(msg="before"))
        self.handler = self.inner.run()
        given = await forward(self.handler)
        ctx.write_event_to_stream(Note(msg="after"))
        return StopEvent(result=given)


def asks(inner: Any) -> Any:
    """A tool that asks an inner agent."""

    async def ask() -> str:
        return str(await forward(inner.run(user_msg="hi")))

    return ask


def own(read: list[Record]) -> list[Record]:
    """The records of the run itself."""
    return [record for record in read if record.origin.run_id is None]


def forwarded(read: list[Record]) -> list[Record]:
    """The records of other runs."""
    return [record for record in read if record.origin.run_id is not None]
