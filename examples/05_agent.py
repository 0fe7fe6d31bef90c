"""Streaming output and events of an agent: the program of LlamaIndex's page of that name.

Only its imports are changed: `AgentWorkflow.from_tools`, which core does not have, is ours, and it
takes the whole `TavilyToolSpec`. Tool calls are shown too, as the full code of that page does.
"""

# Core's ToolCall says that its arguments are a dict, and not of what.
# pyright: reportUnknownMemberType=false

import asyncio
import os

from _provider import OpenAI
from _tavily import TavilyToolSpec

from llama_index_streaming_ext import AgentStream, AgentWorkflow, ToolCall, ToolCallResult

tavily_tool = TavilyToolSpec(api_key=os.getenv("TAVILY_API_KEY"))

agent = AgentWorkflow.from_tools(
    [tavily_tool],
    llm=OpenAI(model="gpt-4o"),
)


async def main():
    handler = agent.run(user_msg="What is the weather in San Francisco?")

    async for ev in handler.stream_events():
        if isinstance(ev, AgentStream):
            print(ev.delta, end="", flush=True)
        elif isinstance(ev, ToolCallResult):
            print(f"[{ev.tool_name} found: {ev.tool_output}]")
        elif isinstance(ev, ToolCall):
            print(f"[{ev.tool_name} is called with {ev.tool_kwargs}]")
    print()


if __name__ == "__main__":
    asyncio.run(main())
