"""The first scene: a workflow of three steps streams its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows import Context, step

from llama_index_streaming_ext.demo.events import ProgressEvent, TokenEvent
from llama_index_streaming_ext.demo.run_table import Ended, ended_run
from llama_index_streaming_ext.demo.screen import Screen
from llama_index_streaming_ext.events import Event, StartEvent, StopEvent
from llama_index_streaming_ext.run.workflow import Workflow

if TYPE_CHECKING:
    from llama_index.llms.openai import OpenAI


class FirstEvent(Event):
    """Step one has ended."""

    first_output: str


class SecondEvent(Event):
    """Step two has ended."""

    second_output: str
    response: str


class MyWorkflow(Workflow):
    """The three steps that LlamaIndex's documents explain streaming with."""

    def __init__(self, llm: OpenAI, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.llm = llm

    @step
    async def step_one(self, ctx: Context, ev: StartEvent) -> FirstEvent:
        """Report that the step runs."""
        ctx.write_event_to_stream(ProgressEvent(msg="Step one is happening"))
        return FirstEvent(first_output="First step complete.")

    @step
    async def step_two(self, ctx: Context, ev: FirstEvent) -> SecondEvent:
        """Pass the tokens of an LLM on, as they come."""
        generator = await self.llm.astream_complete(
            "Please give me the first paragraphs of Moby Dick, a book in the public domain."
        )
        full_resp = ""
        async for response in generator:
            ctx.write_event_to_stream(TokenEvent(msg=response.delta or ""))
            full_resp += response.delta or ""
        return SecondEvent(second_output="Second step complete.", response=full_resp)

    @step
    async def step_three(self, ctx: Context, ev: SecondEvent) -> StopEvent:
        """Report that the step runs."""
        ctx.write_event_to_stream(ProgressEvent(msg="Step three is happening"))
        return StopEvent(result="Workflow complete.")


async def run_workflow(screen: Screen, llm: OpenAI) -> Ended:
    """Run the workflow, and show its progress and tokens as they come."""
    screen.title("1. A workflow of three steps streams its progress")
    async with MyWorkflow(llm, timeout=120).run() as handler:
        async for event in handler.stream_events():
            if isinstance(event, TokenEvent):
                screen.stream("token", event.msg)
            elif isinstance(event, ProgressEvent):
                screen.line("progress", event.msg)
        ended = await ended_run("workflow", handler)
        screen.line(ended.outcome.status, str(ended.outcome.result or ended.outcome.error))
        return ended
