"""Pictures of flows: of a workflow of your own, and of an agent, which is a workflow too.

Each is one HTML file that loads nothing and runs no script.
"""

from pathlib import Path

from llama_index_streaming_ext import (
    AgentWorkflow,
    Event,
    StartEvent,
    StopEvent,
    Workflow,
    draw_all_possible_flows,
    step,
)


class Draft(Event):
    text: str


class Review(Workflow):
    @step
    async def write(self, ev: StartEvent) -> Draft:
        return Draft(text="...")

    @step
    async def review(self, ev: Draft) -> Draft | StopEvent:
        return StopEvent(result=ev.text)


def main():
    for workflow, filename in ((Review, "review.html"), (AgentWorkflow, "agent.html")):
        draw_all_possible_flows(workflow, filename=filename)
        print(f"{filename}: {len(Path(filename).read_text(encoding='utf-8'))} characters")


if __name__ == "__main__":
    main()
