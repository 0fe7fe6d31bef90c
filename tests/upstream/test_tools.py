"""What can be hung on an agent's tools and steps by subclassing it."""

import copy
import inspect
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, cast

import pytest
from llama_index.core.agent.workflow import (
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    FunctionAgent,
    ToolCall,
    ToolCallResult,
)
from llama_index.core.agent.workflow.agent_context import AgentContext
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import AsyncBaseTool, FunctionTool
from llama_index.core.workflow import (
    step,  # pyright: ignore[reportUnknownVariableType] -- as core's own code has it
)
from workflows import Context, Workflow

from tests.support.upstream.flows import Note, hangs, names, read, soon
from tests.support.upstream.llms import ScriptLLM, calls, chat, says

tool_id: ContextVar[str] = ContextVar("tool_id")


class TaggedAgent(FunctionAgent):
    """Tells its tools which call they are."""

    @step
    async def call_tool(self, ctx: Context, ev: ToolCall) -> ToolCallResult:
        """Set the id around core's own step."""
        tool_id.set(ev.tool_id)
        return await cast("Any", super()).call_tool(ctx, ev)  # core's @step is untyped


class TaggedTeam(AgentWorkflow):
    """Tells the tools of its agents which call they are."""

    @step
    async def call_tool(self, ctx: Context, ev: ToolCall) -> ToolCallResult:
        """Set the id around core's own step."""
        tool_id.set(ev.tool_id)
        return await cast("Any", super()).call_tool(ctx, ev)  # core's @step is untyped


class SpecialResult(ToolCallResult):
    """A result of another class."""


class SpecialAgent(FunctionAgent):
    """Returns a subclass of ToolCallResult."""

    @step
    async def call_tool(self, ctx: Context, ev: ToolCall) -> ToolCallResult:
        """Make core's result one of another class."""
        result = await cast("Any", super()).call_tool(ctx, ev)  # core's @step is untyped
        return SpecialResult(
            tool_name=result.tool_name,
            tool_kwargs=result.tool_kwargs,
            tool_id=result.tool_id,
            tool_output=result.tool_output,
            return_direct=result.return_direct,
        )


class Shouting:
    """An AgentContext that enriches what is written, and is no Context."""

    def __init__(self, inner: AgentContext) -> None:
        self.store: Any = inner.store
        self.is_running = True
        self._inner = inner

    def write_event_to_stream(self, event: Any) -> None:
        """Write the event, louder."""
        if isinstance(event, AgentStream):
            event = event.model_copy(update={"delta": event.delta.upper()})
        self._inner.write_event_to_stream(event)


class ShoutingAgent(FunctionAgent):
    """Gives its step another context."""

    async def take_step(
        self,
        ctx: AgentContext,
        llm_input: list[ChatMessage],
        tools: Sequence[AsyncBaseTool],
        memory: BaseMemory,
    ) -> AgentOutput:
        """Take core's step with the context that shouts."""
        shouting = cast("AgentContext", Shouting(ctx))
        return await super().take_step(shouting, llm_input, tools, memory)


async def tell() -> str:
    """Tell which call this is."""
    return tool_id.get()


def tell_in_a_thread() -> str:
    """Tell which call this is, without asyncio."""
    return tool_id.get()


async def test_u27_the_events_of_a_tool_carry_no_tool_id() -> None:
    """U27: what a tool writes lies between its ToolCall and its result, and names no call."""

    async def work(ctx: Context) -> str:
        ctx.write_event_to_stream(Note(n=1))
        return "done"

    agent = FunctionAgent(llm=ScriptLLM(calls("work"), says("it")), tools=[work])
    events = await read(chat(agent).stream_events())
    at = names(events).index("ToolCall")
    assert names(events)[at:][:3] == ["ToolCall", "Note", "ToolCallResult"]
    (note,) = [event for event in events if isinstance(event, Note)]
    assert note.model_dump() == {"n": 1}


async def test_u27_an_async_generator_tool_returns_its_repr() -> None:
    """U27: an async-generator tool is not iterated: its output is the generator's repr."""

    async def count() -> AsyncIterator[int]:
        yield 1

    agent = FunctionAgent(llm=ScriptLLM(calls("count"), says("it")), tools=[count])
    events = await read(chat(agent).stream_events())
    (result,) = [event for event in events if isinstance(event, ToolCallResult)]
    assert result.tool_output.content.startswith("<async_generator object")


