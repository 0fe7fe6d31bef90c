"""An agent with a query engine as its tool, whose work is seen in the agent's stream.

The tool is `StreamingQueryEngineTool` where core has `QueryEngineTool`: what the engine finds, and
its answer as it is written, are events of the agent's own stream. Without OPENAI_API_KEY the LLM is
played by a fake on this machine; the library and its retriever are real.
"""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false

import asyncio

from _library import vector_index
from _provider import OpenAI

from llama_index_streaming_ext import (
    AgentStream,
    FunctionAgent,
    QueryStarted,
    SourcesRetrieved,
    StreamingQueryEngineTool,
    ToolOutputDelta,
)

llm = OpenAI(model="gpt-4o-mini")

library = StreamingQueryEngineTool.from_defaults(
    vector_index().as_query_engine(llm=llm),
    name="library",
    description="Answers questions about the town of Quellmouth.",
)

agent = FunctionAgent(tools=[library], llm=llm)


async def main():
    handler = agent.run(user_msg="Who was the last keeper of the lighthouse?")
    speaker = ""
    async for event in handler.stream_events():
        if isinstance(event, QueryStarted):
            print(f"[the library is asked: {event.query}]")
        elif isinstance(event, SourcesRetrieved):
            for found in event.nodes:
                print(f"[found on the page '{found.node.metadata['page']}']")
        elif isinstance(event, ToolOutputDelta):
            speaker = say("library", speaker, event.delta)
        elif isinstance(event, AgentStream) and event.delta:
            speaker = say("agent", speaker, event.delta)
    outcome = await handler.outcome()
    print(f"\n{outcome.status}, after {outcome.usage.calls if outcome.usage else 0} LLM calls")


def say(who: str, before: str, delta: str) -> str:
    print("" if who == before else f"\n{who}: ", delta, sep="", end="", flush=True)
    return who


if __name__ == "__main__":
    asyncio.run(main())
