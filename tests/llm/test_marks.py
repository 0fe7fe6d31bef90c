"""The marks of broken-off turns stay in the history, and never go to a provider."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI

from llama_index_streaming_ext import StreamingLLM
from llama_index_streaming_ext.llm.marks import INCOMPLETE, INTERRUPTED, without_marks
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text


def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


CALLS = [
    {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
    }
]
TOOLS = [FunctionTool.from_defaults(weather)]


def history(mark: str) -> list[ChatMessage]:
    """Return a history whose call of a tool, in the old style, and whose answer are marked."""
    return [
        ChatMessage("How is the weather?"),
        ChatMessage(
            role=MessageRole.ASSISTANT,
            content="",
            additional_kwargs={"tool_calls": CALLS, mark: "stopped"},
        ),
        ChatMessage(
            role=MessageRole.TOOL, content="sunny", additional_kwargs={"tool_call_id": "call_1"}
        ),
        ChatMessage(
            role=MessageRole.ASSISTANT, content="It is", additional_kwargs={mark: "stopped"}
        ),
        ChatMessage("Go on"),
    ]


async def ask(llm: Any, method: str, messages: list[ChatMessage], named: bool) -> None:
    """Ask an LLM by one of its chat methods, and read the answer to its end."""
    name = "chat_history" if "tools" in method else "messages"
    args: list[Any] = [TOOLS, None] if "tools" in method else []
    kwargs: dict[str, Any] = {}
    if named:
        args, kwargs = args[:1], {name: messages}
    else:
        args.append(messages)
    said = getattr(llm, method)(*args, **kwargs)
    if method.startswith("a"):
        said = await said
    if "stream" in method and method.startswith("a"):
        assert [chunk async for chunk in said]
    elif "stream" in method:
        assert list(said)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("mark", [INTERRUPTED, INCOMPLETE])
@pytest.mark.parametrize(
    "method",
    [
        f"{face}{stream}chat{tools}"
        for face in ("", "a")
        for stream in ("", "stream_")
        for tools in ("", "_with_tools")
    ],
)
async def test_marks_are_not_sent(method: str, mark: str, named: bool) -> None:
    """No chat method sends a mark; it sends the tool calls, and the caller's messages stay."""
    messages, same = history(mark), history(mark)
    fake = FakeOpenAI([Turn(text("sunny"))])
    with fake.mock():
        llm = StreamingLLM(OpenAI(model="gpt-4o-mini", api_key="sk-fake"))
        await ask(llm, method, messages, named)
        sent = fake.requests[0].json["messages"]
    assert not any(mark in message for message in sent)
    assert sent[1]["tool_calls"] == CALLS
    assert [m.additional_kwargs for m in messages] == [m.additional_kwargs for m in same]


def test_unmarked_messages_are_not_copied() -> None:
    """A history without marks is passed on as it is."""
    messages = [ChatMessage("Hi")]
    assert without_marks(messages) is messages
