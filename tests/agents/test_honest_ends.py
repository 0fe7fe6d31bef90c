"""Ends of an agent's run after an LLM call that has not ended well (U23, U24)."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    ContentFiltered,
    FunctionAgent,
    Incomplete,
    LengthLimit,
    LLMCallFinished,
    LLMCallStarted,
    ModelRefused,
    ProviderFailed,
    ReActAgent,
    StreamingHandler,
    StreamingLLM,
    StreamTruncated,
    ToolCall,
    ToolCallDelta,
    TruncatedToolCall,
)
from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    finish,
    text,
    tool_call,
    truncated,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.agents.llm_kinds import LLMs
from tests.support.provider_llms import DIALECTS, answered_by, body, real, recorded

CUT = tool_call("delete", fragments=['{"path":"/home', "/us"])


class Disk:
    """A tool that remembers what it was told to delete."""

    def __init__(self) -> None:
        self.deleted: list[str | None] = []

    def delete(self, path: str) -> str:
        """Deletes a path."""
        self.deleted.append(path)
        return "gone"


def execute(code: str) -> str:
    """Runs nothing."""
    raise AssertionError(code)


async def events_of(handler: StreamingHandler, *types: type[Event]) -> list[Any]:
    """The events of these classes; a hang fails the test."""
    async with asyncio.timeout(120):
        await handler.outcome()
        return [record.event async for record in handler.stream.read(types=types)]


# Text

NOT_WHOLE = [
    ("chat.length", "length", "Once upon", LengthLimit),
    ("chat.refusal", "refusal", "I'm sorry.", ModelRefused),
    ("chat.err_truncated", "truncated", "Hi", StreamTruncated),
    ("responses.length", "length", "Once upon", LengthLimit),
]


@pytest.mark.parametrize(("name", "reason", "said", "error"), NOT_WHOLE)
async def test_by_default_it_is_an_event(name: str, reason: str, said: str, error: Any) -> None:
    """The run completes, and both the log and the outcome say that the answer is not whole."""
    handler = FunctionAgent(llm=recorded(name)).run(user_msg="hi")
    incomplete, finished = await events_of(handler, Incomplete, LLMCallFinished)
    outcome = await handler.outcome()
    assert (incomplete.reason, incomplete.text) == (reason, said)
    assert incomplete.call_id == finished.call_id
    assert (outcome.status, outcome.finish_reason, finished.finish_reason) == (
        *("completed", reason),
        reason,
    )
    assert outcome.text == ("" if reason == "refusal" else said)


@pytest.mark.parametrize(("name", "reason", "said", "error"), NOT_WHOLE)
async def test_it_can_raise(name: str, reason: str, said: str, error: Any) -> None:
    """`on_incomplete="raise"` fails the run by the error that has the text."""
    agent = FunctionAgent(llm=recorded(name), on_incomplete="raise")
    outcome = await agent.run(user_msg="hi").outcome()
    assert (outcome.status, outcome.finish_reason) == ("failed", reason)
    assert isinstance(outcome.error, error)
    assert getattr(outcome.error, "text", None) == said


@pytest.mark.parametrize("name", ["chat.err_midstream", "responses.failed"])
@pytest.mark.parametrize("on_incomplete", ["event", "raise"])
async def test_a_provider_that_fails_fails_the_run(name: str, on_incomplete: Any) -> None:
    """In both modes; in the one of events an event comes first."""
    agent = FunctionAgent(llm=recorded(name), on_incomplete=on_incomplete)
    handler = agent.run(user_msg="hi")
    said = [(e.reason, e.text) for e in await events_of(handler, Incomplete)]
    outcome = await handler.outcome()
    assert isinstance(outcome.error, ProviderFailed)
    assert (outcome.status, outcome.finish_reason) == ("failed", "failed")
    assert said == ([("failed", outcome.text)] if on_incomplete == "event" else [])


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_content_filter_is_said(dialect: Dialect) -> None:
    """With the text that came before it."""
    fake = FakeOpenAI([Turn(text("How to"), finish("content_filter"))], repeat_last=True)
    with fake.mock():
        llm = real(fake, dialect)
        outcome = await FunctionAgent(llm=llm).run(user_msg="hi").outcome()
        raising = FunctionAgent(llm=llm, on_incomplete="raise")
        raised = await raising.run(user_msg="hi").outcome()
    assert (outcome.finish_reason, outcome.text) == ("content_filter", "How to")
    assert isinstance(raised.error, ContentFiltered)


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_that_does_not_stream_is_as_honest(streaming: bool) -> None:
    """`streaming=False` asks for whole answers."""
    fake = FakeOpenAI([Turn(text("Once upon"), finish("length"))])
    with fake.mock():
        handler = FunctionAgent(llm=fake.llm(), streaming=streaming).run(user_msg="hi")
        (event,) = await events_of(handler, Incomplete)
    assert (event.reason, event.text) == ("length", "Once upon")
    assert (await handler.outcome()).finish_reason == "length"


async def test_the_agent_s_setting_wins() -> None:
    """Over that of a StreamingLLM which it is given; the rest of that stays."""
    llm = StreamingLLM(recorded("chat.length"), on_incomplete="raise")
    outcome = await FunctionAgent(llm=llm).run(user_msg="hi").outcome()
    assert outcome.status == "completed"


# Arguments


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("end", "streaming"),
    [(finish("length"), True), (finish("length"), False), (truncated(), True)],
    ids=["length", "length, whole", "truncated"],
)
async def test_half_arguments_never_run_a_tool(dialect: Dialect, end: Any, streaming: bool) -> None:
    """The model is told, asked once more, and answers (U23)."""
    disk = Disk()
    fake = FakeOpenAI([Turn(text("So:"), CUT, end), Turn(text("Better not."))])
    with fake.mock():
        agent = FunctionAgent(llm=real(fake, dialect), tools=[disk.delete], streaming=streaming)
        handler = agent.run(user_msg="hi")
        (event,) = await events_of(handler, TruncatedToolCall)
        result = str(await handler)
    assert disk.deleted == []
    assert (event.tool_name, event.arguments, event.retrying) == (
        "delete",
        '{"path":"/home/us',
        True,
    )
    assert result == "Better not."
    assert "was cut off" in fake.requests[1].body.decode()
    assert "/home/us" not in fake.requests[1].body.decode()
    assert "So:" in fake.requests[1].body.decode()


async def test_a_retry_is_a_call_of_the_same_iteration(llms: LLMs) -> None:
    """Both calls are announced and counted."""
    llm = llms([Turn(CUT, finish("length")), Turn(text("ok"))])
    handler = FunctionAgent(llm=llm, tools=[Disk().delete]).run(user_msg="hi")
    started = await events_of(handler, LLMCallStarted)
    assert [(event.agent, event.iteration) for event in started] == [("Agent", 1)] * 2
    outcome = await handler.outcome()
    assert outcome.usage is not None
    assert outcome.usage.calls == 2
    assert outcome.finish_reason == "stop"


async def test_whole_arguments_run_the_tool_whatever_the_reason(llms: LLMs) -> None:
    """A model that reaches its limit right behind the last brace has said all."""
    disk = Disk()
    llm = llms([Turn(tool_call("delete", path="/tmp"), finish("length")), Turn(text("ok"))])
    outcome = await FunctionAgent(llm=llm, tools=[disk.delete]).run(user_msg="hi").outcome()
    assert (disk.deleted, outcome.status) == (["/tmp"], "completed")


@pytest.mark.parametrize(("retries", "asked"), [(0, 1), (1, 2), (3, 4)])
async def test_the_retries_are_configurable(llms: LLMs, retries: int, asked: int) -> None:
    """After the last one the run ends with what the model has said."""
    disk = Disk()
    llm = llms([Turn(text("Hm."), CUT, finish("length"))], repeat_last=True)
    agent = FunctionAgent(llm=llm, tools=[disk.delete], truncated_retries=retries)
    handler = agent.run(user_msg="hi")
    events = await events_of(handler, TruncatedToolCall)
    outcome = await handler.outcome()
    assert len(llms.asked(llm)) == asked
    assert [event.retrying for event in events] == [True] * retries + [False]
    assert (outcome.status, outcome.finish_reason) == ("completed", "length")
    assert (str(outcome.result), disk.deleted) == ("Hm.", [])


def test_retries_cannot_be_negative() -> None:
    """A wrong option is refused when the agent is made."""
    with pytest.raises(ValueError, match="truncated_retries"):
        FunctionAgent(llm=FakeStreamingLLM([]), truncated_retries=-1)
    with pytest.raises(ValueError, match="truncated_retries"):
        CodeActAgent(llm=FakeStreamingLLM([]), code_execute_fn=execute, truncated_retries=-1)


async def test_of_two_calls_neither_runs_if_one_is_cut_off(llms: LLMs) -> None:
    """The model is asked for both again."""
    disk = Disk()
    llm = llms([Turn(tool_call("delete", path="/a"), CUT, finish("length")), Turn(text("ok"))])
    handler = FunctionAgent(llm=llm, tools=[disk.delete]).run(user_msg="hi")
    assert len(await events_of(handler, TruncatedToolCall)) == 1
    assert disk.deleted == []


async def test_half_arguments_raise_where_that_is_asked_for(llms: LLMs) -> None:
    """No retry then: the app decides."""
    disk = Disk()
    llm = llms([Turn(CUT, finish("length"))])
    agent = FunctionAgent(llm=llm, tools=[disk.delete], on_incomplete="raise")
    handler = agent.run(user_msg="hi")
    outcome = await handler.outcome()
    assert isinstance(outcome.error, LengthLimit)
    assert disk.deleted == []
    assert (
        "".join([e.delta for e in await events_of(handler, ToolCallDelta)]) == '{"path":"/home/us'
    )


async def test_the_history_has_no_call_without_an_answer(llms: LLMs) -> None:
    """Providers refuse a tool call that nobody has answered."""
    llm = llms([Turn(CUT, finish("length")), Turn(text("ok"))])
    await FunctionAgent(llm=llm, tools=[Disk().delete]).run(user_msg="hi").outcome()
    messages = llms.asked(llm)[1].messages
    assert [message["role"] for message in messages] == ["user", "user"]


ACTION = 'Thought: I do it.\nAction: delete\nAction Input: {"path": "/home'


async def test_half_an_action_never_runs_a_tool(llms: LLMs) -> None:
    """A ReActAgent's arguments are text."""
    disk = Disk()
    llm = llms(
        [Turn(text(*ACTION), finish("length")), Turn(text("Thought: no.\nAnswer: Better not."))]
    )
    handler = ReActAgent(llm=llm, tools=[disk.delete]).run(user_msg="hi")
    assert str(await handler) == "Better not."
    assert disk.deleted == []


