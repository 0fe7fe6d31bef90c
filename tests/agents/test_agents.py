"""Our agents: core's, with streams, checked input, whole ToolSpecs and a memory that stays."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow
from llama_index.core.agent.workflow import CodeActAgent as CoreCodeActAgent
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.agent.workflow import ReActAgent as CoreReActAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import FunctionTool
from llama_index.core.tools.tool_spec.base import BaseToolSpec
from workflows.testing import WorkflowTestRunner

from llama_index_streaming_ext import (
    AgentInput,
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    MissingInput,
    ReActAgent,
    StopEvent,
    StreamingHandler,
    ToolCall,
    ToolCallResult,
    stream_run,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from tests.support.agents.llm_kinds import LLMs


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def execute(code: str) -> str:
    """Runs nothing."""
    return f"ran {code}"


class Tools(BaseToolSpec):
    """Two tools in one spec."""

    spec_functions = ["add", "weather_of"]  # noqa: RUF012 # as BaseToolSpec has it

    def add(self, a: int, b: int) -> int:
        """Adds."""
        return a + b

    def weather_of(self, city: str) -> str:
        """The weather."""
        return weather(city)


CORE_EVENTS = (AgentInput, AgentOutput, AgentStream, ToolCall, ToolCallResult, StopEvent)


def talking(*answers: str) -> FakeStreamingLLM:
    """An LLM that gives these answers, one a call."""
    return FakeStreamingLLM([Turn(text(answer)) for answer in answers])


def calling(llms: LLMs) -> FunctionCallingLLM:
    """An LLM that calls the weather tool, then answers."""
    return llms(
        [
            Turn(text("Let me", " check."), tool_call("weather", city="Paris")),
            Turn(text("It is", " sunny.")),
        ]
    )


async def seen_by(handler: StreamingHandler) -> list[Any]:
    """The events of a run; a hang fails the test."""
    async with asyncio.timeout(120):
        return [event async for event in handler.stream_events()]


def user_messages(llm: FakeStreamingLLM, call: int) -> list[str | None]:
    """Return the messages of people at a call."""
    return [message.content for message in llm.calls[call].messages if message.role == "user"]


@pytest.mark.parametrize(
    ("ours", "core"),
    [
        (FunctionAgent, CoreFunctionAgent),
        (ReActAgent, CoreReActAgent),
        (CodeActAgent, CoreCodeActAgent),
        (AgentWorkflow, CoreAgentWorkflow),
    ],
)
def test_our_agents_are_cores(ours: type, core: type) -> None:
    """Code that checks for core's class accepts ours."""
    assert issubclass(ours, core)
    assert ours.__name__ == core.__name__


async def test_a_function_agent_streams_as_cores_does(llms: LLMs) -> None:
    """With upstream's LLM: the same events in the same order, but for ids and times."""
    agent = FunctionAgent(tools=[weather], llm=calling(llms), streaming_llm=False)
    ours = await seen_by(agent.run(user_msg="hi"))
    upstream = CoreFunctionAgent(tools=[weather], llm=calling(llms)).run(user_msg="hi")
    theirs = [event async for event in upstream.stream_events()]
    assert [type(event) for event in ours] == [type(event) for event in theirs]
    for mine, core in zip(ours, theirs, strict=True):
        if isinstance(core, AgentStream):
            assert mine.model_dump() == core.model_dump()
        if isinstance(core, ToolCall | ToolCallResult):
            assert mine == core


async def test_core_s_own_events_are_all_there(llms: LLMs) -> None:
    """With our LLM there are more events, and core's are what they are upstream."""
    ours = await seen_by(FunctionAgent(tools=[weather], llm=calling(llms)).run(user_msg="hi"))
    upstream = CoreFunctionAgent(tools=[weather], llm=calling(llms)).run(user_msg="hi")
    theirs = [event async for event in upstream.stream_events()]

    def without_tokens(events: list[Any]) -> list[Any]:
        return [e for e in events if isinstance(e, CORE_EVENTS) and not isinstance(e, AgentStream)]

    def said(events: list[Any]) -> str:
        return "".join(e.delta for e in events if isinstance(e, AgentStream))

    mine, core = without_tokens(ours), without_tokens(theirs)
    assert [type(event) for event in mine] == [type(event) for event in core]
    assert [e for e in mine if isinstance(e, ToolCall | ToolCallResult)] == [
        e for e in core if isinstance(e, ToolCall | ToolCallResult)
    ]
    assert said(ours) == said(theirs)


