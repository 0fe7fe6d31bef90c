"""Tools that are generators: what they yield is streamed as it is made."""

# Upstream's handler is awaitable of an unknown type, and core's tools are of any function.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from llama_index.core.tools import FunctionTool

from llama_index_streaming_ext import (
    CodeActAgent,
    Context,
    FunctionAgent,
    HumanResponseEvent,
    InputRequiredEvent,
    ToolCall,
    ToolCallResult,
    ToolOutputDelta,
    emit_progress,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text
from tests.support.agents.llm_kinds import LLMs, check_history
from tests.support.agents.tool_runs import calling, of, result, run_of, running, where
from tests.support.flows import Note, records


async def words() -> AsyncIterator[str]:
    """Yields texts."""
    yield "one "
    await asyncio.sleep(0)
    yield "two"


def words_in_a_thread() -> Iterator[str]:
    """Yields texts, blocking."""
    yield "one "
    yield "two"


async def words_and_more(word: str, *, more: str = "") -> AsyncIterator[str]:
    """Yields what it is given."""
    yield word
    yield more


class Speaker:
    """Methods and objects that are generators."""

    async def speak(self) -> AsyncIterator[str]:
        """A method."""
        yield "one "
        yield "two"

    async def __call__(self) -> AsyncIterator[str]:
        """An object."""
        yield "one "
        yield "two"


async def gives_a_generator() -> AsyncIterator[str]:
    """Is none itself."""
    return words()


def tool(function: Any, **kwargs: Any) -> FunctionTool:
    """A tool of a function, whatever that is."""
    return FunctionTool.from_defaults(function, name="speak", **kwargs)


class OwnTool(FunctionTool):
    """A subclass of a user's."""


TOOLS: dict[str, Any] = {
    "async": words,
    "sync": words_in_a_thread,
    "fn": tool(words),
    "sync fn": tool(words_in_a_thread),
    "async_fn": FunctionTool.from_defaults(async_fn=words),  # pyright: ignore[reportArgumentType]
    "method": tool(Speaker().speak),
    "object": tool(Speaker()),
    "partial": tool(functools.partial(words_and_more, "one ", more="two")),
    "lambda": tool(lambda: words()),
    "partial_params": tool(words_and_more, partial_params={"word": "one ", "more": "two"}),
    "given": gives_a_generator,
    "subclass": OwnTool.from_defaults(words),
    "subclass of a partial": OwnTool.from_defaults(functools.partial(words), name="words"),
}


@pytest.mark.parametrize("name", TOOLS)
async def test_what_a_generator_tool_yields_is_streamed(name: str) -> None:
    """Each item is a ToolOutputDelta, whatever the generator is made of."""
    read = await run_of(TOOLS[name])
    (call,) = of(ToolCall, read)
    deltas = of(ToolOutputDelta, read)
    assert [event.delta for event in deltas] == ["one ", "two"]
    assert {(event.tool_id, event.tool_name) for event in deltas} == {
        (call.tool_id, call.tool_name)
    }
    assert [event.value for event in deltas] == [None, None]


@pytest.mark.parametrize("name", TOOLS)
async def test_texts_are_joined(name: str) -> None:
    """The model gets all of the tool's text."""
    output = result(await run_of(TOOLS[name])).tool_output
    assert (output.content, output.raw_output) == ("one two", "one two")
    assert not output.is_error


@pytest.mark.parametrize("words_of", [words, words_in_a_thread])
async def test_the_model_is_told_all_of_the_text(llms: LLMs, words_of: Any) -> None:
    """The provider gets the items of the tool, joined."""
    agent = calling(words_of, llms=llms)
    assert str(await running(agent)) == "all done"
    asked = llms.asked(agent.llm)[1]
    assert len(check_history(asked)) == 1
    assert asked.last == "one two"


@pytest.mark.parametrize("team", [False, True])
async def test_the_deltas_stand_between_the_call_and_its_result(llms: LLMs, team: bool) -> None:
    """They carry the call in their records, alone and in a team."""
    read = await records(running(calling(words_in_a_thread, llms=llms), team))
    (call,) = where(ToolCall, read)
    deltas = where(ToolOutputDelta, read)
    (ended,) = where(ToolCallResult, read)
    assert {record.origin for record in deltas} == {call.origin}
    assert call.seq < deltas[0].seq < deltas[1].seq < ended.seq


async def test_the_last_value_is_what_a_tool_gives() -> None:
    """The deltas have the items of a tool that does not yield texts only."""

    async def rows() -> AsyncIterator[Any]:
        yield "reading"
        yield {"row": 1}

    read = await run_of(rows)
    assert [(e.delta, e.value) for e in of(ToolOutputDelta, read)] == [
        ("reading", None),
        ("{'row': 1}", {"row": 1}),
    ]
    output = result(read).tool_output
    assert (output.content, output.raw_output) == ("{'row': 1}", {"row": 1})


async def test_a_returned_value_wins() -> None:
    """A sync generator can return what it gives."""

    def rows() -> Any:
        yield "reading"
        return 42

    read = await run_of(rows)
    assert [event.delta for event in of(ToolOutputDelta, read)] == ["reading"]
    assert result(read).tool_output.raw_output == 42


async def test_a_generator_that_yields_nothing_gives_no_text() -> None:
    """Its output is the empty text."""

    async def nothing() -> AsyncIterator[str]:
        for word in ():
            yield word

    read = await run_of(nothing)
    assert not of(ToolOutputDelta, read)
    assert result(read).tool_output.raw_output == ""


@pytest.mark.parametrize("tool_class", [FunctionTool, OwnTool])
async def test_a_callback_gets_the_value(tool_class: type[FunctionTool]) -> None:
    """A tool's callback sees what the tool gives, not the generator."""
    shouting = tool_class.from_defaults(words, callback=lambda value: value.upper())
    assert result(await run_of(shouting)).tool_output.content == "ONE TWO"


async def test_the_raw_input_is_what_core_says() -> None:
    """The arguments are in the output; the context is not."""

    async def greets(ctx: Context, who: str) -> AsyncIterator[str]:
        ctx.write_event_to_stream(Note(msg=who))
        yield f"hello {who}"

    read = await run_of(greets, who="Sue")
    output = result(read).tool_output
    assert output.raw_input == {"args": (), "kwargs": {"who": "Sue"}}
    assert output.content == "hello Sue"
    assert [event.msg for event in of(Note, read)] == ["Sue"]


async def test_return_direct_works(llms: LLMs) -> None:
    """The output of a generator tool can be the answer."""
    direct = FunctionTool.from_defaults(words, return_direct=True)
    handler = running(calling(direct, llms=llms))
    assert str(await handler) == "one two"


def failing() -> Iterator[str]:
    """Fails in the middle, blocking."""
    yield "one "
    raise ValueError("broken")


async def failing_async() -> AsyncIterator[str]:
    """Fails in the middle."""
    yield "one "
    raise ValueError("broken")


@pytest.mark.parametrize("fails", [failing, failing_async])
async def test_an_error_is_the_tools_result(llms: LLMs, fails: Any) -> None:
    """Items that were yielded before stay in the log."""
    read = await run_of(fails, llms=llms)
    assert [event.delta for event in of(ToolOutputDelta, read)] == ["one "]
    output = result(read).tool_output
    assert (output.is_error, output.content) == (True, "broken")


async def test_the_first_delta_comes_before_the_second_is_made() -> None:
    """A sync generator runs in a thread: the loop is free, and readers follow it live."""
    seen = threading.Event()

    def waits() -> Iterator[str]:
        yield "one "
        assert seen.wait(120)
        yield "two"

    handler = running(calling(waits))
    async for record in handler.stream.read(types=ToolOutputDelta):
        assert isinstance(record.event, ToolOutputDelta)
        if record.event.delta == "one ":
            seen.set()
    assert result(await records(handler)).tool_output.content == "one two"


async def test_a_sync_generator_stays_in_one_thread() -> None:
    """The last line of a tool can use what the first one opened (sqlite3 wants one thread)."""

    def threads() -> Iterator[int]:
        for _ in range(3):
            yield threading.get_ident()

    read = await run_of(threads)
    idents = {event.value for event in of(ToolOutputDelta, read)}
    assert len(idents) == 1
    assert idents != {threading.get_ident()}


async def test_a_cancelled_run_closes_an_async_generator() -> None:
    """Its `finally` has run when the run has ended."""
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "again"
                await asyncio.sleep(0)
        finally:
            closed.set()

    handler = running(calling(endless))
    async for _ in handler.stream.read(types=ToolOutputDelta):
        await handler.cancel_run()
        break
    assert (await handler.outcome()).status == "cancelled"
    assert closed.is_set()


async def test_a_cancelled_run_closes_a_sync_generator() -> None:
    """In its own thread, at the next item."""
    closed = threading.Event()

    def endless() -> Iterator[str]:
        try:
            while True:
                yield "again"
        finally:
            closed.set()

    handler = running(calling(endless))
    async for _ in handler.stream.read(types=ToolOutputDelta):
        await handler.cancel_run()
        break
    assert await asyncio.to_thread(closed.wait, 10)


async def test_a_generator_can_ask_a_human(llms: LLMs) -> None:
    """The exception by which upstream waits passes, and the body runs again (U34)."""

    async def asks(ctx: Context) -> AsyncIterator[str]:
        yield "asking "
        answer = await ctx.wait_for_event(
            HumanResponseEvent, waiter_event=InputRequiredEvent(), waiter_id="ask"
        )
        yield str(answer.response)

    handler = running(calling(asks, llms=llms))
    async for _ in handler.stream.read(types=InputRequiredEvent):
        await handler.send_event(HumanResponseEvent(response="yes"))  # pyright: ignore[reportCallIssue] # a dynamic field
        break
    read = await records(handler)
    assert [record.origin.attempt for record in where(ToolOutputDelta, read)] == [1, 2, 2]
    assert result(read).tool_output.content == "asking yes"


@pytest.mark.parametrize("speaks", [words, words_in_a_thread])
async def test_progress_and_deltas_keep_their_order(speaks: Any) -> None:
    """A generator may also say how far it is."""

    async def both() -> AsyncIterator[str]:
        emit_progress("a")
        yield "1"
        emit_progress("b")
        yield "2"

    def both_in_a_thread() -> Iterator[str]:
        emit_progress("a")
        yield "1"
        emit_progress("b")
        yield "2"

    read = await run_of(both if speaks is words else both_in_a_thread)
    said = [getattr(r.event, "message", None) or getattr(r.event, "delta", None) for r in read]
    first = said.index("a")
    assert said[first : first + 4] == ["a", "1", "b", "2"]


async def test_the_users_tool_is_not_changed() -> None:
    """It is the same object with the same functions after a run as before."""
    mine = FunctionTool.from_defaults(words)
    before = dict(vars(mine))
    agent = calling(mine)
    await running(agent)
    assert vars(mine) == before
    assert agent.tools == [mine]
    assert [item async for item in mine.real_fn()] == ["one ", "two"]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]


