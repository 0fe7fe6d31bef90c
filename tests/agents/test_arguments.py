"""Arguments of tool calls, as an agent's run tells them while they are written (L5)."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import json
from collections import UserDict, UserList
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.llms import MockLLM

from llama_index_streaming_ext import (
    AgentStream,
    FunctionAgent,
    LLMCallStarted,
    Record,
    StreamingHandler,
    StreamingLLM,
    ToolCall,
    ToolCallDelta,
)
from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.llm.chunks.reader import reader_for
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    check_stream,
    gate,
    parallel,
    text,
    tool_call,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.provider_llms import DIALECTS, real, recorded


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def get_weather(city: str) -> str:
    """The weather in a city, by another name."""
    return weather(city)


async def records_of(handler: StreamingHandler, *types: type[Event]) -> list[Record]:
    """The records of these events; a hang fails the test."""
    async with asyncio.timeout(120):
        await handler.outcome()
        return [record async for record in handler.stream.read(types=types)]


async def events_of(handler: StreamingHandler, *types: type[Event]) -> list[Any]:
    """These events."""
    return [record.event for record in await records_of(handler, *types)]


def joined(deltas: list[Any]) -> dict[str, str]:
    """The text of the arguments, by the id of the tool call."""
    told: dict[str, str] = {}
    for delta in deltas:
        told[delta.tool_id] = told.get(delta.tool_id, "") + delta.delta
    return told


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("order", ["interleaved", "together", "one by one"])
async def test_the_deltas_are_what_the_tool_is_called_with(dialect: Dialect, order: Any) -> None:
    """However the provider mixes the calls on the wire (U72)."""
    calls = [tool_call("weather", city="Paris"), tool_call("weather", city="Rome")]
    parts: Any = calls if order == "one by one" else [parallel(*calls, order=order)]
    fake = FakeOpenAI([Turn(*parts), Turn(text("ok"))])
    with fake.mock():
        agent = FunctionAgent(llm=real(fake, dialect), tools=[weather])
        handler = agent.run(user_msg="hi")
        told = joined(await events_of(handler, ToolCallDelta))
        called = await events_of(handler, ToolCall)
        await check_stream(handler)
    assert told == {
        called[0].tool_id: '{"city":"Paris"}',
        called[1].tool_id: '{"city":"Rome"}',
    }
    assert [call.tool_kwargs for call in called] == [{"city": "Paris"}, {"city": "Rome"}]


@pytest.mark.parametrize(
    "name",
    [
        *("chat.tool_single", "chat.tool_parallel", "chat.quirk_two_deltas_one_chunk"),
        *("chat.text_then_tool", "responses.tool_single"),
    ],
)
async def test_recorded_calls_are_told_as_they_are_called(name: str) -> None:
    """As real providers wrote them."""
    agent = FunctionAgent(llm=recorded(name), tools=[get_weather])
    handler = agent.run(user_msg="hi", max_iterations=1)
    told = joined(await events_of(handler, ToolCallDelta))
    called = await events_of(handler, ToolCall)
    assert len(told) == (2 if "parallel" in name or "quirk" in name else 1)
    for call in called:
        assert told[call.tool_id] == '{"city":"%s"}' % call.tool_kwargs["city"]  # noqa: UP031


async def test_they_come_before_the_call_and_say_where_they_come_from() -> None:
    """All of an LLM call have its id, its agent and the tool call in their origin."""
    llm = FakeStreamingLLM([Turn(text("So"), tool_call("weather", city="X")), Turn(text("ok"))])
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi")
    records = await records_of(handler, LLMCallStarted, AgentStream, ToolCallDelta, ToolCall)
    kinds = [type(record.event) for record in records]
    assert kinds.index(ToolCall) > max(i for i, k in enumerate(kinds) if k is ToolCallDelta)
    started: Any = records[0].event
    for record in records:
        if isinstance(record.event, ToolCallDelta):
            assert record.origin.call_id == started.call_id
            assert record.origin.tool_id == record.event.tool_id
            assert record.origin.agent == "Agent"


async def test_they_are_written_while_the_model_writes() -> None:
    """The first is in the log before the LLM has said the last."""
    pieces = ['{"city":', gate("go"), '"X"}']
    llm = FakeStreamingLLM([Turn(tool_call("weather", fragments=pieces)), Turn(text("ok"))])
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi")
    async with asyncio.timeout(120):
        async for record in handler.stream.read(types=ToolCallDelta):
            event: Any = record.event
            assert event.arguments in ({}, {"city": "X"})
            llm.open("go")
    assert str(await handler) == "ok"


async def test_an_empty_object_is_told_too() -> None:
    """A tool without arguments is called with `{}`."""
    llm = FakeStreamingLLM([Turn(tool_call("now")), Turn(text("ok"))])
    handler = FunctionAgent(llm=llm, tools=[now]).run(user_msg="hi")
    assert list(joined(await events_of(handler, ToolCallDelta)).values()) == ["{}"]


def now() -> str:
    """The time."""
    return "noon"


async def test_every_delta_knows_what_came_before_it() -> None:
    """`.text` and `.arguments` are of the moment, also when they are read later."""
    llm = FakeStreamingLLM(
        [Turn(tool_call("weather", fragments=['{"ci', 'ty":"New', ' York"}'])), Turn(text("ok"))]
    )
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi")
    deltas = await events_of(handler, ToolCallDelta)
    assert [delta.text for delta in deltas] == [
        '{"ci',
        '{"city":"New',
        '{"city":"New York"}',
    ]
    assert [delta.arguments for delta in deltas] == [{}, {"city": "New"}, {"city": "New York"}]


class Counted:
    """Counts how often core's parser is asked for the tool calls of a chunk."""

    def __init__(self, llm: FakeStreamingLLM) -> None:
        self.count = 0
        ask = llm.get_tool_calls_from_response

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return ask(*args, **kwargs)

        state: Any = llm.__dict__
        state["get_tool_calls_from_response"] = counted


