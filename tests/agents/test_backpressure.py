"""`max_lead`: the LLM waits for the slowest reader of the run.

Only the fake counts the chunks that it has given; OpenAI's classes are measured by their bytes.
"""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import Any

import pytest
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from pydantic import PrivateAttr

from llama_index_streaming_ext import (
    AgentStream,
    AgentWorkflow,
    Context,
    FunctionAgent,
    ReActAgent,
    StartEvent,
    StopEvent,
    StreamingLLM,
    ToolCallDelta,
    Workflow,
    step,
)
from llama_index_streaming_ext.stream.backpressure import Backpressure
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from tests.support.agents.llm_kinds import LLMs

STORY = Turn(text(*["word "] * 200))
# The first chunk has the role, and a chunk that was asked for before the reader fell behind.
SLACK = 2


async def settled(llm: FakeStreamingLLM) -> int:
    """Return the number of chunks of the LLM when nothing moves any more."""
    before = -1
    while before != (before := sum(call.chunks for call in llm.calls)) or not llm.calls:
        for _ in range(30):
            await asyncio.sleep(0)
    return before


@pytest.mark.parametrize("lead", [1, 5, 20])
async def test_the_llm_waits_for_its_reader(lead: int) -> None:
    """It is never read more than so many chunks ahead; in the end all of it is."""
    llm = FakeStreamingLLM([STORY])
    handler = FunctionAgent(llm=llm, max_lead=lead).run(user_msg="hi")
    seen = 0
    async with asyncio.timeout(120):
        async for record in handler.stream.read(types=AgentStream):
            event: Any = record.event
            seen += 1
            if seen % 50 == 1:
                assert await settled(llm) <= seen + lead + SLACK
            assert event.current_agent_name == "Agent"
    assert (await handler.outcome()).text == "word " * 200


async def test_no_provider_is_read_ahead(llms: LLMs) -> None:
    """The provider keeps what nobody reads; its bytes are counted."""
    llm = llms([Turn(text(*["word "] * 80))])
    handler = FunctionAgent(llm=llm, max_lead=5).run(user_msg="hi")
    async with asyncio.timeout(120), aclosing(handler.stream.read(types=AgentStream)) as records:
        await anext(records)
        before = -1
        while before != (before := llms.sent(llm)):
            for _ in range(30):
                await asyncio.sleep(0)
        async for _ in records:
            pass
    # Those that may be ahead, and how a stream begins.
    assert 0 < before < llms.sent(llm) / 4
    assert (await handler.outcome()).text == "word " * 80


async def test_without_it_the_llm_waits_for_nobody() -> None:
    """As upstream (U12)."""
    llm = FakeStreamingLLM([STORY])
    handler = FunctionAgent(llm=llm).run(user_msg="hi")
    async with aclosing(handler.stream.read(types=AgentStream)) as records:
        await anext(records)
        assert await settled(llm) >= 200


async def test_the_slowest_reader_counts() -> None:
    """A quick one does not hurry it."""
    llm = FakeStreamingLLM([STORY])
    handler = FunctionAgent(llm=llm, max_lead=5).run(user_msg="hi")
    quick = asyncio.create_task(read_all(handler))
    async with aclosing(handler.stream.read(types=AgentStream)) as slow:
        await anext(slow)
        assert await settled(llm) <= 5 + 1 + SLACK
    assert len(await quick) == 5 * 200


async def read_all(handler: Any) -> str:
    """All text, as it comes."""
    return "".join([delta async for delta in handler.text_stream()])


async def test_who_leaves_holds_nobody_up() -> None:
    """A reader that has gone counts no longer, and without readers the LLM runs on."""
    llm = FakeStreamingLLM([STORY])
    handler = FunctionAgent(llm=llm, max_lead=5).run(user_msg="hi")
    async with aclosing(handler.stream.read(types=AgentStream)) as records:
        await anext(records)
    async with asyncio.timeout(120):
        assert (await handler.outcome()).text == "word " * 200


async def test_a_run_that_waits_can_be_stopped() -> None:
    """The LLM's stream is closed, though nobody reads on."""
    llm = FakeStreamingLLM([STORY])
    async with asyncio.timeout(120):
        async with FunctionAgent(llm=llm, max_lead=2).run(user_msg="hi") as handler:
            records = handler.stream.read(types=AgentStream)
            await anext(records)
            await settled(llm)
        assert (await handler.outcome()).status == "cancelled"
        await records.aclose()
    assert llm.calls[0].closed_by == "CancelledError"


async def test_arguments_wait_too() -> None:
    """They are chunks like others."""
    pieces = ['{"city":"', *["abcd"] * 200, '"}']
    llm = FakeStreamingLLM([Turn(tool_call("weather", fragments=pieces)), Turn(text("ok"))])
    handler = FunctionAgent(llm=llm, tools=[weather], max_lead=5).run(user_msg="hi")
    seen = 0
    async with asyncio.timeout(120):
        async for _ in handler.stream.read(types=ToolCallDelta):
            seen += 1
            if seen == 50:
                assert await settled(llm) <= seen + 5 + SLACK
    assert str(await handler) == "ok"


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {len(city)}"