async def test_the_agent_gives_the_users_own_tools() -> None:
    """`get_tools` outside of a tool call is core's, so the LLM sees what it always sees."""
    mine = FunctionTool.from_defaults(words)
    agent = FunctionAgent(tools=[mine], llm=FakeStreamingLLM([Turn(text("x"))]))
    assert list(await agent.get_tools()) == [mine]


class Counting(FunctionTool):
    """Counts its calls in itself."""

    calls = 0

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Count."""
        self.calls += 1
        return await super().acall(*args, **kwargs)


async def test_a_subclass_that_is_no_generator_is_not_copied() -> None:
    """The state of a tool object is kept in the user's object."""

    async def plain() -> str:
        return "ok"

    mine = Counting.from_defaults(plain)
    await run_of(mine)
    assert vars(mine)["calls"] == 1


async def test_a_code_act_agent_streams_what_code_prints(llms: LLMs) -> None:
    """Its tool that executes code may be a generator, and its other tools stay functions."""

    async def execute(code: str) -> AsyncIterator[str]:
        yield "ran "
        yield code

    llm = llms([Turn(text("<execute>\n1\n</execute>")), Turn(text("done"))])
    agent = CodeActAgent(execute, tools=[words], llm=llm)
    read = await records(agent.run(user_msg="hi"))
    assert [event.delta for event in of(ToolOutputDelta, read)] == ["ran ", "1"]
    assert result(read).tool_output.content == "ran 1"
