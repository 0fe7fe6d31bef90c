"""Streams of agents that write calls as text: answers, thoughts, arguments and code apart.

All of it with the fake LLM and with OpenAI's classes. How a text is split is in
`test_react_splitter.py` and `test_codeact_splitter.py`.
"""

# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from llama_index_streaming_ext import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    CodeDelta,
    FunctionAgent,
    ReActAgent,
    Record,
    ToolCall,
    ToolCallDelta,
)
from llama_index_streaming_ext.testing import Turn, check_stream, text, thinking
from tests.support.agents.llm_kinds import LLMs
from tests.support.agents.tool_runs import of, where
from tests.support.flows import records

ACTS = Turn(
    text("Thought: I", " look.\nAct", "ion: weather\nAction In", 'put: {"city": "Pa', 'ris"}')
)
ANSWERS = Turn(text("Thought: I know.\nAns", "wer: It is", " sunny."))
CODES = Turn(text("Let me.\n", "<exec", "ute>\nprint(", "3)\n</execute>"))
SAYS = Turn(text("It is ", "3."))


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def execute(code: str) -> str:
    """Runs nothing."""
    return "3"


def react(llms: LLMs, *turns: Turn, **kwargs: Any) -> ReActAgent:
    """An agent that writes its actions as text."""
    return ReActAgent(llm=llms(turns), tools=[weather], **kwargs)


def codeact(llms: LLMs, *turns: Turn, **kwargs: Any) -> CodeActAgent:
    """An agent that writes code as text."""
    return CodeActAgent(code_execute_fn=execute, llm=llms(turns), **kwargs)


def said(read: Sequence[Record]) -> list[str]:
    """The pieces of the answers."""
    return [event.delta for event in of(AgentStream, read) if event.delta]


def thought(read: Sequence[Record]) -> list[str]:
    """The pieces of the thoughts."""
    return [event.thinking_delta for event in of(AgentStream, read) if event.thinking_delta]


@pytest.mark.parametrize("team", [False, True])
async def test_a_react_agents_answer_has_no_scaffolding(llms: LLMs, team: bool) -> None:
    """Its answer is `delta` and its thoughts are `thinking_delta`, token by token (U25)."""
    agent = react(llms, ACTS, ANSWERS)
    handler = (AgentWorkflow(agents=[agent]) if team else agent).run(user_msg="hi")
    read = await records(handler)
    assert said(read) == ["It is", " sunny."]
    assert thought(read) == ["I", " look.", "I know."]
    assert (await handler.outcome()).text == str(await handler) == "It is sunny."
    await check_stream(handler)


async def test_a_react_agents_action_is_a_tool_call(llms: LLMs) -> None:
    """Its arguments are told as they are written, by the id that the tool is called with."""
    read = await records(react(llms, ACTS, ANSWERS).run(user_msg="hi"))
    (call,) = where(ToolCall, read)
    pieces = where(ToolCallDelta, read)
    assert [event.delta for event in of(ToolCallDelta, read)] == ["", '{"city": "Pa', 'ris"}']
    assert {record.origin.tool_id for record in pieces} == {call.origin.tool_id}
    assert {record.origin.call_id for record in pieces} == {call.origin.call_id}
    assert of(ToolCallDelta, read)[-1].arguments == of(ToolCall, read)[0].tool_kwargs


async def test_the_model_reads_its_scaffolding_again(llms: LLMs) -> None:
    """The provider gets core's history back, not the text that was shown."""
    agent = react(llms, ACTS, ANSWERS)
    await agent.run(user_msg="hi")
    asked = llms.asked(agent.llm)[1]
    assert "Action: weather" in asked.text
    assert asked.last == "Observation: sunny in Paris"


@pytest.mark.parametrize("turns", [(ANSWERS,), (ACTS, ANSWERS)])
async def test_raw_scaffolding_is_the_text_as_it_is(llms: LLMs, turns: Sequence[Turn]) -> None:
    """As upstream streams it."""
    read = await records(react(llms, *turns, raw_scaffolding=True).run(user_msg="hi"))
    assert "".join(said(read)) == "".join(turn.text for turn in turns)
    assert not thought(read)
    assert not of(ToolCallDelta, read)


@pytest.mark.parametrize("team", [False, True])
async def test_code_is_streamed_as_code(llms: LLMs, team: bool) -> None:
    """The text around it is `delta`; the code is that which its tool is called with (U25)."""
    agent = codeact(llms, CODES, SAYS)
    handler = (AgentWorkflow(agents=[agent]) if team else agent).run(user_msg="hi")
    read = await records(handler)
    (call,) = of(ToolCall, read)
    pieces = of(CodeDelta, read)
    assert said(read) == ["Let me.\n", "It is ", "3."]
    assert [piece.delta for piece in pieces] == ["print(", "3)"]
    assert {piece.tool_id for piece in pieces} == {call.tool_id}
    assert "".join(piece.delta for piece in pieces) == call.tool_kwargs["code"]
    assert (await handler.outcome()).text == "Let me.\nIt is 3."
    await check_stream(handler)


def plain(llms: LLMs, *turns: Turn) -> FunctionAgent:
    """An agent without scaffolding."""
    return FunctionAgent(llm=llms(turns))


@pytest.mark.parametrize(
    ("agent", "written", "own"),
    [
        (plain, "It is sunny.", ""),
        (react, "Thought: I know.\nAnswer: It is sunny.", "I know."),
        (codeact, "It is sunny.", ""),
    ],
)
async def test_reasoning_is_no_answer(llms: LLMs, agent: Any, written: str, own: str) -> None:
    """The model's reasoning is `thinking_delta`, too, before the thoughts that it writes."""
    handler = agent(llms, Turn(thinking("Hm", ", well. "), text(written))).run(user_msg="hi")
    read = await records(handler)
    assert "".join(thought(read)) == f"Hm, well. {own}"
    assert (await handler.outcome()).text == "It is sunny."
    await check_stream(handler)
