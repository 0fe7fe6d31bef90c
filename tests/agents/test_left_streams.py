"""LLM streams that somebody has left in the middle, and calls that an end has broken off (L8)."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext import (
    AgentStream,
    FunctionAgent,
    LLMCallFinished,
    StreamingHandler,
    StreamingLLM,
)
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    check_stream,
    finish,
    gate,
    text,
    tool_call,
)
from tests.support.agents.llm_kinds import LLMs

ASK = [ChatMessage("A story, please")]


class LeavesTheStream(FunctionAgent):
    """Reads its LLM by itself, and does not read to the end."""

    then: Callable[[], Any]

    async def _get_streaming_response(self, ctx: Any, current_llm_input: Any, tools: Any) -> Any:
        llm: Any = self.llm
        # The variable keeps the stream for as long as the error has its traceback.
        chunks = await llm.astream_chat_with_tools(tools, chat_history=current_llm_input)
        async for _ in chunks:
            await self.then()


async def fails() -> None:
    """Fails."""
    raise ValueError("Enough.")


def story(llms: LLMs) -> FunctionCallingLLM:
    """Says something, and never ends."""
    return llms([Turn(text("Once", " upon"), gate("never"), text(" a time"))])


async def finished(handler: StreamingHandler) -> list[LLMCallFinished]:
    """Return the finish reasons of the LLM calls of a run."""
    read: list[Any] = [record.event async for record in handler.stream.read(types=LLMCallFinished)]
    return read


async def until(handler: StreamingHandler, event: Any) -> None:
    """Wait for the first event of a class."""
    async for _ in handler.stream.read(types=event):
        break


async def test_a_stream_is_closed_when_its_step_fails(llms: LLMs) -> None:
    """Although the run keeps the error, and the error its traceback."""
    llm = story(llms)
    handler = LeavesTheStream(llm=llm, then=fails).run(user_msg="hi")
    outcome = await handler.outcome()
    assert isinstance(outcome.error, ValueError)
    assert await llms.left(llm)
    assert [call.finish_reason for call in await finished(handler)] == ["cancelled"]
    await check_stream(handler)


async def test_a_stream_is_closed_when_its_step_is_cancelled(llms: LLMs) -> None:
    """The same holds for a step that was doing something else with a chunk."""
    llm, busy = story(llms), asyncio.Event()

    async def waits() -> None:
        busy.set()
        await asyncio.Event().wait()

    handler = LeavesTheStream(llm=llm, then=waits).run(user_msg="hi")
    await busy.wait()
    await handler.cancel_run()
    assert await llms.left(llm)
    assert [call.finish_reason for call in await finished(handler)] == ["cancelled"]
    await check_stream(handler)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_stream_is_closed_when_its_tool_fails(llms: LLMs, is_async: bool) -> None:
    """The tool's error is in the log, with its traceback."""
    inner = story(llms)
    llm: Any = StreamingLLM(inner)

    async def ask() -> None:
        """Asks an LLM of its own."""
        chunks = await llm.astream_chat(ASK)
        async for _ in chunks:
            raise ValueError("Enough.")

    def ask_sync() -> None:
        """Asks an LLM of its own."""
        chunks = llm.stream_chat(ASK)
        for _ in chunks:
            raise ValueError("Enough.")

    name = "ask" if is_async else "ask_sync"
    outer = llms([Turn(tool_call(name)), Turn(text("ok"))])
    handler = FunctionAgent(llm=outer, tools=[ask, ask_sync]).run(user_msg="hi")
    assert str(await handler) == "ok"
    assert await llms.left(inner)
    assert [call.finish_reason for call in await finished(handler)][1] == "cancelled"


async def test_a_call_that_a_stop_breaks_off_is_finished(llms: LLMs) -> None:
    """The usage of the call is known then, and no reader waits for its end."""
    handler = FunctionAgent(llm=story(llms)).run(user_msg="hi")
    await until(handler, AgentStream)
    await handler.cancel_run()
    (call,) = await finished(handler)
    assert (call.finish_reason, call.partial) == ("cancelled", True)
    assert (await handler.outcome()).finish_reason == "cancelled"
    await check_stream(handler)


class RefusesToRead(FakeStreamingLLM):
    """Its class raises when it is asked which tools an answer calls."""

    def get_tool_calls_from_response(self, *args: Any, **kwargs: Any) -> Any:
        """Raises."""
        raise ValueError("I cannot read that.")


async def test_a_call_whose_answer_cannot_be_read_is_finished_all_the_same() -> None:
    """The LLM has said all; that core cannot read it is no end of the call."""
    refuses: Any = RefusesToRead
    llm = refuses([Turn(text("Hello"), finish("stop"))], usage="always")
    handler = FunctionAgent(llm=llm).run(user_msg="hi")
    outcome = await handler.outcome()
    assert (outcome.status, outcome.finish_reason) == ("failed", "stop")
    (call,) = await finished(handler)
    assert not call.partial
    assert outcome.usage is not None
    assert not outcome.usage.partial
