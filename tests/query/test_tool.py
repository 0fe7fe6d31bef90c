"""A query engine as an agent's tool shows what it does in the agent's stream."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportDeprecated=false

from __future__ import annotations

from typing import Any, cast

import pytest
from llama_index.core import QueryBundle
from llama_index.core.base.response.schema import PydanticResponse, Response
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from llama_index_streaming_ext import (
    AgentWorkflow,
    FunctionAgent,
    LLMCallDelta,
    LLMCallStarted,
    PartialObject,
    QueryStarted,
    RetrievalStarted,
    SourcesRetrieved,
    StopEvent,
    StreamingQueryEngine,
    ToolCallResult,
    ToolOutputDelta,
)
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    check_stream,
    fail,
    gate,
    text,
    tool_call,
)
from tests.support.flows import records
from tests.support.query.query_tools import (
    ANSWER,
    FACES,
    BlockingLibrary,
    Library,
    calling,
    engine,
    of,
    running,
    tool_of,
)


class Height(BaseModel):
    """A structured answer."""

    place: str
    metres: int = 0


# --- in an agent of ours


@pytest.mark.parametrize("use_async", FACES)
async def test_the_answer_is_the_tools_output(use_async: bool) -> None:
    """U59: the answer's tokens are in the agent's stream, with the id and name of the tool call."""
    read = await records(running(tool_of(use_async=use_async)))
    (result,) = of(ToolCallResult, read)
    deltas = of(ToolOutputDelta, read)
    assert [delta.delta for delta in deltas] == ANSWER
    assert {(delta.tool_id, delta.tool_name) for delta in deltas} == {(result.tool_id, "library")}


@pytest.mark.parametrize("use_async", FACES)
async def test_the_querys_events_are_there(use_async: bool) -> None:
    """What the query does is in the agent's stream; where it comes from names the tool call."""
    read = await records(running(tool_of(use_async=use_async)))
    (started,) = of(QueryStarted, read)
    assert (started.query, started.engine) == ("How high?", "RetrieverQueryEngine")
    (result,) = of(ToolCallResult, read)
    inner = [record for record in read if record.origin.run_id == started.call_id]
    kinds = [type(record.event).__name__ for record in inner]
    assert kinds == [
        "QueryStarted",
        "RetrievalStarted",
        "SourcesRetrieved",
        "LLMCallStarted",
        "LLMCallFinished",
    ]
    assert {record.origin.tool_id for record in inner} == {result.tool_id}
    assert {record.origin.parent.tool_id for record in inner if record.origin.parent} == {
        result.tool_id
    }


async def test_the_sources_come_before_the_first_token() -> None:
    """A user interface can show what is found before the answer begins."""
    kinds = [type(record.event) for record in await records(running(tool_of()))]
    assert kinds.index(SourcesRetrieved) < kinds.index(ToolOutputDelta)


async def test_the_end_of_the_query_is_no_event_of_the_agent() -> None:
    """The only StopEvent is the agent's own: nobody takes the query's end for it (U6)."""
    read = await records(running(tool_of()))
    assert [record.terminal for record in read if isinstance(record.event, StopEvent)] == [True]


async def test_the_agent_gets_the_whole_answer() -> None:
    """The tool's result is core's: the text, and the response with its sources."""
    (result,) = of(ToolCallResult, await records(running(tool_of())))
    output = result.tool_output
    assert (output.content, output.is_error) == ("".join(ANSWER), False)
    assert isinstance(output.raw_output, Response)
    assert [node.node_id for node in output.raw_output.source_nodes] == ["tower"]


async def test_the_text_of_the_run_is_the_agents() -> None:
    """The query's answer is no part of the agent's, and how its calls end is not how the run's."""
    outcome = await running(tool_of(StreamingQueryEngine(engine(), show="calls"))).outcome()
    assert (outcome.text, outcome.finish_reason) == ("all done", "stop")


async def test_usage_is_summed() -> None:
    """What the query's LLM calls use is billed to the run."""
    usage = (await running(tool_of()).outcome()).usage
    assert usage is not None
    assert usage.calls == 3


