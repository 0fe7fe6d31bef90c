"""A query engine as a tool works as core's tool does, wherever it is called."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# Core marks its own `run(user_msg=...)` as deprecated for type checkers.
# pyright: reportDeprecated=false

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.base.response.schema import Response
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext import (
    FunctionAgent,
    StreamingQueryEngine,
    StreamingQueryEngineTool,
    ToolCallResult,
    ToolOutputDelta,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, fail, text, tool_call
from tests.support.flows import records
from tests.support.query.query_tools import (
    ANSWER,
    FACES,
    BlockingLibrary,
    Selecting,
    calling,
    engine,
    of,
    tool_of,
)


@pytest.mark.parametrize("use_async", [None, *FACES])
async def test_outside_of_an_agent_it_gives_the_whole_answer(use_async: bool | None) -> None:
    """Called by hand it is core's tool."""
    output = await tool_of(use_async=use_async).acall("How high?")
    assert (output.content, output.tool_name) == ("".join(ANSWER), "library")
    assert output.raw_input == {"input": "How high?"}
    assert isinstance(output.raw_output, Response)


def test_the_sync_call_gives_the_whole_answer() -> None:
    """`call` asks the engine's sync face."""
    assert tool_of().call(input="How high?").content == "".join(ANSWER)


async def test_a_sync_call_in_a_tools_thread_is_shown() -> None:
    """A sync tool of the user's that calls it shows the tokens as its own."""
    inner = tool_of()

    def ask(input: str) -> str:  # noqa: A002 -- the name of the argument that the model gives
        return inner.call(input).content

    llm = FakeStreamingLLM([Turn(tool_call("ask", input="How high?")), Turn(text("done"))])
    read = await records(FunctionAgent(tools=[ask], llm=llm).run(user_msg="hi"))
    deltas = of(ToolOutputDelta, read)
    assert [(delta.tool_name, delta.delta) for delta in deltas] == [("ask", d) for d in ANSWER]


@pytest.mark.parametrize("face", ["call", "acall"])
async def test_a_failing_query_raises(face: str) -> None:
    """Called by hand it raises what the engine raises."""
    tool = tool_of(engine(FakeStreamingLLM([Turn(fail("no more"))])))
    with pytest.raises(Exception, match="no more"):
        await tool.acall("?") if face == "acall" else tool.call("?")


async def test_in_cores_agent_it_gives_the_whole_answer() -> None:
    """Core's agent gets the whole answer, and its loop is not held up (U59)."""
    library = BlockingLibrary()
    tool = tool_of(engine(retriever=library))
    agent = CoreFunctionAgent(tools=[tool], llm=calling(tool))
    handler = agent.run(user_msg="hi")
    asyncio.get_running_loop().call_later(0.05, library.released.set)
    results = [ev async for ev in handler.stream_events() if isinstance(ev, ToolCallResult)]
    assert [str(result.tool_output) for result in results] == ["".join(ANSWER)]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("outer", ["core", "ours", "tool"])
async def test_it_can_be_a_tool_of_cores_engines(wrapped: bool, outer: str) -> None:
    """A router takes it for core's tool; ours inside of core's inside of ours does not stall."""
    llm = FakeStreamingLLM(lambda _: Turn(text(*ANSWER)))
    tool = tool_of(StreamingQueryEngine(engine(llm)) if wrapped else engine(llm))
    router = RouterQueryEngine(Selecting(0), [tool], llm=llm)
    if outer == "core":
        said = str(await router.aquery("How high?"))
    elif outer == "ours":
        said = str(await (await StreamingQueryEngine(router).aquery("How high?")).get_response())
    else:
        said = (await tool_of(router).acall("How high?")).content
    assert said == "".join(ANSWER)


# --- making one


def test_it_is_made_as_cores_is() -> None:
    """Name and description have core's defaults, and it is a tool of core's class."""
    asked = engine()
    ours = StreamingQueryEngineTool.from_defaults(asked)
    cores = QueryEngineTool.from_defaults(asked)
    assert isinstance(ours, QueryEngineTool)
    assert ours.metadata == cores.metadata
    assert ours.query_engine is asked


def test_what_is_no_engine_is_refused() -> None:
    """An index is not an engine, and the error says what is."""
    with pytest.raises(TypeError, match="takes a query engine, not str"):
        StreamingQueryEngineTool.from_defaults(cast("Any", "an index"))


@pytest.mark.parametrize("resolve", [False, True])
def test_arguments_are_read_as_core_reads_them(resolve: bool) -> None:
    """Other arguments than `input` are the question, or an error."""
    tool = tool_of(resolve_input_errors=resolve)
    if resolve:
        assert tool.call(topic="towers").raw_input == {"input": "{'topic': 'towers'}"}
    else:
        with pytest.raises(ValueError, match="without specifying `input`"):
            tool.call(topic="towers")
