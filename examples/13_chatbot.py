"""A terminal chatbot: a slow tool that says how far it is, a hand-off, a stop key, a refusal.

Type a message; Ctrl-C stops the answer, not the program; an empty line ends it. Without a key, try
"What do you know of the tides?", "Write a story about them", and "Tell me the harbour code".
"""

import asyncio
import signal

from _provider import OpenAI
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_streaming_ext import (
    AgentChanged,
    AgentStream,
    AgentWorkflow,
    Event,
    FunctionAgent,
    Incomplete,
    ToolCallDelta,
    ToolProgress,
    emit_progress,
)


async def search_archive(query: str) -> str:
    """Search the archive. It takes its time."""
    for shelf in range(1, 4):
        emit_progress("searching", current=shelf, total=3)
        await asyncio.sleep(0.1)
    return f"Shelf 3 has a book about {query}."


llm = OpenAI(model="gpt-4o")
librarian = FunctionAgent(
    name="librarian", description="Finds books.", llm=llm, tools=[search_archive]
)
writer = FunctionAgent(name="writer", description="Writes stories.", llm=llm, can_handoff_to=[])
bot = AgentWorkflow(agents=[librarian, writer], root_agent="librarian")


def show(event: Event) -> None:
    if isinstance(event, AgentStream):
        print(event.delta, end="", flush=True)
    elif isinstance(event, ToolCallDelta) and event.tool_name != "handoff":
        print(f"\r[{event.tool_name} {event.arguments}]", end="", flush=True)
    elif isinstance(event, ToolProgress):
        print(f"\n  {event.message}: {event.current:.0f}/{event.total:.0f}", end="", flush=True)
    elif isinstance(event, AgentChanged):
        print(f"\n[{event.from_agent} -> {event.to_agent}: {event.reason}]")
    elif isinstance(event, Incomplete):
        print(f"[{event.reason}: {event.text}]", end="")


async def turn(said: str, memory: ChatMemoryBuffer) -> None:
    handler = bot.run(user_msg=said, memory=memory)
    stopping: set[asyncio.Task[None]] = set()

    def stop() -> None:
        stopping.add(asyncio.ensure_future(handler.cancel_run()))

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop)
    async for event in handler.stream_events():
        show(event)
    outcome = await handler.outcome()
    print(f"\n({outcome.status}, {outcome.finish_reason})", flush=True)


async def main() -> None:
    memory = ChatMemoryBuffer.from_defaults()  # pyright: ignore[reportUnknownMemberType] # core's
    while said := await asyncio.to_thread(ask):
        await turn(said, memory)


def ask() -> str:
    try:
        return input("\nyou: ")
    except EOFError:
        return ""


if __name__ == "__main__":
    asyncio.run(main())