async def test_inner_calls_are_shown_where_that_is_asked_for() -> None:
    """The options of a StreamingQueryEngine hold: `show="calls"` shows what inner calls say."""
    llm = FakeStreamingLLM([Turn(text("a", "b")), Turn(text("c", "d")), Turn(text(*ANSWER))])
    pages = [NodeWithScore(node=TextNode(text="long " * 2000)) for _ in range(2)]

    class Pages(Library):
        async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            return pages

    shown = engine(llm, Pages(), response_mode=ResponseMode.REFINE)
    read = await records(running(tool_of(StreamingQueryEngine(shown, show="calls"), True)))
    assert [delta.delta for delta in of(LLMCallDelta, read)][:2] == ["a", "b"]
    assert of(LLMCallStarted, read)


@pytest.mark.parametrize("use_async", FACES)
async def test_tokens_are_live(use_async: bool) -> None:
    """The first token is in the agent's stream while the second is still to come."""
    llm = FakeStreamingLLM([Turn(text("It"), gate("rest"), text(" is high."))])
    handler = running(tool_of(engine(llm), use_async))
    seen: list[str] = []
    async for event in handler.stream_events():
        if isinstance(event, ToolOutputDelta):
            seen.append(event.delta)
            llm.open("rest")
    assert seen == ["It", " is high."]


async def test_a_blocking_retriever_does_not_hold_up_the_loop() -> None:
    """U59: the agent's stream is read while the retriever blocks: only a reader releases it."""
    library = BlockingLibrary()
    handler = running(tool_of(engine(retriever=library)))
    async for event in handler.stream_events():
        if isinstance(event, RetrievalStarted):
            library.released.set()
    (result,) = [call.result for call in handler.stream.snapshot().tool_calls]
    assert result is not None
    assert not result.is_error


async def test_calls_side_by_side_are_told_apart() -> None:
    """Two queries at once: each record has the id of its own tool call."""
    llm = FakeStreamingLLM(lambda _: Turn(text(*ANSWER)))
    read = await records(running(tool_of(engine(llm)), times=2))
    results = of(ToolCallResult, read)
    assert len({result.tool_id for result in results}) == 2
    for result in results:
        of_call = [record for record in read if record.origin.tool_id == result.tool_id]
        assert [delta.delta for delta in of(ToolOutputDelta, of_call)] == ANSWER
        assert len(of(QueryStarted, of_call)) == 1


@pytest.mark.parametrize("use_async", FACES)
async def test_the_laws_hold(use_async: bool) -> None:
    """The agent's stream keeps the laws of a stream."""
    await check_stream(running(tool_of(use_async=use_async)))


async def test_it_works_in_a_team() -> None:
    """In an AgentWorkflow, too, the tokens are those of the tool."""
    tool = tool_of()
    agent = FunctionAgent(name="one", tools=[tool], llm=calling(tool))
    read = await records(AgentWorkflow(agents=[agent]).run(user_msg="hi"))
    assert [delta.delta for delta in of(ToolOutputDelta, read)] == ANSWER


async def test_an_answer_can_be_returned_directly() -> None:
    """With `return_direct`, the query's answer is the agent's (U26)."""
    handler = running(tool_of(return_direct=True))
    assert (await handler.outcome()).text == "".join(ANSWER)


async def test_a_structured_answer_is_shown() -> None:
    """An engine with `output_cls` shows its object growing, and the raw output has it."""
    answer = {"place": "Gull Rock", "metres": 38}
    structured = engine(FakeStreamingLLM([Turn(tool_call("Height", answer))]), output_cls=Height)
    read = await records(running(tool_of(structured)))
    (result,) = of(ToolCallResult, read)
    assert isinstance(result.tool_output.raw_output, PydanticResponse)
    assert result.tool_output.raw_output.response == Height(**cast("Any", answer))
    assert of(PartialObject, read)[-1].output == answer


# --- how it ends


@pytest.mark.parametrize("use_async", FACES)
async def test_a_failing_query_is_an_error_of_the_tool(use_async: bool) -> None:
    """The agent is told, as core tells it, and goes on."""
    failing = engine(FakeStreamingLLM([Turn(text("It"), fail("no more"))]))
    handler = running(tool_of(failing, use_async))
    (result,) = of(ToolCallResult, await records(handler))
    assert result.tool_output.is_error
    assert "no more" in result.tool_output.content
    assert (await handler.outcome()).text == "all done"