@pytest.mark.parametrize("size", [50, 2_000])
async def test_arguments_are_parsed_no_oftener_for_more_tokens(size: int) -> None:
    """U22: upstream parses all of them for each token."""
    llm = FakeStreamingLLM(
        [
            Turn(tool_call("weather", fragments=['{"city":"', *["abcd"] * size, '"}'])),
            Turn(text("ok")),
        ]
    )
    counted = Counted(llm)
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi")
    assert str(await handler) == "ok"
    assert counted.count <= 6


@pytest.mark.parametrize("wraps", [True, False])
async def test_a_subclass_that_reads_the_stream_gets_it_all(wraps: bool) -> None:
    """Users' `_get_streaming_response` sees every chunk, and nothing comes twice."""
    chunks: list[str] = []

    class Reads(FunctionAgent):
        async def _get_streaming_response(
            self, ctx: Any, current_llm_input: Any, tools: Any
        ) -> Any:
            last: Any = None
            llm: Any = self.llm
            async for last in await llm.astream_chat_with_tools(
                tools, chat_history=current_llm_input
            ):
                chunks.append(last.delta or "")
                ctx.write_event_to_stream(
                    AgentStream(
                        delta=last.delta or "",
                        response=last.message.content or "",
                        current_agent_name=self.name,
                        tool_calls=[],
                        raw=None,
                    )
                )
            return last

    llm: Any = FakeStreamingLLM(
        [Turn(text("Let", " me"), tool_call("weather", city="X")), Turn(text("It", " is"))]
    )
    handler = Reads(llm=StreamingLLM(llm) if wraps else llm, tools=[weather]).run(user_msg="hi")
    outcome = await handler.outcome()
    assert outcome.text == "".join(chunks) == "Let meIt is"
    assert list(joined(await events_of(handler, ToolCallDelta)).values()) == ['{"city":"X"}']
    await check_stream(handler)


async def test_a_subclass_with_a_step_of_its_own_gets_the_llm_itself() -> None:
    """`take_step` without `super()`: the stream is upstream's, chunk by chunk."""

    class Steps(FunctionAgent):
        async def take_step(self, ctx: Any, llm_input: Any, tools: Any, memory: Any) -> Any:
            from llama_index.core.agent.workflow import FunctionAgent as Core

            return await Core.take_step(self, ctx, llm_input, tools, memory)

    llm = FakeStreamingLLM([Turn(text("a", "b"))])
    handler = Steps(llm=llm).run(user_msg="hi")
    assert (await handler.outcome()).text == "ab"
    assert await events_of(handler, LLMCallStarted) == []
    await check_stream(handler)


@pytest.mark.parametrize("city", ["\\ud83d", "\ud83d", "[" * 300 + "]" * 300])
async def test_what_python_can_parse_is_whole(city: str) -> None:
    """Half an emoji, or lists in lists in lists, is no call that was cut off."""
    pieces = ['{"city":"', city, '"}'] if "[" not in city else ['{"city":', city, "}"]
    llm = FakeStreamingLLM([Turn(tool_call("size", fragments=pieces)), Turn(text("ok"))])
    called: list[Any] = []

    def size(city: Any) -> str:
        """The size of a city."""
        called.append(city)
        return "large"

    handler = FunctionAgent(llm=llm, tools=[size]).run(user_msg="hi")
    assert str(await handler) == "ok"
    assert called == [json.loads("".join(pieces))["city"]]
    deltas = await events_of(handler, ToolCallDelta)
    assert deltas[-1].arguments == {"city": called[0]}


def test_what_json_cannot_say_is_said_as_near_as_it_can_be() -> None:
    """Some providers give lists and dicts of classes of their own; upstream runs their tools."""
    given = {"at": UserDict({"x": UserList([1, b"2"])}), "unit": complex(1)}
    block = ToolCallBlock(tool_call_id="a", tool_name="weather", tool_kwargs=given)
    answer = ChatResponse(message=ChatMessage(role="assistant", blocks=[block]))
    reader = reader_for(MockLLM())
    told = [*reader.read(answer).fragments, *reader.end()]
    assert "".join(piece.delta for piece in told) == '{"at":{"x":[1,"b\'2\'"]},"unit":"(1+0j)"}'