@pytest.mark.parametrize("team", [False, True])
async def test_u27_a_context_variable_set_in_call_tool_reaches_the_tools(team: bool) -> None:
    """U27: a ContextVar set in an overridden `call_tool` is seen by async and by sync tools."""
    llm = ScriptLLM(calls("tell", "tell_in_a_thread"), says("it"))
    tools = [tell, tell_in_a_thread]
    workflow: Workflow = (
        TaggedTeam(agents=[FunctionAgent(llm=llm, tools=tools)])
        if team
        else TaggedAgent(llm=llm, tools=tools)
    )
    events = await read(chat(workflow).stream_events())
    results = [event for event in events if isinstance(event, ToolCallResult)]
    assert {r.tool_name: r.tool_output.content for r in results} == {
        "tell": "call-1",
        "tell_in_a_thread": "call-2",
    }


async def test_u27_a_subclass_of_the_result_hangs_the_run() -> None:
    """U27: a subclass of ToolCallResult returned from `call_tool` is never collected."""
    agent = SpecialAgent(llm=ScriptLLM(calls("tell"), says("it")), tools=[tell])
    assert await hangs(chat(agent))


async def test_u28_take_step_takes_another_context() -> None:
    """U28: a proxy of the AgentContext protocol given to `take_step` sees all that is written."""
    agent = ShoutingAgent(llm=ScriptLLM(calls("tell"), says("he", "llo")), tools=[tell])
    handler = chat(agent)
    streams = [e for e in await read(handler.stream_events()) if isinstance(e, AgentStream)]
    assert [stream.delta for stream in streams] == ["", "HE", "LLO"]
    assert str(await soon(handler)) == "hello"


class PickyAgent(FunctionAgent):
    """Gives another tool of the same name to `call_tool`."""

    async def get_tools(self, input_str: str | None = None) -> Sequence[AsyncBaseTool]:
        """The tool that is called, under another function."""

        async def other() -> str:
            return f"for {input_str}"

        return [FunctionTool.from_defaults(other, name="tell")]


async def test_u27_call_tool_takes_the_tool_from_get_tools() -> None:
    """U27: `call_tool` asks the public `get_tools` for the tool that it calls."""
    agent = PickyAgent(llm=ScriptLLM(calls("tell"), says("it")), tools=[tell])
    events = await read(chat(agent).stream_events())
    (result,) = [event for event in events if isinstance(event, ToolCallResult)]
    assert result.tool_output.content == "for tell"


async def test_u27_a_copy_of_a_function_tool_calls_its_own_function() -> None:
    """U27: `acall` calls the private `_async_fn`; callbacks and arguments are around it."""

    async def other(who: str) -> str:
        return f"hello {who}"

    def hi(who: str) -> str:
        """Say hi."""
        return f"hi {who}"

    tool = FunctionTool.from_defaults(hi, callback=str.upper, partial_params={"who": "Sue"})
    changed = copy.copy(tool)
    vars(changed)["_async_fn"] = other
    assert (await changed.acall()).content == "HELLO SUE"
    assert (await tool.acall()).content == "HI SUE"
    assert changed.metadata is tool.metadata
    assert changed.real_fn is tool.real_fn is hi


async def test_u27_a_generator_function_gives_its_generator() -> None:
    """U27: a tool of a generator function has the bare generator as its output."""

    def count() -> Iterator[int]:
        yield 1

    output = await FunctionTool.from_defaults(count).acall()
    assert inspect.isgenerator(output.raw_output)


async def test_u27_a_tool_finds_the_context_of_its_step() -> None:
    """U27: `Context.get_step_context()` works in async tools and in the thread of sync ones."""

    async def note() -> str:
        Context.get_step_context().write_event_to_stream(Note(n=1))
        return "ok"

    def find_in_a_thread() -> str:
        return type(Context.get_step_context()).__name__

    agent = FunctionAgent(
        llm=ScriptLLM(calls("note", "find_in_a_thread"), says("it")), tools=[note, find_in_a_thread]
    )
    events = await read(chat(agent).stream_events())
    results = {e.tool_name: e.tool_output.content for e in events if isinstance(e, ToolCallResult)}
    assert results == {"note": "ok", "find_in_a_thread": "Context"}
    assert "Note" in names(events)