async def test_a_whole_action_runs(llms: LLMs) -> None:
    """Its arguments are told as they are written, by the id that the tool is called with."""
    disk = Disk()
    action = text(*f'{ACTION}"}}')
    llm = llms([Turn(action), Turn(text("Thought: done.\nAnswer: Gone."))])
    handler = ReActAgent(llm=llm, tools=[disk.delete]).run(user_msg="hi")
    deltas = await events_of(handler, ToolCallDelta)
    (called,) = await events_of(handler, ToolCall)
    assert disk.deleted == ["/home"]
    assert {delta.tool_id for delta in deltas} == {called.tool_id}
    assert deltas[-1].arguments == called.tool_kwargs


async def test_half_a_block_of_code_never_runs(llms: LLMs) -> None:
    """A CodeActAgent's arguments are code."""
    llm = llms([Turn(text("<execute>\nimport os\nos.rem"), finish("length"))])
    handler = CodeActAgent(llm=llm, code_execute_fn=execute).run(user_msg="hi")
    (event,) = await events_of(handler, Incomplete)
    assert event.reason == "length"
    assert (await handler.outcome()).status == "completed"


# Everywhere


@pytest.mark.parametrize("name", ["chat.length", "chat.err_truncated", "responses.length"])
async def test_in_a_workflow_of_agents_it_is_said_too(name: str) -> None:
    """`AgentWorkflow` calls the steps of its agents itself (U38)."""
    agent = FunctionAgent(name="writer", llm=recorded(name))
    handler = AgentWorkflow(agents=[agent]).run(user_msg="hi")
    events = await events_of(handler, Incomplete, LLMCallStarted)
    assert [type(event) for event in events] == [LLMCallStarted, Incomplete]
    assert events[0].agent == "writer"


@pytest.mark.parametrize("name", ["chat.length", "chat.refusal", "responses.length"])
async def test_upstream_s_way_is_one_option_away(name: str) -> None:
    """`streaming_llm=False`: nothing is wrapped, nothing is said."""
    llm: FunctionCallingLLM = recorded(name)
    handler = FunctionAgent(llm=llm, streaming_llm=False).run(user_msg="hi")
    assert await events_of(handler, Incomplete, LLMCallStarted, LLMCallFinished) == []
    assert (await handler.outcome()).status == "completed"


async def test_a_whole_answer_after_one_that_was_not_is_whole() -> None:
    """The outcome says how the last call ended."""
    llm = answered_by(body("chat.tool_single"), body("chat.text"))
    handler = FunctionAgent(llm=llm, tools=[get_weather]).run(user_msg="hi")
    assert (await handler.outcome()).finish_reason == "stop"
    assert [e.finish_reason for e in await events_of(handler, LLMCallFinished)] == [
        *("tool_calls", "stop"),
    ]
    last = (await events_of(handler, AgentStream))[-1]
    assert last.response == (await handler.outcome()).text


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"