async def test_a_reader_on_another_loop_is_waited_for() -> None:
    """Also one that reads in a thread."""
    llm = FakeStreamingLLM([STORY])
    handler = FunctionAgent(llm=llm, max_lead=3).run(user_msg="hi")
    async with asyncio.timeout(120):
        assert await asyncio.to_thread(lambda: asyncio.run(read_all(handler))) == "word " * 200


@pytest.mark.parametrize("kind", ["llm", "agent", "workflow", "react"])
async def test_where_it_can_be_set(kind: str) -> None:
    """On the agent, or on a StreamingLLM that the agent is given."""
    fake = FakeStreamingLLM([Turn(text("Thought: x\nAnswer: ", *["word "] * 200))])
    llm: Any = StreamingLLM(fake, max_lead=5) if kind == "llm" else fake
    cls = ReActAgent if kind == "react" else FunctionAgent
    agent: Any = cls(llm=llm, max_lead=None if kind == "llm" else 5)
    handler = (AgentWorkflow(agents=[agent]) if kind == "workflow" else agent).run(user_msg="hi")
    async with aclosing(handler.stream.read(types=AgentStream)) as records:
        await anext(records)
        assert await settled(fake) <= 5 + 3 * SLACK


@pytest.mark.parametrize("lead", [0, -1])
def test_a_lead_is_a_chunk_at_least(lead: int) -> None:
    """With none the LLM would never begin."""
    with pytest.raises(ValueError, match="max_lead"):
        FunctionAgent(llm=FakeStreamingLLM([]), max_lead=lead)


class Local(CustomLLM):
    """Makes tokens in the thread that asks for them, as a local model does."""

    _made: int = PrivateAttr(default=0)

    @property
    def made(self) -> int:
        """Number of tokens that it has made."""
        return self._made

    @property
    def metadata(self) -> LLMMetadata:
        """A model."""
        return LLMMetadata(model_name="local")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """It streams."""
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """A hundred tokens, as fast as they are asked for."""

        def tokens() -> Any:
            said = "Thought: x\nAnswer: "
            for _ in range(100):
                assert threading.current_thread() is not threading.main_thread()
                self._made += 1
                said += "word "
                yield CompletionResponse(text=said, delta="word " if self._made > 1 else said)

        return tokens()


async def test_a_thread_makes_no_tokens_ahead() -> None:
    """A sync LLM is asked for a token when one is waited for."""
    llm = Local()
    handler = ReActAgent(llm=llm, max_lead=3).run(user_msg="hi")
    async with asyncio.timeout(120), aclosing(handler.stream.read(types=AgentStream)) as records:
        await anext(records)
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        assert llm.made <= 1 + 3 + SLACK
        async for _ in records:
            pass
    assert llm.made == 100


class Tells(Workflow):
    """Passes on what an LLM says."""

    def __init__(self, llm: Any) -> None:
        super().__init__()
        self.llm = llm

    @step
    async def only(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Tell."""
        async for chunk in await self.llm.astream_complete("a story"):
            ctx.write_event_to_stream(
                AgentStream(delta=chunk.delta, response=chunk.text, current_agent_name="")
            )
        return StopEvent()


async def test_a_step_of_ones_own_waits_too() -> None:
    """A StreamingLLM that a workflow's step reads by itself."""
    fake = FakeStreamingLLM([STORY])
    handler = Tells(StreamingLLM(fake, max_lead=5)).run()
    async with asyncio.timeout(120), aclosing(handler.stream.read(types=AgentStream)) as records:
        await anext(records)
        assert await settled(fake) <= 5 + 2 * SLACK
        async for _ in records:
            pass
    assert (await handler.outcome()).text == "word " * 200


async def test_a_reader_whose_loop_is_closed_holds_nobody_up() -> None:
    """Nobody can go on with it, and nobody can close it."""
    llm = FakeStreamingLLM([STORY])
    handler = FunctionAgent(llm=llm, max_lead=5).run(user_msg="hi")
    records: Any = handler.stream.read(types=AgentStream)

    def reads_one() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(anext(records))
        loop.close()

    await asyncio.to_thread(reads_one)
    async with asyncio.timeout(120):
        assert (await handler.outcome()).text == "word " * 200
    assert records is not None  # it is there all the time


def test_waiting_leaves_nothing_behind() -> None:
    """A reader may nap as often as there are tokens, and a writer may wait as often."""

    async def waits() -> None:
        closed: list[bool] = []
        lead = Backpressure(lambda: 1, lambda: bool(closed))
        lead.attached(Cursor[Any](0, (), False))
        writer = asyncio.create_task(lead.wait_for_slowest(1))
        await asyncio.sleep(0)
        writer.cancel()
        await asyncio.wait({writer})
        for _ in range(3):
            await lead.await_batch(0)
            lead.wait_for_batch(0)
        assert lead.waiters == 0

    asyncio.run(waits())
