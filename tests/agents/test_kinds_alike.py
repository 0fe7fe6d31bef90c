"""The log of an answer is the same for every class of agent."""

# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportDeprecated=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llama_index_streaming_ext import (
    AgentStream,
    FunctionAgent,
    Incomplete,
    LLMCallFinished,
    LLMCallStarted,
    Record,
    ToolCall,
    ToolCallDelta,
    ToolCallResult,
    TruncatedToolCall,
)
from llama_index_streaming_ext.testing import (
    Turn,
    fail,
    finish,
    parallel,
    refusal,
    text,
    thinking,
    tool_call,
)
from llama_index_streaming_ext.testing.script.parts import Part
from llama_index_streaming_ext.testing.script.parts import ToolCall as Call
from tests.support.agents.llm_kinds import KINDS, Kind, llms_of
from tests.support.flows import records

SHOWN = (
    *(AgentStream, Incomplete, LLMCallFinished, LLMCallStarted),
    *(ToolCall, ToolCallDelta, ToolCallResult, TruncatedToolCall),
)
SAYS = ("delta", "thinking_delta", "response", "tool_id", "tool_name", "tool_kwargs", "reason")


async def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def breaks(city: str) -> str:
    """Falls over."""
    raise ValueError(city)


DELTAS = st.lists(st.sampled_from(["a", "b ", " c\n", "é☃"]), min_size=1, max_size=3)
ENDS: list[list[Part]] = [
    [],
    [finish("length")],
    [finish("content_filter")],
    [refusal("I ", "won't")],
    [tool_call("weather", fragments=['{"ci', 'ty"']), finish("length")],
    [tool_call("weather", fragments=["nonsense"])],
    [fail("Overloaded.")],
]


def call(name: str, city: str, split: Any) -> Call:
    """A call of a tool."""
    return tool_call(name, {"city": city}, split=split)


CALLS = st.builds(
    call,
    st.sampled_from(["weather", "breaks", "unknown"]),
    st.text('xy"\\☃', max_size=3),
    st.sampled_from([1, 3, "char"]),
)


@st.composite
def said(draw: st.DrawFn) -> list[Part]:
    """Perhaps reasoning, perhaps a text."""
    parts: list[Part] = []
    if draw(st.booleans()):
        parts.append(thinking(*draw(DELTAS)))
    if draw(st.booleans()):
        parts.append(text(*draw(DELTAS)))
    return parts


@st.composite
def scripts(draw: st.DrawFn) -> list[Turn]:
    """Some tool calls, an answer of any kind, and another for who asks again."""
    script: list[Turn] = []
    for _ in range(draw(st.integers(0, 2))):
        calls = draw(st.lists(CALLS, min_size=1, max_size=3))
        # Not all of them together: those are whole in Chat, and in pieces in Responses.
        script.append(Turn(*draw(said()), *([parallel(*calls)] if draw(st.booleans()) else calls)))
    return [*script, Turn(*draw(said()), *draw(st.sampled_from(ENDS))), Turn(text("fine"))]


def shown(record: Record) -> tuple[Any, ...]:
    """Return a record without ids of the run, times and counts of the provider."""
    event, origin = record.event, record.origin
    fields = [getattr(event, name, None) for name in SAYS]
    call = str(origin.call_id).rpartition("-")[2]
    return (type(event).__name__, *fields, origin.agent, call, origin.tool_id)


async def run_with(kind: Kind, script: list[Turn]) -> list[Any]:
    """Return the log of a run and its outcome."""
    with llms_of(kind) as llms:
        agent = FunctionAgent(llm=llms(script), tools=[weather, breaks])
        handler = agent.run(user_msg="hi")
        read = await records(handler)
        outcome = await handler.outcome()
    told = [shown(record) for record in read if isinstance(record.event, SHOWN)]
    return [*told, (outcome.status, outcome.text, outcome.finish_reason, str(outcome.result))]


@settings(max_examples=8, deadline=None)
@given(script=scripts())
def test_all_kinds_of_llms_give_one_log(script: list[Turn]) -> None:
    """Tokens, reasoning, arguments, calls, results and ends: the same events in one order."""
    fake, *others = [asyncio.run(run_with(kind, script)) for kind in KINDS]
    for other in others:
        assert other == fake
