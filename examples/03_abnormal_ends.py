"""Handling workflow termination, as LlamaIndex's pages print it, in both of their versions.

Only the imports are changed. A failure says what it was by either page's names, and the outcome
says the same without raising.
"""

import asyncio

from llama_index_streaming_ext import (
    StartEvent,
    StopEvent,
    StreamingHandler,
    Workflow,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
    step,
)


class MyWorkflow(Workflow):
    @step
    async def work(self, ev: StartEvent) -> StopEvent:
        if ev.get("fails", False):
            raise ValueError("no such page")
        await asyncio.Event().wait()  # it never comes
        return StopEvent()


async def watch(handler: StreamingHandler):
    async for ev in handler.stream_events():
        if isinstance(ev, WorkflowTimedOutEvent):
            print(f"Workflow timed out after {ev.timeout}s")
        elif isinstance(ev, WorkflowCancelledEvent):
            print("Workflow was cancelled")
        elif isinstance(ev, WorkflowFailedEvent):
            print(f"Step '{ev.step_name}' failed after {ev.attempts} attempts: {ev.exception}")
            print(
                f"Step '{ev.step_name}' failed after {ev.attempts} attempts: {ev.exception_message}"
            )
    outcome = await handler.outcome()
    print(f"{outcome.status} {outcome.steps}: {outcome.error!r}")


async def main():
    await watch(MyWorkflow(timeout=0.1).run())
    cancelled = MyWorkflow(timeout=10).run()
    await cancelled.cancel_run()
    await watch(cancelled)
    await watch(MyWorkflow(timeout=10).run(fails=True))


if __name__ == "__main__":
    asyncio.run(main())