async def test_a_token_is_an_agent_stream() -> None:
    """`type(ev) is AgentStream` (U39), and its response is the sum so far."""
    handler = FunctionAgent(llm=talking("one two")).run(user_msg="hi")
    chunks = [event for event in await seen_by(handler) if type(event) is AgentStream]
    said = ""
    for chunk in chunks:
        said += chunk.delta
        assert chunk.response == said
    assert said == (await handler.outcome()).text == "one two"


async def test_raw_is_kept_of_the_last_chunk_of_a_call(llms: LLMs) -> None:
    """By default one chunk a call has the provider's raw; the result has it untouched."""
    handler = FunctionAgent(tools=[weather], llm=calling(llms)).run(user_msg="hi")
    events = await seen_by(handler)
    kept = [event.raw is not None for event in events if isinstance(event, AgentStream)]
    assert kept.count(True) == 2
    assert kept[-1]
    assert (await handler).raw is not None


@pytest.mark.parametrize("where", ["agent", "run", "workflow", "agent of a workflow"])
async def test_raw_can_be_kept_of_all(where: str) -> None:
    """`keep_raw=True` keeps the raw chunk of every token."""
    agent = FunctionAgent(llm=talking("one two"), keep_raw="agent" in where)
    team = "workflow" in where
    runner = AgentWorkflow(agents=[agent], keep_raw=where == "workflow") if team else agent
    handler = runner.run(user_msg="hi", keep_raw=True if where == "run" else None)
    chunks = [event for event in await seen_by(handler) if isinstance(event, AgentStream)]
    assert all(chunk.raw is not None for chunk in chunks)


async def test_a_snapshot_has_the_tool_calls_with_their_results(llms: LLMs) -> None:
    """A snapshot has the text and the tool calls for a late reader."""
    handler = FunctionAgent(tools=[weather], llm=calling(llms)).run(user_msg="hi")
    await handler
    snapshot = handler.stream.snapshot()
    (call,) = snapshot.tool_calls
    assert (call.tool_name, call.tool_kwargs) == ("weather", {"city": "Paris"})
    assert call.result is not None
    assert call.result.content == "sunny in Paris"
    assert snapshot.text == "Let me check.It is sunny."
    assert (snapshot.current_agent, snapshot.done) == ("Agent", True)


async def test_usage_is_summed_over_calls(llms: LLMs) -> None:
    """The outcome has the tokens that the provider counted."""
    llm = llms([Turn(tool_call("weather", city="Paris")), Turn(text("sunny"))])
    outcome = await FunctionAgent(tools=[weather], llm=llm).run(user_msg="hi").outcome()
    assert outcome.usage is not None
    assert outcome.usage.calls == 2
    assert outcome.usage.total_tokens > 0


@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_a_react_agent_streams() -> None:
    """Core's ReActAgent, with our run."""
    llm = talking("Thought: I know.\nAnswer: 42")
    handler = ReActAgent(tools=[weather], llm=llm).run(user_msg="hi")
    assert str(await handler) == "42"
    assert "42" in (await handler.outcome()).text


@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_a_code_act_agent_streams() -> None:
    """Core's CodeActAgent, with our run."""
    agent = CodeActAgent(code_execute_fn=execute, llm=talking("done"))
    assert str(await agent.run(user_msg="hi")) == "done"


async def test_from_tools_builds_our_agents(llms: LLMs) -> None:
    """`AgentWorkflow.from_tools`, as the documents print it (U32, U38)."""
    workflow = AgentWorkflow.from_tools([weather], llm=calling(llms))
    assert type(workflow.agents["Agent"]) is FunctionAgent
    assert str(await workflow.run(user_msg="hi")) == "It is sunny."


