"""A chatbot, as its authors would write it. How they test it is in test_app.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from llama_index.core.llms import LLM

from llama_index_streaming_ext import AgentStream, FunctionAgent, StreamingHandler, ToolCall

SORRY = {
    "failed": "(Sorry, something went wrong.)",
    "timed_out": "(Sorry, that took too long.)",
    "cancelled": "(Stopped.)",
}


def weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


class Chatbot:
    """Answers questions, on any LLM."""

    def __init__(self, llm: LLM) -> None:
        self._agent = FunctionAgent(tools=[weather], llm=llm, timeout=45.0)
        self._handler: StreamingHandler | None = None

    async def answer(self, question: str) -> AsyncGenerator[str]:
        """What the page shows, piece by piece."""
        self._handler = handler = self._agent.run(user_msg=question)
        async for event in handler.stream_events():
            if isinstance(event, AgentStream) and event.delta:
                yield event.delta
            elif isinstance(event, ToolCall):
                yield f"[{event.tool_name}]"
        outcome = await handler.outcome()
        if outcome.status != "completed":
            yield SORRY.get(outcome.status, "(Sorry.)")

    async def stop(self) -> None:
        """The stop button."""
        if self._handler is not None:
            await self._handler.cancel_run()
