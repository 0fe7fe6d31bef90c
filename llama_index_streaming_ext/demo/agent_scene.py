"""The second scene: an agent uses a slow tool, and its one stream has three readers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from llama_index_streaming_ext.agents import AgentWorkflow
from llama_index_streaming_ext.demo.providers import TOOL_SECONDS
from llama_index_streaming_ext.demo.run_table import Ended, ended_run
from llama_index_streaming_ext.demo.screen import Screen
from llama_index_streaming_ext.events import AgentStream, Event, ToolCall, ToolCallResult
from llama_index_streaming_ext.run.handler import StreamingHandler

if TYPE_CHECKING:
    from llama_index.llms.openai import OpenAI


async def run_agent(screen: Screen, llm: OpenAI, pace: float) -> Ended:
    """Run the agent, and show that each of three readers gets the whole stream.

    Args:
        screen: where to show it.
        llm: the LLM of the agent.
        pace: how slow the tool is; 1.0 is for people to watch, 0.0 does not wait.
    """
    screen.title("2. An agent uses a slow tool, and its one stream has three readers")

    async def weather(city: str) -> str:
        """The weather in a city."""
        await asyncio.sleep(pace * TOOL_SECONDS)
        return f"{city}: partly cloudy, 13.9°C (57.0°F)"

    agent = AgentWorkflow.from_tools(
        [weather],
        llm=llm,
        system_prompt="Say in a few words what you are going to do before you use a tool.",
    )
    question = "What is the weather in San Francisco?"
    screen.line("you", question)
    async with agent.run(user_msg=question) as handler:
        tool_works = asyncio.Event()
        beside = asyncio.create_task(_read(handler))
        late = asyncio.create_task(_join_late(screen, handler, tool_works))
        shown = await _show(screen, handler, tool_works)
        joined, late_events = await late
        screen.line("reader A", f"read from the start: {_sum(shown)}, shown above")
        screen.line("reader B", f"read beside it: {_compared(await beside, shown)}")
        screen.line("reader C", f"joined after event {joined}: {_compared(late_events, shown)}")
        return await ended_run("agent", handler)


async def _show(
    screen: Screen, handler: StreamingHandler, tool_works: asyncio.Event
) -> list[Event]:
    """Show every event as it comes: reader A."""
    seen: list[Event] = []
    async for event in handler.stream_events():
        seen.append(event)
        if isinstance(event, AgentStream):
            screen.stream("agent", event.delta)
        elif isinstance(event, ToolCallResult):
            screen.line("result", str(event.tool_output))
        elif isinstance(event, ToolCall):
            screen.line("tool call", _call(event))
            tool_works.set()
    # A model of its own will may not call the tool.
    tool_works.set()
    return seen


def _call(event: ToolCall) -> str:
    kwargs = cast("dict[str, Any]", event.tool_kwargs)  # pyright: ignore[reportUnknownMemberType] # core says dict
    return f"{event.tool_name}({', '.join(f'{name}={value!r}' for name, value in kwargs.items())})"


async def _read(handler: StreamingHandler) -> list[Event]:
    """Read the whole stream at the same time: reader B."""
    return [event async for event in handler.stream_events()]


async def _join_late(
    screen: Screen, handler: StreamingHandler, tool_works: asyncio.Event
) -> tuple[int, list[Event]]:
    """Join while the tool works, and read all from the start nevertheless: reader C."""
    await tool_works.wait()
    seen = [record.event async for record in handler.stream.read(follow=False)]
    screen.line("reader C", f"joins now, {len(seen)} events late")
    return len(seen), await _read(handler)


def _sum(events: list[Event]) -> str:
    characters = sum(len(event.delta) for event in events if isinstance(event, AgentStream))
    return f"{len(events)} events, {characters} characters"


def _compared(events: list[Event], shown: list[Event]) -> str:
    return f"{_sum(events)}, {'the same' if events == shown else 'NOT THE SAME'}"