async def test_from_tools_builds_a_react_agent_where_the_llm_calls_no_functions(
    llms: LLMs,
) -> None:
    """As core's method does; it calls the tools by what it writes."""
    acts = 'Thought: well\nAction: weather\nAction Input: {"city": "Paris"}\n'
    said = [Turn(text(acts)), Turn(text("Thought: I know.\n", "Answer: It is", " sunny."))]
    llm = llms(said, calls_functions=False)
    workflow = AgentWorkflow.from_tools_or_functions([weather], llm=llm)
    assert type(workflow.agents["Agent"]) is ReActAgent
    assert (await workflow.run(user_msg="hi").outcome()).text == "It is sunny."
    assert llms.asked(llm)[1].last == "Observation: sunny in Paris"
    assert not llms.asked(llm)[1].tools


async def test_a_function_agent_says_that_its_llm_calls_no_functions(llms: LLMs) -> None:
    """As core's does, before anything is asked."""
    llm = llms("never", calls_functions=False)
    outcome = await FunctionAgent(llm=llm, tools=[weather]).run(user_msg="hi").outcome()
    assert "FunctionCallingLLM" in str(outcome.error)
    assert llms.asked(llm) == []


@pytest.mark.parametrize("make", ["FunctionAgent", "ReActAgent", "from_tools", "CodeActAgent"])
def test_a_tool_spec_is_expanded(make: str) -> None:
    """Any tool list of ours takes a ToolSpec instance (U32)."""
    tools: Any = [weather, Tools()]
    llm = talking()
    if make == "from_tools":
        agent: Any = AgentWorkflow.from_tools(tools, llm=llm).agents["Agent"]
    elif make == "CodeActAgent":
        agent = CodeActAgent(code_execute_fn=execute, tools=tools, llm=llm)
    else:
        agent = {"FunctionAgent": FunctionAgent, "ReActAgent": ReActAgent}[make](
            tools=tools, llm=llm
        )
    names = [tool.metadata.name for tool in agent.tools]
    assert names[:3] == ["weather", "add", "weather_of"]


def test_a_tool_spec_class_says_what_to_do() -> None:
    """Forgetting the parentheses is a clear error."""
    with pytest.raises(TypeError, match=r"put an instance into the list, Tools\(...\)"):
        FunctionAgent(tools=[Tools], llm=talking())


def test_a_run_without_a_message_says_so_at_once() -> None:
    """Upstream fails later, from inside the run."""
    with pytest.raises(MissingInput, match="Nothing was passed"):
        FunctionAgent(llm=talking()).run()


def test_a_misspelt_keyword_is_named() -> None:
    """The error has the argument that was passed, and the one that was probably meant."""
    with pytest.raises(MissingInput, match="'user_message' is not known; did you mean 'user_msg'"):
        AgentWorkflow.from_tools([weather], llm=talking()).run(user_message="hi")


def test_an_empty_message_is_named() -> None:
    """An empty message is as good as none, as upstream."""
    with pytest.raises(MissingInput, match="What was passed is empty"):
        FunctionAgent(llm=talking()).run(user_msg="")


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("hi",), {}),
        ((), {"user_msg": "hi"}),
        ((), {"user_msg": ChatMessage(content="hi")}),
        ((), {"chat_history": [ChatMessage(content="hi")]}),
        ((None, [ChatMessage(content="hi")]), {}),
        ((), {"user_msg": "hi", "something_else": 1}),
    ],
)
async def test_the_ways_to_run_an_agent_are_cores(args: Any, kwargs: Any) -> None:
    """All that core's `run` takes is taken; other keywords pass through."""
    llm = talking("hello")
    assert str(await FunctionAgent(llm=llm).run(*args, **kwargs)) == "hello"
    assert user_messages(llm, 0) == ["hi"]


