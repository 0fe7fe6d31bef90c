"""Events between an agent's LLM calls: hand-offs, direct answers, retries, limits.

All of it with the fake LLM and with OpenAI's classes.
"""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from workflows.errors import WorkflowRuntimeError

from llama_index_streaming_ext import (
    AgentInput,
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    FunctionAgent,
    ReActAgent,
    StopEvent,
    StreamingHandler,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.events import AgentChanged, Retrying
from llama_index_streaming_ext.testing import Turn, check_stream, parallel, text, tool_call
from llama_index_streaming_ext.testing.script.request import message_text
from tests.support.agents.llm_kinds import LLMs, check_history


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def directly(city: str) -> str:
    """The answer itself."""
    return f"direct {city}"


async def after_the_hand_off() -> str:
    """The answer itself, but later than any tool that has nothing to wait for."""
    for _ in range(50):
        await asyncio.sleep(0)
    return "late"


async def at_once() -> str:
    """The answer itself, before anything else."""
    return "at once"


def breaks(city: str) -> str:
    """Falls over."""
    raise ValueError(city)


DIRECT = FunctionTool.from_defaults(directly, return_direct=True)
LATE = FunctionTool.from_defaults(async_fn=after_the_hand_off, return_direct=True)
AT_ONCE = FunctionTool.from_defaults(async_fn=at_once, return_direct=True)
BREAKS = FunctionTool.from_defaults(breaks, return_direct=True)


async def seen_by(handler: StreamingHandler) -> list[Any]:
    """The events of a run; a hang fails the test."""
    async with asyncio.timeout(120):
        return [event async for event in handler.stream_events()]


def kinds(events: Sequence[Any]) -> list[str]:
    """The classes of events, without what happens in LLM calls."""
    shown = (AgentInput, AgentOutput, AgentChanged, Retrying, ToolCall, ToolCallResult, StopEvent)
    return [type(event).__name__ for event in events if isinstance(event, shown)]


def team(llms: LLMs, first: Turn) -> AgentWorkflow:
    """Two agents: `a` says `first`, and whoever is asked then says that it is done."""
    said = [first, Turn(text("done")), Turn(text("done"))]
    tools = [weather, LATE, AT_ONCE]
    return AgentWorkflow(
        [
            FunctionAgent(name="a", description="a", llm=llms(said), tools=tools),
            FunctionAgent(name="b", description="b", llm=llms(said[1:])),
        ],
        root_agent="a",
    )


def handoff(to_agent: str, reason: str = "b knows better") -> Any:
    """A call of the hand-off tool."""
    return tool_call("handoff", to_agent=to_agent, reason=reason)


# Hand-offs


async def test_a_hand_off_is_said(llms: LLMs) -> None:
    """`AgentChanged` stands behind the result of the hand-off, before the next agent is asked."""
    events = await seen_by(team(llms, Turn(handoff("b"))).run(user_msg="hi"))
    changed = next(event for event in events if isinstance(event, AgentChanged))
    assert (changed.from_agent, changed.to_agent) == ("a", "b")
    assert changed.reason == "b knows better"
    assert kinds(events) == [
        *("AgentInput", "AgentOutput", "ToolCall", "ToolCallResult", "AgentChanged"),
        *("AgentInput", "AgentOutput", "StopEvent"),
    ]


@pytest.mark.parametrize("to_agent", ["nobody", "a"])
async def test_no_hand_off_is_said_where_there_is_none(llms: LLMs, to_agent: str) -> None:
    """To an agent that there is not, and to itself."""
    events = await seen_by(team(llms, Turn(handoff(to_agent))).run(user_msg="hi"))
    assert "AgentChanged" not in kinds(events)
    assert isinstance(events[-1], StopEvent)


async def test_of_two_hand_offs_the_one_that_counts_gives_the_reason(llms: LLMs) -> None:
    """One to an agent that there is not does not count."""
    turn = Turn(parallel(handoff("b"), handoff("nobody", "a mistake")))
    events = await seen_by(team(llms, turn).run(user_msg="hi"))
    assert [e.reason for e in events if isinstance(e, AgentChanged)] == ["b knows better"]


async def test_siblings_of_a_hand_off_are_in_the_next_agents_history(llms: LLMs) -> None:
    """Also those that would return directly: nothing of what tools have found is lost."""
    calls = [tool_call("weather", city="A"), tool_call("after_the_hand_off"), handoff("b")]
    workflow = team(llms, Turn(parallel(*calls, tool_call("weather", city="C"))))
    handler = workflow.run(user_msg="hi")
    await seen_by(handler)
    assert len(check_history(llms.asked(workflow.agents["b"].llm)[0])) == 4
    assert (await handler.outcome()).text == "done"


async def test_a_hand_off_beside_a_direct_answer_is_said(llms: LLMs) -> None:
    """The turn ends with the answer; the next one begins with the other agent."""
    handler = team(llms, Turn(parallel(tool_call("at_once"), handoff("b")))).run(user_msg="hi")
    events = await seen_by(handler)
    assert [type(event) for event in events[-4:]] == [
        AgentChanged,
        AgentStream,
        AgentOutput,
        StopEvent,
    ]
    assert events[-4].reason == "b knows better"
    assert events[-2].current_agent_name == "a"
    assert (await handler.outcome()).text == "at once"


# Tools that return directly


@pytest.mark.parametrize("workflow", [False, True])
async def test_a_direct_answer_is_streamed(llms: LLMs, workflow: bool) -> None:
    """As an AgentStream and an AgentOutput before the StopEvent (U26)."""
    llm = llms([Turn(tool_call("directly", city="B"))])
    agent = FunctionAgent(llm=llm, tools=[DIRECT])
    handler = (AgentWorkflow([agent]) if workflow else agent).run(user_msg="hi")
    events = await seen_by(handler)
    stream, output, stop = events[-3:]
    assert type(stream) is AgentStream
    assert (stream.delta, stream.response, stream.tool_calls) == ("direct B", "direct B", [])
    assert stream.current_agent_name == agent.name
    assert type(output) is AgentOutput
    assert output.response.content == "direct B"
    assert output == stop.result
    assert (await handler.outcome()).text == "direct B"


async def test_a_direct_error_is_no_answer(llms: LLMs) -> None:
    """The agent goes on, with a history that a provider takes."""
    llm = llms(
        [
            Turn(parallel(tool_call("breaks", city="A"), tool_call("weather", city="B"))),
            Turn(text("oh")),
        ]
    )
    handler = FunctionAgent(llm=llm, tools=[BREAKS, weather]).run(user_msg="hi")
    await seen_by(handler)
    assert (await handler.outcome()).text == "oh"
    assert len(check_history(llms.asked(llm)[1])) == 2


@pytest.mark.parametrize("workflow", [False, True])
async def test_siblings_of_a_direct_answer_are_in_the_history(llms: LLMs, workflow: bool) -> None:
    """The next turn's request has a result for each tool call, which providers insist on."""
    calls = [tool_call("weather", city="A"), tool_call("directly", city="B")]
    llm = llms([Turn(parallel(*calls, tool_call("directly", city="C"))), Turn(text("hello again"))])
    agent = FunctionAgent(llm=llm, tools=[weather, DIRECT])
    runner = AgentWorkflow([agent]) if workflow else agent
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    first = runner.run(user_msg="hi", memory=memory)
    await seen_by(first)
    await seen_by(runner.run(user_msg="and now?", memory=memory))
    asked = llms.asked(llm)[1]
    assert len(check_history(asked)) == 3
    answer = asked.messages[-2]
    assert answer["role"] == "assistant"
    # Which of two direct answers it is, is core's to say: here and there it is the same.
    assert message_text(answer) == (await first.outcome()).text
    assert message_text(answer) in ("direct B", "direct C")


async def test_a_direct_answer_of_a_react_agent(llms: LLMs) -> None:
    """It is streamed, too, and in the memory."""
    llm = llms([Turn(text('Thought: well\nAction: directly\nAction Input: {"city": "B"}\n'))])
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    handler = ReActAgent(llm=llm, tools=[DIRECT]).run(user_msg="hi", memory=memory)
    events = await seen_by(handler)
    assert (await handler.outcome()).text == "direct B"
    assert [type(event) for event in events[-3:]] == [AgentStream, AgentOutput, StopEvent]
    assert "direct B" in str(memory.get_all()[-1].content)


async def test_an_id_may_be_used_again(llms: LLMs) -> None:
    """Some models count from 1 in each turn: a call after the result is another call."""
    calls = [Turn(tool_call("weather", city=city, id="1")) for city in ("A", "B")]
    llm = llms([*calls, Turn(text("ok"))])
    events = await seen_by(FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi"))
    assert [e.tool_kwargs for e in events if isinstance(e, ToolCall)] == [
        {"city": "A"},
        {"city": "B"},
    ]


# Answers that do not count


BAD = Turn(text("Thought: hm\nAction: weather\nAction Input: {bad\n"))
GOOD = Turn(text("Thought: I know.\nAnswer: yes"))


@pytest.mark.parametrize("workflow", [False, True])
@pytest.mark.parametrize("first", [BAD, Turn(text(""))])
async def test_an_answer_that_does_not_count_is_said(
    llms: LLMs, first: Turn, workflow: bool
) -> None:
    """`Retrying` stands right behind that AgentOutput, and names the call."""
    agent = ReActAgent(llm=llms([first, GOOD]), tools=[weather])
    handler = (AgentWorkflow([agent]) if workflow else agent).run(user_msg="hi")
    events = await seen_by(handler)
    assert kinds(events) == [
        *("AgentInput", "AgentOutput", "Retrying", "AgentInput", "AgentOutput", "StopEvent"),
    ]
    retrying = next(event for event in events if isinstance(event, Retrying))
    output = next(event for event in events if isinstance(event, AgentOutput))
    assert retrying.call_id == f"{handler.run_id}-1"
    assert retrying.agent == agent.name
    assert retrying.reason == output.retry_messages[-1].content


async def test_nothing_is_retried_where_the_run_fails(llms: LLMs) -> None:
    """The last answer that may be given does not count, and nobody is asked again."""
    agent = ReActAgent(llm=llms([BAD]), tools=[weather])
    events = await seen_by(agent.run(user_msg="hi", max_iterations=1))
    assert "Retrying" not in kinds(events)


# Limits


@pytest.mark.parametrize("workflow", [False, True])
@pytest.mark.parametrize("limit", [1, 3])
async def test_max_iterations_is_the_number_of_llm_calls(
    llms: LLMs, limit: int, workflow: bool
) -> None:
    """A final answer counts although it is the last that may be given (U35)."""
    calls = [Turn(tool_call("weather", city="A"))] * (limit - 1)
    llm = llms([*calls, Turn(text("done"))])
    agent = FunctionAgent(llm=llm, tools=[weather])
    runner = AgentWorkflow([agent]) if workflow else agent
    handler = runner.run(user_msg="hi", max_iterations=limit)
    await seen_by(handler)
    assert str(await handler) == "done"
    assert await handler.ctx.store.get("num_iterations") == limit


async def test_tool_calls_at_the_limit_fail_the_run(llms: LLMs) -> None:
    """As upstream."""
    llm = llms([Turn(tool_call("weather", city="A"))])
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi", max_iterations=1)
    with pytest.raises(WorkflowRuntimeError, match="Max iterations of 1"):
        await handler


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("workflow", [False, True])
async def test_the_last_answer_of_early_stopping_is_streamed(
    llms: LLMs, workflow: bool, streaming: bool
) -> None:
    """`early_stopping_method="generate"` asks once more; its tokens carry their call."""
    llm = llms([Turn(tool_call("weather", city="A")), Turn(text("that", " is it"))])
    agent = FunctionAgent(llm=llm, tools=[weather], streaming=streaming)
    runner = AgentWorkflow([agent]) if workflow else agent
    handler = runner.run(user_msg="hi", max_iterations=1, early_stopping_method="generate")
    await seen_by(handler)
    tokens = [record async for record in handler.stream.read(types=AgentStream)]
    last = [record for record in tokens if record.origin.call_id == f"{handler.run_id}-2"]
    said = "".join(record.event.delta for record in last)
    assert said == ("that is it" if streaming else "")
    assert str(await handler) == "that is it"
    await check_stream(handler)
