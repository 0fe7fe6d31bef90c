"""The history of a broken-off turn is valid, and has all words that were shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_streaming_ext import (
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    StreamingHandler,
    ToolCall,
    emit_progress,
)
from llama_index_streaming_ext.agents.turn_history import (
    keep_turn,
    turn_messages,
)
from llama_index_streaming_ext.llm.marks import INTERRUPTED, without_marks
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    check_history,
    fail,
    gate,
    parallel,
    text,
    tool_call,
)


def weather(city: str) -> str:
    """Say the weather."""
    return f"sunny in {city}"


async def book(flight: str) -> str:
    """Book a flight, for ever."""
    emit_progress(f"booking {flight}")
    await asyncio.sleep(3600)
    return "booked"


async def records_of(handler: StreamingHandler) -> list[Record]:
    """Return all records of a run that has ended."""
    await handler.outcome()
    return [record async for record in handler.stream.read(internal=True)]


async def stopped_at(handler: StreamingHandler, kind: type[Any]) -> list[Record]:
    """Stop a run at its first event of a class, and return its records."""
    async for event in handler.stream_events():
        if isinstance(event, kind):
            break
    await handler.cancel_run()
    return await records_of(handler)


async def stopped_after(handler: StreamingHandler, words: str) -> list[Record]:
    """Stop a run when its text ends with some words, and return its records."""
    async for delta in handler.text_stream():
        if delta.endswith(words):
            break
    await handler.cancel_run()
    return await records_of(handler)


def check(messages: list[ChatMessage]) -> None:
    """Check that the turn, asked and gone on with, is a valid conversation."""
    check_history([ChatMessage("hi"), *without_marks(messages), ChatMessage("go on")])


async def test_a_stop_in_the_text_keeps_the_words() -> None:
    """The text so far is the assistant's message, marked as broken off."""
    llm = FakeStreamingLLM([Turn(text("Once", " upon"), gate("never"), text(" a time"))])
    records = await stopped_after(FunctionAgent(llm=llm).run(user_msg="hi"), " upon")
    messages = turn_messages(records, "stopped")
    assert [(m.role.value, m.content) for m in messages] == [("assistant", "Once upon")]
    assert messages[0].additional_kwargs == {INTERRUPTED: "stopped"}
    check(messages)


async def test_a_stop_in_a_tool_gives_each_call_a_result() -> None:
    """A finished call keeps its result, and an unfinished one is said to be broken off."""
    calls = parallel(tool_call("weather", city="Paris"), tool_call("book", flight="LH1"))
    agent = FunctionAgent(llm=FakeStreamingLLM([Turn(text("Wait."), calls)]), tools=[weather, book])
    handler = agent.run(user_msg="hi")
    seen: set[str] = set()
    async for event in handler.stream_events():
        seen.add(type(event).__name__)
        if {"ToolProgress", "ToolCallResult"} <= seen:
            break
    await handler.cancel_run()
    messages = turn_messages(await records_of(handler), "stopped")
    assert [message.role.value for message in messages] == [
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]
    assert messages[0].content == "Wait."
    assert messages[1].content == "sunny in Paris"
    assert "may or may not have taken effect" in str(messages[2].content)
    check(messages)


async def test_a_stop_before_anything_was_said_leaves_an_answer() -> None:
    """A turn without a word still has a message of the assistant."""
    llm = FakeStreamingLLM([Turn(gate("never"), text("x"))])
    handler = FunctionAgent(llm=llm).run(user_msg="hi")
    records = await stopped_at(handler, object)
    messages = turn_messages(records, "stopped")
    assert [message.role.value for message in messages] == ["assistant"]
    check(messages)


async def test_a_failure_in_the_second_call_keeps_the_first() -> None:
    """The finished call, its tool's result and the words before the failure are kept."""
    script = [
        Turn(tool_call("weather", city="Rome")),
        Turn(text("It is"), fail(RuntimeError("out"))),
    ]
    handler = FunctionAgent(llm=FakeStreamingLLM(script), tools=[weather]).run(user_msg="hi")
    messages = turn_messages(await records_of(handler), "failed")
    assert [(m.role.value, m.content) for m in messages] == [
        ("assistant", ""),
        ("tool", "sunny in Rome"),
        ("assistant", "It is"),
    ]
    check(messages)


