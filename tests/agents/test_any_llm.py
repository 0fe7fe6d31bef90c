"""Our agents with LLMs of any kind: sync ones, ones that cannot stream, LangChain's, core's."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms import LLM, CustomLLM, MockLLM
from llama_index.core.llms.callbacks import (
    llm_completion_callback,  # pyright: ignore[reportUnknownVariableType]
)
from llama_index.core.llms.mock import MockFunctionCallingLLM
from workflows.plugins import BasicRuntime

from llama_index_streaming_ext import (
    AgentStream,
    CodeActAgent,
    FunctionAgent,
    LLMCallFinished,
    LLMCallStarted,
    NotStreamed,
    ReActAgent,
    StreamingHandler,
    StreamingLLM,
    ToolCall,
    ToolCallDelta,
    stream_run,
)
from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, check_stream, text, tool_call

TOKENS = ["Thought: I know.\n", "Answer: ", *["word "] * 20]
ANSWER = ("word " * 20).strip()
LEAD = 4
"""The thought, the head of the answer, a word, and one whose last space may be the end."""
PATIENCE = 120.0


async def events_of(handler: StreamingHandler, *types: type[Event]) -> list[Any]:
    """The events of these classes; a hang fails the test."""
    async with asyncio.timeout(120):
        await handler.outcome()
        return [record.event async for record in handler.stream.read(types=types)]


counted: Any = llm_completion_callback()  # pyright: ignore[reportUnknownVariableType]


def at_once(number: int) -> None:
    """Do nothing before a token is made."""


class Local(CustomLLM):
    """Blocks for each token, as a model on this machine does (HuggingFaceLLM).

    Attributes:
        before: what it is blocked by before it makes the token of a number.
    """

    before: Callable[[int], None] = at_once

    @property
    def metadata(self) -> LLMMetadata:
        """A model."""
        return LLMMetadata(model_name="local")

    @counted
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """All tokens at once."""
        return CompletionResponse(text="".join(TOKENS))

    @counted
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """A token at a time."""

        def tokens() -> Any:
            said = ""
            for number, token in enumerate(TOKENS):
                self.before(number)
                said += token
                yield CompletionResponse(text=said, delta=token)

        return tokens()


@pytest.mark.parametrize("wraps", [True, False])
async def test_a_sync_llm_leaves_the_loop_free(wraps: bool) -> None:
    """U33: the loop goes on while a token is made; if it waited for one, none would be made."""
    loop = asyncio.get_running_loop()

    def turn_of_the_loop(number: int) -> None:
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(PATIENCE), f"The loop stood still for token {number}."

    llm: LLM = Local(before=turn_of_the_loop)
    handler = ReActAgent(llm=StreamingLLM(llm) if wraps else llm).run(user_msg="hi")
    assert (await handler.outcome()).text == ANSWER


@pytest.mark.parametrize("wraps", [True, False])
async def test_a_sync_llm_s_tokens_come_as_they_are_made(wraps: bool) -> None:
    """U33: the next one is made when the one before the last has been read."""
    read = threading.Semaphore(0)

    def one_is_read(number: int) -> None:
        assert number < LEAD or read.acquire(timeout=PATIENCE), f"Nobody has read {number}."

    llm: LLM = Local(before=one_is_read)
    handler = ReActAgent(llm=StreamingLLM(llm) if wraps else llm).run(user_msg="hi")
    seen = 0
    async for _ in handler.text_stream():
        seen += 1
        read.release()
    assert seen == 20
    assert (await handler.outcome()).text == ANSWER


@pytest.mark.parametrize("cls", [ReActAgent, CodeActAgent])
async def test_a_sync_llm_in_every_agent_that_takes_one(cls: Any) -> None:
    """Core's default async method would block; ours keeps the laws."""
    more = {"code_execute_fn": execute} if cls is CodeActAgent else {}
    handler = cls(llm=Local(), **more).run(user_msg="hi")
    await check_stream(handler)
    assert (await handler.outcome()).text.strip().endswith(ANSWER)


def execute(code: str) -> str:
    """Runs nothing."""
    return code


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_an_llm_that_cannot_stream_answers(dialect: Any) -> None:
    """In one chunk a call, tool calls and all; an event says so each time (U33)."""
    llm = FakeStreamingLLM(
        [Turn(text("Let me."), tool_call("weather", city="X")), Turn(text("It is", " sunny."))],
        streaming=False,
        dialect=dialect,
    )
    handler = FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi")
    assert str(await handler) == "It is sunny."
    assert len(await events_of(handler, NotStreamed)) == 2
    assert [e.delta for e in await events_of(handler, ToolCallDelta)] == ['{"city":"X"}']
    assert (await handler.outcome()).text == "Let me.It is sunny."
    assert (await handler.outcome()).finish_reason == "stop"
    await check_stream(handler)


async def test_strict_fails_as_upstream() -> None:
    """`StreamingLLM(llm, strict=True)`."""
    llm = StreamingLLM(FakeStreamingLLM([Turn(text("a"))], streaming=False), strict=True)
    outcome = await FunctionAgent(llm=llm).run(user_msg="hi").outcome()
    assert isinstance(outcome.error, NotImplementedError)


