"""The laws hold for agents with a StreamingLLM, whatever the LLM says and however it ends."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext import (
    AgentStream,
    AgentWorkflow,
    FunctionAgent,
    Incomplete,
    LLMCallFinished,
    LLMCallStarted,
    Record,
    StreamingHandler,
    StreamingLLM,
    ToolCall,
    ToolCallDelta,
    ToolCallResult,
    TruncatedToolCall,
)
from llama_index_streaming_ext.testing import (
    CancelPoint,
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    cancel_points,
    check_stream,
    finish,
    scripts,
    text,
    tool_call,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.laws.laws import PATIENCE, examples
from tests.support.provider_llms import real

ran: list[Any] = []


def weather(city: str, days: int = 1) -> str:
    """The weather in a city."""
    ran.append({"city": city, "days": days})
    return f"sunny in {city}"


def now() -> str:
    """The time."""
    return "noon"


ARGUMENTS: Any = st.fixed_dictionaries(
    {"city": st.text(st.characters(codec="utf-8"), max_size=8)},
    optional={"days": st.integers(0, 9)},
)
SCRIPTS = scripts({"weather": ARGUMENTS, "now": st.just({})})
DIALECTS: list[Dialect] = ["chat", "responses"]
LEADS = st.none() | st.sampled_from([1, 3, 10])


async def records_of(handler: StreamingHandler) -> list[Record]:
    """All records, to the end."""
    async with asyncio.timeout(PATIENCE):
        return [record async for record in handler.stream.read()]


def check_calls(records: list[Record]) -> None:
    """Every call that has begun is over once, in that order; nothing is said of others."""
    begun: list[str] = []
    over: list[str] = []
    for record in records:
        event = record.event
        if isinstance(event, LLMCallStarted):
            assert event.call_id not in begun
            begun.append(event.call_id)
        elif isinstance(event, LLMCallFinished):
            assert event.call_id in begun
            assert event.call_id not in over
            over.append(event.call_id)
        elif isinstance(event, Incomplete):
            assert event.call_id in begun
            assert event.call_id not in over
        elif isinstance(event, AgentStream | ToolCallDelta):
            assert record.origin.call_id == begun[-1]
    if records[-1].terminal and type(records[-1].event).__name__ == "StopEvent":
        assert begun == over


def check_arguments(records: list[Record]) -> None:
    """Every tool call was told before it is made, all of it (L5)."""
    told: dict[str, str] = {}
    for record in records:
        event: Any = record.event
        if isinstance(event, ToolCallDelta):
            told[event.tool_id] = told.get(event.tool_id, "") + event.delta
        elif isinstance(event, ToolCall):
            assert json.loads(told.pop(event.tool_id)) == event.tool_kwargs


def agent_of(llm: Any, *, lead: int | None, nested: bool, workflow: bool) -> Any:
    """An agent with these tools."""
    llm = StreamingLLM(llm, max_lead=lead) if nested else llm
    agent = FunctionAgent(llm=llm, tools=[weather, now], max_lead=None if nested else lead)
    return AgentWorkflow(agents=[agent]) if workflow else agent


async def check_run(runner: Any, point: CancelPoint | None) -> list[Record]:
    """Run an agent, perhaps stop it, and check all laws."""
    handler: StreamingHandler = runner.run(user_msg="?", max_iterations=6)
    checking = asyncio.create_task(check_stream(handler, timeout=PATIENCE))
    if point is not None:
        await point.reached(handler)
        await handler.cancel_run()
    report = await checking
    assert {"L1", "L2", "L6", "L7"} <= set(report.held)
    records = await records_of(handler)
    check_calls(records)
    check_arguments(records)
    return records


@examples(50)
@given(
    script=SCRIPTS,
    dialect=st.sampled_from(DIALECTS),
    faithful=st.booleans(),
    lead=LEADS,
    nested=st.booleans(),
    workflow=st.booleans(),
    point=st.none() | cancel_points(),
)
def test_agents_with_the_fake(
    script: list[Turn],
    dialect: Dialect,
    faithful: bool,
    lead: int | None,
    nested: bool,
    workflow: bool,
    point: CancelPoint | None,
) -> None:
    """L1 to L7, also where the class that the fake imitates breaks L3 (U74), and when stopped."""
    llm = FakeStreamingLLM(script, dialect=dialect, faithful=faithful)
    runner = agent_of(llm, lead=lead, nested=nested, workflow=workflow)
    asyncio.run(check_run(runner, point))
    assert all(call.closed_by is not None for call in llm.calls)


@examples(10)
@given(script=SCRIPTS, dialect=st.sampled_from(DIALECTS), lead=LEADS)
def test_agents_with_the_real_classes(
    script: list[Turn], dialect: Dialect, lead: int | None
) -> None:
    """The same, with what OpenAI's own classes make of the wire."""
    fake = FakeOpenAI(script)
    with fake.mock():
        llm = real(fake, dialect, max_retries=0)
        runner = agent_of(llm, lead=lead, nested=False, workflow=False)
        asyncio.run(check_run(runner, None))


@examples(10)
@given(script=SCRIPTS, dialect=st.sampled_from(DIALECTS))
def test_the_real_classes_and_the_fake_make_the_same_run(
    script: list[Turn], dialect: Dialect
) -> None:
    """Event for event, but for ids, times and the providers' raw chunks."""
    fake = FakeOpenAI(script)
    with fake.mock():
        llm = real(fake, dialect, max_retries=0)
        ours = shown(asyncio.run(all_of(llm)))
    theirs = shown(asyncio.run(all_of(FakeStreamingLLM(script, dialect=dialect))))
    assert ours == theirs


async def all_of(llm: Any) -> list[Record]:
    """A run to its end."""
    return await records_of(FunctionAgent(llm=llm, tools=[weather, now]).run(user_msg="?"))


def shown(records: list[Record]) -> list[Any]:
    """What the LLM calls of a run say."""
    said: list[Any] = []
    for record in records:
        event: Any = record.event
        delta = getattr(event, "delta", None)
        # Tools that run side by side come and go in any order.
        if isinstance(event, ToolCall | ToolCallResult):
            continue
        if delta == "" and not getattr(event, "thinking_delta", None):
            continue
        said.append((type(event).__name__, delta, getattr(event, "finish_reason", None)))
    return said


@pytest.mark.parametrize("dialect", DIALECTS)
@examples(25)
@given(city=st.text(st.characters(codec="utf-8"), max_size=12), data=st.data())
def test_no_cut_runs_a_tool(dialect: Dialect, city: str, data: st.DataObject) -> None:
    """U23: wherever arguments are cut off, the tool is run with all of them or not at all."""
    whole = json.dumps({"city": city, "days": 3}, ensure_ascii=False)
    at = data.draw(st.integers(0, len(whole)))
    pieces = [piece for piece in (whole[: at // 2], whole[at // 2 : at]) if piece] or [""]
    call = tool_call("weather", fragments=pieces)
    llm = FakeStreamingLLM([Turn(call, finish("length")), Turn(text("ok"))], dialect=dialect)
    llm_is_told = at not in (0, len(whole))
    ran.clear()
    records = asyncio.run(all_of(llm))
    cut = [record for record in records if isinstance(record.event, TruncatedToolCall)]
    assert bool(cut) is llm_is_told
    if llm_is_told:
        assert ran == []
    if at == len(whole):
        assert ran == [{"city": city, "days": 3}]
