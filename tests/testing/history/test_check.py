"""`check_history` refuses what OpenAI refuses, and names what users call corrupted."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    HistoryBroken,
    Turn,
    check_history,
    history_problems,
    text,
)
from llama_index_streaming_ext.testing.script.request import Request

Message = dict[str, Any]


def user(content: Any = "hi") -> Message:
    """Return a user's message."""
    return {"role": "user", "content": content}


def says(content: Any = None, *call_ids: str, arguments: Any = "{}", name: str = "f") -> Message:
    """Return an assistant message, with a tool call for each id."""
    message: Message = {"role": "assistant", "content": content}
    if call_ids:
        function = {"name": name, "arguments": arguments}
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": function} for call_id in call_ids
        ]
    return message


def result(call_id: Any, content: Any = "x") -> Message:
    """Return a tool message."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def call(call_id: str) -> Message:
    """Return a function call of the Responses dialect."""
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


def output(call_id: str) -> Message:
    """Return the output of a function call of the Responses dialect."""
    return {"type": "function_call_output", "call_id": call_id, "output": "x"}


def reasoning(item_id: str = "rs") -> Message:
    """Return a reasoning item of the Responses dialect."""
    return {"type": "reasoning", "id": item_id, "summary": []}


GOOD = {
    "a question": [user()],
    "instructions first": [{"role": "system", "content": "be brief"}, user()],
    "two calls, answered in any order": [user(), says(None, "1", "2"), result("2"), result("1")],
    "a call beside text, then an answer": [
        user(),
        says("wait", "1"),
        result("1"),
        says("x"),
        user(),
    ],
    "an image alone": [user([{"type": "image_url", "image_url": {"url": "data:,"}}])],
    "arguments as an object, as a fake LLM has them": [
        user(),
        says(None, "1", arguments={"a": 1}),
        result("1"),
    ],
    "responses: a call and its output": [user(), call("1"), output("1")],
    "responses: reasoning before a call": [user(), reasoning(), call("1"), output("1")],
}


@pytest.mark.parametrize("messages", GOOD.values(), ids=GOOD)
def test_a_valid_conversation_passes(messages: list[Message]) -> None:
    """A conversation that every provider accepts has no fault."""
    check_history({"input" if "responses" in str(messages) else "messages": messages})
    assert history_problems({"messages": messages}) == []


REFUSED: dict[str, tuple[list[Message], str]] = {
    "nothing": ([], "too short"),
    "a call without a result": ([user(), says(None, "1"), user()], "1 has none"),
    "one of two results": ([user(), says(None, "1", "2"), result("1"), user()], "2 has none"),
    "a result without a call": ([user(), result("1")], "must be a response to"),
    "a result twice": ([user(), says(None, "1"), result("1"), result("1")], "duplicate response"),
    "a call left open at the end": ([user(), says(None, "1")], "1 has none"),
    "text between a call and its result": (
        [user(), says(None, "1"), says("no"), result("1")],
        "1 has none",
    ),
    "a result without an id": ([user(), says(None, "1"), result(None)], "'tool_call_id'"),
    "an empty result": ([user(), says(None, "1"), result("1", None)], "got null"),
    "an assistant message of nothing": ([user(), says(None), user()], "got null"),
    "an empty list of content": ([user([])], "too short"),
    "a user message of nothing": ([user(None)], "got null"),
    "an empty list of calls": ([user(), {**says("x"), "tool_calls": []}, user()], "too short"),
    "an id twice in one message": ([user(), says(None, "1", "1"), result("1")], "duplicate ids"),
    "a name with a blank": ([user(), says(None, "1", name="a b"), result("1")], "does not match"),
    "arguments that are no JSON": (
        [user(), says(None, "1", arguments='{"a'), result("1")],
        "not valid JSON",
    ),
    "arguments that are no text": ([user(), says(None, "1", arguments=3), result("1")], "a string"),
    "a long id": ([user(), says(None, "x" * 41), result("x" * 41)], "too long"),
    "an unknown role": ([{"role": "robot", "content": "hi"}], "'robot'"),
    "responses: a call without output": ([user(), call("1")], "No tool output found"),
    "responses: output without a call": ([user(), output("1")], "No tool call found"),
    "responses: output before its call": ([user(), output("1"), call("1")], "No tool call found"),
    "responses: two outputs": ([user(), call("1"), output("1"), output("1")], "2 outputs"),
    "responses: reasoning alone": ([user(), reasoning(), user()], "required following item"),
    "responses: an id twice": (
        [user(), reasoning(), reasoning(), call("1"), output("1")],
        "Duplicate item",
    ),
    "responses: an empty message": ([user([]), call("1"), output("1")], "not empty"),
}


@pytest.mark.parametrize(("messages", "said"), REFUSED.values(), ids=REFUSED)
def test_what_openai_refuses_is_a_hard_fault(messages: list[Message], said: str) -> None:
    """A conversation that OpenAI answers with status 400 fails the hard check alone."""
    with pytest.raises(HistoryBroken, match=said) as raised:
        check_history({"messages": messages}, soft=False)
    assert all(problem.refused for problem in raised.value.problems)


CORRUPTED: dict[str, tuple[list[Message], str]] = {
    "two user messages": ([user("a"), user("b")], "a second user message in a row"),
    "the same message twice": ([user("a"), user("a")], "with the same text"),
    "two assistant messages": ([user(), says("a"), says("b"), user()], "a second assistant"),
    "an empty answer": ([user(), says(""), user()], "an empty assistant message"),
    "the word None": ([user(), says("None"), user()], "an empty assistant message"),
    "an empty question": ([user(" ")], "an empty user message"),
    "an assistant that begins": ([says("hello"), user()], "begins with"),
    "an assistant that ends": ([user(), says("hello")], "ends with"),
    "white space at the end": ([user(), says("hello ")], "ends in white space"),
}


@pytest.mark.parametrize(("messages", "said"), CORRUPTED.values(), ids=CORRUPTED)
def test_what_users_call_corrupted_is_a_soft_fault(messages: list[Message], said: str) -> None:
    """OpenAI accepts the conversation, so it fails only where soft faults count."""
    check_history({"messages": messages}, soft=False)
    with pytest.raises(HistoryBroken, match=said):
        check_history({"messages": messages})


def test_messages_of_llama_index_are_judged() -> None:
    """A list of ChatMessages is judged as the request that it becomes."""
    orphan = ChatMessage(
        role="assistant", blocks=[ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs={})]
    )
    check_history([ChatMessage("hi")])
    with pytest.raises(HistoryBroken, match="1 has none"):
        check_history([ChatMessage("hi"), orphan])


async def test_the_calls_of_a_fake_llm_are_judged() -> None:
    """A recorded call and the request that a script's function gets are judged alike."""
    seen: list[Request] = []

    def answer(request: Request) -> Turn:
        seen.append(request)
        return Turn(text("hello"))

    llm = FakeStreamingLLM(answer)
    await llm.achat([ChatMessage("hi"), ChatMessage("ho")])
    for request in (llm.calls[0], seen[0]):
        with pytest.raises(HistoryBroken, match="a second user message"):
            check_history(request)


async def test_the_requests_of_a_fake_provider_are_judged() -> None:
    """A request that a fake provider received is judged, in both dialects."""
    fake = FakeOpenAI([Turn(text("hello"))] * 2)
    with fake.mock():
        for llm in (fake.llm(), fake.responses_llm()):
            await llm.achat([ChatMessage("hi"), ChatMessage("ho")])
    for request in fake.requests:
        with pytest.raises(HistoryBroken, match="a second user message"):
            check_history(request)


def test_other_things_are_refused() -> None:
    """An object without messages is a TypeError that names what the check takes."""
    with pytest.raises(TypeError, match="check_history takes"):
        check_history(42)
