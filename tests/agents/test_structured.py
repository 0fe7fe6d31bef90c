"""Structured output is streamed as it is written."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any, Literal

import pytest
from llama_index.core.agent.workflow import AgentWorkflow as CoreAgentWorkflow
from llama_index.core.llms import LLM
from llama_index.core.types import PydanticProgramMode

from llama_index_streaming_ext import (
    AgentStreamStructuredOutput,
    AgentWorkflow,
    FunctionAgent,
    ReActAgent,
    StopEvent,
    ToolCall,
)
from llama_index_streaming_ext.events import Incomplete, LLMCallFinished, ToolCallDelta
from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    fail,
    finish,
    gate,
    parallel,
    text,
    tool_call,
)
from tests.support.agents.structured_answers import (
    ANSWER,
    AS_TEXT,
    AS_TOOL,
    GROWTH,
    PARIS,
    PIECES,
    City,
    objects,
    seen_by,
)


@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize("turn", [AS_TEXT, AS_TOOL])
async def test_an_object_is_streamed(turn: Turn, dialect: Literal["chat", "responses"]) -> None:
    """One event per change, each a prefix of the next; the whole object comes once, at last."""
    llm = FakeStreamingLLM([ANSWER, turn], dialect=dialect)
    handler = FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")
    assert objects(await seen_by(handler)) == GROWTH
    assert (await handler).structured_response == PARIS
    assert (await handler.outcome()).text == "It is Paris."


async def test_an_object_comes_while_it_is_written() -> None:
    """Not when it is there."""
    turn = Turn(text('{"name": "Pa', "ris", '", "sights": ["Tow'), gate("more"), text('er"]}'))
    llm = FakeStreamingLLM([ANSWER, turn])
    handler = FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")
    async with asyncio.timeout(120):
        async for event in handler.stream_events():
            if isinstance(event, AgentStreamStructuredOutput) and event.output["name"] == "Paris":
                llm.open("more")
    assert (await handler).structured_response == {
        "name": "Paris",
        "sights": ["Tower"],
        "people": 0,
    }


@pytest.mark.parametrize("where", ["agent", "workflow"])
async def test_an_object_is_streamed_in_an_agent_workflow(where: str) -> None:
    """The class of the object is given to the workflow, or to the agent."""
    asks_agents = "agent.output_cls" in inspect.getsource(CoreAgentWorkflow.parse_agent_output)
    if where == "agent" and not asks_agents:
        pytest.skip("this core asks the workflow only")
    agent = FunctionAgent(
        llm=FakeStreamingLLM([ANSWER, AS_TOOL]), output_cls=City if where == "agent" else None
    )
    workflow = AgentWorkflow([agent], output_cls=City if where == "workflow" else None)
    handler = workflow.run(user_msg="hi")
    assert objects(await seen_by(handler)) == GROWTH
    assert (await handler).structured_response == PARIS


async def test_an_object_is_no_tool_call() -> None:
    """That the class asks for it by a tool is its own affair."""
    llm = FakeStreamingLLM([ANSWER, AS_TOOL])
    events = await seen_by(FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi"))
    assert not [event for event in events if isinstance(event, ToolCall | ToolCallDelta)]


async def test_the_call_for_an_object_is_a_call_like_others() -> None:
    """It is announced, and what it writes carries its id."""
    llm = FakeStreamingLLM([ANSWER, AS_TEXT])
    handler = FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")
    await seen_by(handler)
    records = [record async for record in handler.stream.read()]
    call_id = f"{handler.run_id}-2"
    finished = [r.event.call_id for r in records if isinstance(r.event, LLMCallFinished)]
    assert finished[-1] == call_id
    written = [r.origin for r in records if isinstance(r.event, AgentStreamStructuredOutput)]
    assert {(origin.agent, origin.call_id) for origin in written} == {("Agent", call_id)}


async def test_a_model_that_writes_prose_around_the_object() -> None:
    """Core's text program takes it from the first brace on; so do we."""
    said = ["Here: ", "```json\n", *PIECES, "\n```"]
    llm = FakeStreamingLLM(
        [ANSWER, Turn(text(*said))], pydantic_program_mode=PydanticProgramMode.LLM
    )
    handler = FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")
    assert objects(await seen_by(handler)) == GROWTH