async def test_calls_that_were_never_made_are_said_to_be_so() -> None:
    """The tools of the last answer are not run at the limit of iterations."""
    llm = FakeStreamingLLM([Turn(tool_call("weather", city="Rome"))])
    agent = FunctionAgent(llm=llm, tools=[weather])
    handler = agent.run(user_msg="hi", max_iterations=1)
    messages = turn_messages(await records_of(handler), "failed")
    assert "was not made" in str(messages[1].content)
    check(messages)


@pytest.mark.parametrize("streaming", [True, False])
async def test_without_our_llm_wrapper_the_words_are_kept(streaming: bool) -> None:
    """An agent whose LLM is not wrapped leaves a valid history, too."""
    llm = FakeStreamingLLM([Turn(tool_call("book", flight="LH1"))])
    agent = FunctionAgent(llm=llm, tools=[book], streaming_llm=False, streaming=streaming)
    records = await stopped_at(agent.run(user_msg="hi"), ToolCall)
    messages = turn_messages(records, "stopped")
    assert [message.role.value for message in messages] == ["assistant", "tool", "assistant"]
    check(messages)


async def test_a_react_agent_keeps_its_reasoning_in_one_message() -> None:
    """Its tools are no tool messages, so thoughts, observations and words are the assistant's."""
    script = [
        Turn(text('Thought: I look.\nAction: weather\nAction Input: {"city": "Rome"}\n')),
        Turn(text("Thought: I know.\nAnswer: It is", " sunny"), gate("never"), text(" there")),
    ]
    handler = ReActAgent(llm=FakeStreamingLLM(script), tools=[weather]).run(user_msg="hi")
    records = await stopped_after(handler, " sunny")
    (message,) = turn_messages(records, "stopped")
    assert "Observation: sunny in Rome" in str(message.content)
    assert str(message.content).endswith("It is sunny")
    check([message])


async def test_a_codeact_agent_keeps_code_and_results() -> None:
    """The result of the code is the user's message, as core writes it."""
    script = [
        Turn(text("Let me.\n<execute>\n1 + 1\n</execute>")),
        Turn(text("It is", " 2"), gate("never"), text(".")),
    ]

    def run_code(code: str) -> str:
        return "2"

    agent = CodeActAgent(llm=FakeStreamingLLM(script), code_execute_fn=run_code)
    records = await stopped_after(agent.run(user_msg="hi"), " 2")
    messages = turn_messages(records, "stopped")
    assert [message.role.value for message in messages] == ["assistant", "user", "assistant"]
    check(messages)


async def test_what_core_wrote_at_a_hand_off_is_not_written_again() -> None:
    """The memory has what came before the hand-off; only what came after is added."""
    llm = FakeStreamingLLM(
        [
            Turn(tool_call("handoff", to_agent="b", reason="b knows")),
            Turn(text("I am", " b"), gate("never"), text(".")),
        ]
    )
    agents: list[Any] = [
        FunctionAgent(name=name, description=name, llm=llm, can_handoff_to=["b"]) for name in "ab"
    ]
    memory = ChatMemoryBuffer(token_limit=100_000)
    handler = AgentWorkflow(agents=agents, root_agent="a").run(user_msg="hi", memory=memory)
    records = await stopped_after(handler, " b")
    before = len(memory.get_all())
    if not any(INTERRUPTED in message.additional_kwargs for message in memory.get_all()):
        await keep_turn(memory, records, "stopped")
        before += 1
    messages = memory.get_all()
    assert [m.role.value for m in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[-1].content == "I am b"
    check_history([*without_marks(messages), ChatMessage("go on")])


async def test_a_whole_turn_is_not_written_twice() -> None:
    """Nothing is added to a turn that core has written."""
    memory = ChatMemoryBuffer(token_limit=100_000)
    handler = FunctionAgent(llm=FakeStreamingLLM("Hello")).run(user_msg="hi", memory=memory)
    records = await records_of(handler)
    await keep_turn(memory, records, "failed")
    assert [message.content for message in memory.get_all()] == ["hi", "Hello"]