async def test_our_agents_run_in_cores_workflow(llms: LLMs) -> None:
    """Core's AgentWorkflow calls their steps itself; `stream_run` makes the run streaming."""
    agent = FunctionAgent(tools=[weather], llm=calling(llms))
    handler = stream_run(CoreAgentWorkflow(agents=[agent]).run(user_msg="hi"))
    assert (await handler.outcome()).text == "Let me check.It is sunny."


async def test_cores_agents_run_in_our_workflow(llms: LLMs) -> None:
    """And the other way round, with nothing missing."""
    agent = CoreFunctionAgent(tools=[weather], llm=calling(llms))
    handler = AgentWorkflow(agents=[agent]).run(user_msg="hi")
    assert (await handler.outcome()).text == "Let me check.It is sunny."


async def test_a_subclass_that_overrides_take_step() -> None:
    """Users' subclasses work as they would with core's."""

    class Shouts(FunctionAgent):
        async def take_step(self, *args: Any, **kwargs: Any) -> AgentOutput:
            output = await super().take_step(*args, **kwargs)
            output.response.content = (output.response.content or "").upper()
            return output

    assert str(await Shouts(llm=talking("hello")).run(user_msg="hi")) == "HELLO"


async def test_one_agent_serves_many_runs_at_once() -> None:
    """One agent and one LLM: each run has its own log."""
    llm = FakeStreamingLLM(lambda request: Turn(text("you said ", request.messages[-1]["content"])))
    agent = FunctionAgent(llm=llm)
    handlers = [agent.run(user_msg=f"m{number}") for number in range(30)]
    outcomes = await asyncio.gather(*(handler.outcome() for handler in handlers))
    assert [outcome.text for outcome in outcomes] == [f"you said m{n}" for n in range(30)]


async def test_an_agent_in_a_tool_of_another_has_a_log_of_its_own(llms: LLMs) -> None:
    """A nested run does not write into the log of the run that started it."""
    inner = FunctionAgent(llm=llms("inner answer"))

    async def ask() -> str:
        """Asks the other agent."""
        return str(await inner.run(user_msg="hi"))

    llm = llms([Turn(tool_call("ask")), Turn(text("outer answer"))])
    outer = FunctionAgent(tools=[FunctionTool.from_defaults(async_fn=ask)], llm=llm)
    assert (await outer.run(user_msg="hi").outcome()).text == "outer answer"


async def test_upstreams_test_runner_runs_our_agents() -> None:
    """Core's `WorkflowTestRunner` on an agent of ours (U39)."""
    agent = FunctionAgent(llm=talking("one two"))
    from llama_index.core.agent.workflow.workflow_events import AgentWorkflowStartEvent

    start = AgentWorkflowStartEvent(user_msg="hi")
    result = await WorkflowTestRunner(agent).run(start_event=start)
    assert result.event_types[AgentStream] > 0
    assert result.event_types[StopEvent] == 1


async def test_an_llm_that_fails_leaves_the_text_so_far() -> None:
    """The outcome of a failed run has what was streamed before."""
    from llama_index_streaming_ext.testing import fail

    llm = FakeStreamingLLM([Turn(text("half an"), fail(RuntimeError("gone")))])
    outcome = await FunctionAgent(llm=llm).run(user_msg="hi").outcome()
    assert (outcome.status, outcome.text) == ("failed", "half an")
    assert "gone" in str(outcome.error)


def test_an_agent_can_be_copied() -> None:
    """Copies of agents work as of core's."""
    agent = FunctionAgent(tools=[weather], llm=talking())
    assert copy.copy(agent).name == agent.name
    assert agent.model_dump(include={"name"}) == {"name": "Agent"}


async def test_stopping_an_agent_stops_its_llm() -> None:
    """Leaving the block closes the LLM's stream (L8)."""
    llm = FakeStreamingLLM([Turn(text(*"abcdefghij" * 100))])
    async with FunctionAgent(llm=llm).run(user_msg="hi") as handler:
        async for _ in handler.text_stream():
            break
    assert llm.calls[0].closed_by == "CancelledError"
    assert llm.calls[0].chunks < 20
    assert pickle.loads(pickle.dumps((await handler.outcome()).status)) == "cancelled"