async def test_a_react_agent_without_functions_streams_objects() -> None:
    """Its LLM writes the object as text."""
    llm = FakeStreamingLLM(
        [Turn(text("Thought: I know.\nAnswer: It is Paris.")), AS_TEXT],
        is_function_calling_model=False,
    )
    handler = ReActAgent(llm=llm, output_cls=City).run(user_msg="hi")
    assert objects(await seen_by(handler)) == GROWTH
    assert (await handler.outcome()).text == "It is Paris."


class AsksTwice(FakeStreamingLLM):
    """Asks again, whatever it gets."""

    async def astructured_predict(self, *args: Any, **kwargs: Any) -> Any:
        """The second object."""
        await super().astructured_predict(*args, **kwargs)
        return await super().astructured_predict(*args, **kwargs)


async def test_a_class_that_asks_again_says_nothing_of_the_second_object() -> None:
    """The last event has the object, even if an earlier one has other values."""
    rome = json.dumps({"name": "Rome", "sights": ["Forum"], "people": 1})
    asks_twice: Any = AsksTwice  # for type checkers its base takes no arguments
    llm = asks_twice([ANSWER, Turn(text('{"name": "P', "ari", '"}')), Turn(text(*rome))])
    said = objects(await seen_by(FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")))
    assert said == [{"name": "P"}, json.loads(rome)]


@pytest.mark.parametrize("how", ["agent", "upstream", "llm"])
async def test_one_event_where_nothing_is_streamed(how: str) -> None:
    """An agent that does not stream, upstream's LLM, and an LLM that cannot stream."""
    llm = FakeStreamingLLM([ANSWER, Turn(text(json.dumps(PARIS)))], streaming=how != "llm")
    streamed: dict[str, Any] = {"streaming": how != "agent", "streaming_llm": how != "upstream"}
    handler = FunctionAgent(llm=llm, output_cls=City, **streamed).run(user_msg="hi")
    assert objects(await seen_by(handler)) == [PARIS]


async def test_an_llm_that_the_user_has_wrapped_streams_objects() -> None:
    """It keeps the options that it was given."""
    llm: LLM = StreamingLLM(FakeStreamingLLM([ANSWER, AS_TEXT]), usage=False)
    assert (
        objects(await seen_by(FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi"))) == GROWTH
    )


async def test_the_first_of_two_objects_counts() -> None:
    """As upstream, where the provider's class cuts the answer to one call."""
    rome = tool_call("City", name="Rome")
    llm = FakeStreamingLLM([ANSWER, Turn(parallel(tool_call("City", fragments=PIECES), rome))])
    handler = FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")
    assert objects(await seen_by(handler))[-1] == PARIS
    assert (await handler).structured_response == PARIS


@pytest.mark.parametrize(
    "turn",
    [
        Turn(text('{"name": "Pa', "ris", '", "people": "many"}')),
        Turn(text('{"name": "Pa', "ris"), fail("The provider broke.")),
        Turn(text("I would rather not.")),
    ],
)
async def test_an_object_that_does_not_come_is_a_warning(turn: Turn) -> None:
    """As upstream: the answer is there, and it has no object."""
    llm = FakeStreamingLLM([ANSWER, turn])
    handler = FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi")
    with pytest.warns(UserWarning, match="problem with the generation of the structured output"):
        events = await seen_by(handler)
    assert isinstance(events[-1], StopEvent)
    assert (await handler).structured_response is None
    assert "people" not in str(objects(events))


async def test_an_object_that_is_cut_off_is_said() -> None:
    """The call says that it is not whole, as all calls do."""
    llm = FakeStreamingLLM([ANSWER, Turn(text('{"name": "Pa', "ris"), finish("length"))])
    with pytest.warns(UserWarning, match="structured output"):
        events = await seen_by(FunctionAgent(llm=llm, output_cls=City).run(user_msg="hi"))
    assert [event.reason for event in events if isinstance(event, Incomplete)] == ["length"]


async def test_a_function_makes_one_event() -> None:
    """`structured_output_fn`, as upstream."""

    def count(messages: list[Any]) -> Any:
        return {"n": len(messages)}

    agent = FunctionAgent(llm=FakeStreamingLLM([ANSWER]), structured_output_fn=count)
    assert objects(await seen_by(agent.run(user_msg="hi"))) == [{"n": 2}]
