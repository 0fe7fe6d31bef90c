"""An engine that splits a question, and shows in the terminal what it is working at.

The parts are answered at the same time, so their answers grow side by side; then comes the answer.
Where the output is no terminal, each part is printed when it is answered.
"""

# Core's own signatures are not typed in full.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

import asyncio
import shutil
import sys

from _library import vector_index
from _provider import OpenAI
from llama_index.core.base.response.schema import AsyncStreamingResponse
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext import (
    AnswerDelta,
    Event,
    LLMCallDelta,
    QueryEvent,
    SourcesRetrieved,
    SubAnswer,
    SubQuestion,
    stream_query,
)

QUESTION = "Plan a visit to the lighthouse: is the climb hard, and how does one get there?"


class Board:
    """A line for each sub-question, which says how far it is."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self.lines: dict[str, str] = {}
        self.parents: dict[str, str | None] = {}

    def take(self, event: Event):
        """Show what an event tells."""
        if not isinstance(event, QueryEvent):
            return
        self.parents.setdefault(event.call_id, event.parent_id)
        part = self.part_of(event.call_id)
        if isinstance(event, SubQuestion):
            if self.live:
                print()
            self.lines[event.call_id] = f"{event.question} [{event.tool_name}]"
            self.draw()
        elif isinstance(event, SubAnswer):
            self.lines[event.call_id] = f"{event.question} {event.answer or event.error}"
            self.draw()
            if not self.live:
                print(self.lines[event.call_id])
        elif part and isinstance(event, SourcesRetrieved):
            pages = sorted({str(node.metadata["page"]) for node in event.nodes})
            self.lines[part] += f" ({', '.join(pages)}) "
            self.draw()
        elif part and isinstance(event, LLMCallDelta):
            self.lines[part] += event.delta
            self.draw()

    def part_of(self, call_id: str | None):
        """The sub-question that some work is done for."""
        while call_id is not None and call_id not in self.lines:
            call_id = self.parents.get(call_id)
        return call_id

    def draw(self):
        """Write all the lines anew, in the place of the old ones."""
        if not self.live:
            return
        width = shutil.get_terminal_size().columns - 3
        print(f"\x1b[{len(self.lines)}A", end="")
        for line in self.lines.values():
            # Its end, as that is what is new.
            shown = line if len(line) <= width else "…" + line[1 - width :]
            print(f"\x1b[2K> {shown}")


def sub_question_engine(llm: OpenAI):
    about = {
        "lighthouse": "The lighthouse on Gull Rock: its tower, and who built it.",
        "ferries": "Boats and ferries: where they go, and when they do not.",
    }
    tools = [
        QueryEngineTool.from_defaults(
            vector_index(page).as_query_engine(llm=llm), name=page, description=what
        )
        for page, what in about.items()
    ]
    return SubQuestionQueryEngine.from_defaults(
        tools,
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm=llm),
        verbose=False,
    )


async def main():
    engine = sub_question_engine(OpenAI(model="gpt-4o-mini"))
    print(QUESTION)
    board = Board()
    answering = False
    response = stream_query(engine, QUESTION, show="calls")
    assert isinstance(response, AsyncStreamingResponse)
    async with response:
        async for event in response.events():
            if isinstance(event, AnswerDelta):
                print("" if answering else "\n", end="")
                answering = True
                print(event.delta, end="", flush=True)
            else:
                board.take(event)
        # This raises what the query failed with, if it did.
        await response.get_response()
    print(f"\n{len(response.source_nodes)} sources")


if __name__ == "__main__":
    asyncio.run(main())