@pytest.mark.parametrize("cls", [ReActAgent, CodeActAgent])
async def test_core_s_mock(cls: Any) -> None:
    """U80: its text lags behind its deltas; nothing comes twice, nothing is lost."""
    more = {"code_execute_fn": execute} if cls is CodeActAgent else {}
    handler = cls(llm=MockLLM(max_tokens=5), raw_scaffolding=True, **more).run(user_msg="hi")
    outcome = await handler.outcome()
    said = [event.delta for event in await events_of(handler, AgentStream)]
    assert outcome.text == "".join(said)
    assert said.count("text ") + said.count("text") <= 5


async def test_core_s_mock_that_calls_functions() -> None:
    """It yields whole messages as deltas."""
    llm = MockFunctionCallingLLM(response_generator=make_generator)
    handler = FunctionAgent(llm=llm).run(user_msg="hi")
    outcome = await handler.outcome()
    assert (outcome.status, outcome.text) == ("completed", "hi there")


def make_generator(messages: Any, **kwargs: Any) -> Any:
    """Return the answer of core's mock LLM."""
    return ChatMessage(role="assistant", content="hi there")


class Lags(FakeStreamingLLM):
    """Breaks L3: its messages say something else than its deltas."""

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        """Two chunks."""

        async def chunks() -> Any:
            for delta, content in (("one ", "One"), ("two", "One and two")):
                await asyncio.sleep(0)
                message = ChatMessage(role="assistant", content=content)
                yield ChatResponse(message=message, delta=delta)

        return chunks()


async def test_an_llm_that_contradicts_itself_says_nothing_twice() -> None:
    """The deltas are what is streamed; the last event has the response that the LLM says."""
    handler = FunctionAgent(llm=Lags()).run(user_msg="hi")
    outcome = await handler.outcome()
    assert outcome.text == "one two"
    assert str(outcome.result) == "One and two"
    assert (await events_of(handler, AgentStream))[-1].response == "One and two"


# LangChain


# Core's bridge imports langchain-community, which says that it is old.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("wraps", [True, False])
async def test_langchain_s_models_stream(wraps: bool) -> None:
    """Its async methods block the loop, so they are read in a thread."""
    pytest.importorskip("llama_index.llms.langchain")
    fakes = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    from llama_index.llms.langchain import (  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
        LangChainLLM,  # pyright: ignore[reportUnknownVariableType]
    )

    said = "Thought: I know.\nAnswer: It is sunny."
    llm = cast("Any", LangChainLLM)(llm=fakes.FakeListChatModel(responses=[said]))
    handler = ReActAgent(llm=StreamingLLM(llm) if wraps else llm).run(user_msg="hi")
    assert str(await handler) == "It is sunny."
    assert (await handler.outcome()).text == "It is sunny."
    assert len(await events_of(handler, AgentStream)) > 5
    assert await events_of(handler, NotStreamed) == []


# Other runs than ours


def calling() -> FakeStreamingLLM:
    """Calls a tool, then answers."""
    return FakeStreamingLLM(
        [
            Turn(text("Let me", " check."), tool_call("weather", city="Paris")),
            Turn(text("It is", " sunny.")),
        ]
    )


SEEN = (AgentStream, ToolCall, ToolCallDelta, LLMCallStarted, LLMCallFinished)


def shown(events: list[Any]) -> list[Any]:
    """Return events without ids and empty deltas."""
    return [
        (type(event).__name__, getattr(event, "delta", None))
        for event in events
        if isinstance(event, SEEN) and getattr(event, "delta", None) != ""
    ]


async def expected() -> list[Any]:
    """Return the events of a run of this package."""
    handler = FunctionAgent(llm=calling(), tools=[weather]).run(user_msg="hi")
    return shown([event async for event in handler.stream_events()])


async def test_in_core_s_workflow_with_our_stream() -> None:
    """`stream_run` of core's AgentWorkflow: all events, once."""
    from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow

    agent = FunctionAgent(llm=calling(), tools=[weather])
    handler = stream_run(CoreAgentWorkflow(agents=[agent]).run(user_msg="hi"))
    assert shown([event async for event in handler.stream_events()]) == await expected()
    assert (await handler.outcome()).text == "Let me check.It is sunny."
    await check_stream(handler)


async def test_in_core_s_workflow_alone() -> None:
    """Upstream's own stream has them too, and the calls have ids of their own."""
    from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow

    agent = FunctionAgent(llm=calling(), tools=[weather])
    handler = CoreAgentWorkflow(agents=[agent]).run(user_msg="hi")
    events = [event async for event in handler.stream_events()]
    assert shown(events) == await expected()
    ids = [event.call_id for event in events if isinstance(event, LLMCallStarted)]
    assert len(set(ids)) == 2


class OtherRuntime(BasicRuntime):
    """Has readers of its own at upstream's queue, as a server's runtime may."""


async def test_under_another_runtime() -> None:
    """Then everything takes upstream's way."""
    with OtherRuntime().registering():
        agent = FunctionAgent(llm=calling(), tools=[weather])
    assert type(agent.runtime) is OtherRuntime
    handler = agent.run(user_msg="hi")
    assert shown([event async for event in handler.stream_events()]) == await expected()
    assert (await handler.outcome()).text == "Let me check.It is sunny."
    await check_stream(handler)
