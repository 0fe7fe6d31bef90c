"""`forward`: an inner run's events in the stream of the run whose tool waits for it."""

# Upstream's handler is awaitable of an unknown type; for type checkers ours is one of them.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import Any

from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from workflows import Workflow as CoreWorkflow
from workflows import step as core_step

from llama_index_streaming_ext import (
    AgentInput,
    AgentStream,
    Context,
    FunctionAgent,
    Record,
    StartEvent,
    StopEvent,
    StreamingHandler,
    ToolCall,
    ToolCallResult,
    ToolProgress,
    Usage,
    Workflow,
    emit_progress,
    forward,
    step,
)
from llama_index_streaming_ext.events import LLMCallFinished, ToolCallDelta
from llama_index_streaming_ext.stream.deltas import Token
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    check_stream,
    finish,
    text,
    tool_call,
)
from tests.support.agents.forwards import Outer, asks, forwarded, own
from tests.support.agents.llm_kinds import LLMs
from tests.support.agents.tool_runs import calling, of, result, run_of, running, saying, where
from tests.support.flows import Note, Notes, check_ending, notes, records


def shown(record: Record) -> Any:
    """Return the part of a record that it shares with its original."""
    return type(record.event), str(record.event)


async def test_an_inner_agent_is_seen_in_the_outer_stream(llms: LLMs) -> None:
    """All of its records, in its order, between the tool's call and its result."""
    handlers: list[StreamingHandler] = []

    async def ask() -> str:
        handlers.append(saying("in", "ner", llms=llms).run(user_msg="hi"))
        return str(await forward(handlers[0]))

    read = await run_of(ask, llms=llms)
    inner = await records(handlers[0])
    seen = forwarded(read)
    assert [shown(record) for record in seen] == [shown(record) for record in inner]
    (call,), (ended,) = where(ToolCall, read), where(ToolCallResult, read)
    assert call.seq < seen[0].seq
    assert seen[-1].seq < ended.seq
    assert result(read).tool_output.content == "inner"


async def test_a_forwarded_record_has_its_lineage(llms: LLMs) -> None:
    """The inner run's id, the parent tool call, and what the inner record says of itself."""
    handlers: list[StreamingHandler] = []

    async def ask() -> str:
        handlers.append(saying("inner", llms=llms).run(user_msg="hi"))
        return str(await forward(handlers[0]))

    read = await run_of(ask, llms=llms)
    (call,) = where(ToolCall, read)
    inner = await records(handlers[0])
    run_id = handlers[0].run_id
    expected = [record.origin._replace(run_id=run_id, parent=call.origin) for record in inner]
    assert [record.origin for record in forwarded(read)] == expected


async def test_a_forwarded_stop_event_ends_nothing(llms: LLMs) -> None:
    """U6: it is an event like others, at once; the outer run goes on."""
    read = await run_of(asks(saying("inner", llms=llms)), llms=llms)
    check_ending(read)
    first, last = where(StopEvent, read)
    assert (first.terminal, last.terminal) == (False, True)
    assert first.origin.run_id is not None
    assert last.origin.run_id is None


async def test_nested_runs_have_a_chain_of_parents(llms: LLMs) -> None:
    """An inner run that has forwarded another one: each parent has its own parent."""
    innermost = saying("deep", llms=llms)
    handlers: list[StreamingHandler] = []

    async def deepest() -> str:
        handlers.append(innermost.run(user_msg="hi"))
        return str(await forward(handlers[-1]))

    middle = calling(deepest, name="middle", llms=llms)

    async def ask() -> str:
        handlers.append(middle.run(user_msg="hi"))
        return str(await forward(handlers[-1]))

    read = await run_of(ask, llms=llms)
    of_middle, of_deepest = (handler.run_id for handler in handlers)
    deep = [record for record in read if record.origin.run_id == of_deepest]
    assert deep
    calls = {call.event.tool_name: call for call in where(ToolCall, read)}  # type: ignore[attr-defined]
    for record in deep:
        parent = record.origin.parent
        assert parent is not None
        assert parent.tool_id == calls["deepest"].origin.tool_id
        assert parent.run_id == of_middle
        assert parent.parent == calls["ask"].origin


async def test_a_workflow_of_ones_own_can_be_forwarded() -> None:
    """From a plain step, without any tool: what is before stays before, what is after after."""
    handler = Outer(Notes(count=2)).run()
    read = await records(handler)
    check_ending(read)
    assert notes([record.event for record in read]) == ["before", "0", "1", "after"]
    assert await handler == "done"


class CoreNotes(CoreWorkflow):
    """A workflow of upstream's own."""

    @core_step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """The only step."""
        ctx.write_event_to_stream(Note(msg="core"))
        return StopEvent(result="core's")


async def test_an_upstream_handler_can_be_forwarded() -> None:
    """The handler of upstream's own `run()` can be forwarded."""
    handler = Outer(CoreNotes()).run()
    read = await records(handler)
    assert notes([record.event for record in read]) == ["before", "core", "after"]
    assert await handler == "core's"


async def test_cores_own_agent_can_be_forwarded() -> None:
    """Its text is not the outer one's, and its usage is counted, by its raw chunks."""
    llm = FakeStreamingLLM([Turn(text("core"))], usage="always")
    handler = running(calling(asks(CoreFunctionAgent(llm=llm))))
    read = await records(handler)
    outcome = await handler.outcome()
    assert (
        "".join(e.delta for r in forwarded(read) if isinstance(e := r.event, AgentStream)) == "core"
    )
    assert outcome.text == "all done"
    assert outcome.usage is not None
    assert outcome.usage.calls >= 1


async def test_what_was_forwarded_is_no_part_of_the_answer(llms: LLMs) -> None:
    """Neither of `outcome().text`, nor of the snapshot, nor of `text_stream()` (L7)."""
    handler = running(calling(asks(saying("inner", llms=llms)), llms=llms))
    streamed = "".join([delta async for delta in handler.text_stream()])
    read = await records(handler)
    mine = "".join(e.delta for r in own(read) if isinstance(e := r.event, AgentStream))
    snapshot = handler.stream.snapshot()
    assert (await handler.outcome()).text == streamed == mine == snapshot.text == "all done"
    assert snapshot.current_agent == "Agent"
    assert len(snapshot.tool_calls) == 1


async def test_the_usage_of_what_was_forwarded_is_counted(llms: LLMs) -> None:
    """Its tokens are billed, too: the sum over both runs."""
    handlers: list[StreamingHandler] = []

    async def ask() -> str:
        handlers.append(saying("inner", llms=llms).run(user_msg="hi"))
        return str(await forward(handlers[0]))

    handler = running(calling(ask, llms=llms))
    read = await records(handler)
    inner = (await handlers[0].outcome()).usage
    assert inner is not None
    said = [e.usage for r in read if isinstance(e := r.event, LLMCallFinished) and e.usage]
    assert (await handler.outcome()).usage == sum(said, Usage())
    assert inner in said


async def test_the_finish_reason_is_the_runs_own(llms: LLMs) -> None:
    """That of a forwarded call is not taken."""

    async def ask() -> None:
        cut_off = FunctionAgent(llm=llms([Turn(text("cut"), finish("length"))]))
        await forward(cut_off.run(user_msg="hi"))

    handler = running(calling(ask, llms=llms))
    read = await records(handler)
    reasons = [
        e.finish_reason for r in forwarded(read) if isinstance(e := r.event, LLMCallFinished)
    ]
    assert reasons == ["length"]
    assert handler.stream.snapshot().finish_reason == "stop"


async def test_forwarded_tokens_are_kept_compactly() -> None:
    """They share the deltas of the inner log, and nothing is built for them until it is read."""
    handlers: list[StreamingHandler] = []

    async def ask() -> str:
        handlers.append(saying(*["token "] * 500).run(user_msg="hi"))
        return str(await forward(handlers[0]))[:5]

    handler = running(calling(ask))
    await handler
    tokens = [entry for entry in _entries(handler) if isinstance(entry, Token)]
    of_inner = [token for token in tokens if token.series.origin.run_id is not None]
    inner = [entry for entry in _entries(handlers[0]) if isinstance(entry, Token)]
    assert len(of_inner) == len(inner) >= 500
    shared = {id(token.series.deltas) for token in of_inner}
    assert shared == {id(token.series.deltas) for token in inner}
    assert len({id(token.series) for token in of_inner}) == 1


def _entries(handler: StreamingHandler) -> list[Any]:
    return handler.stream._log.entries  # pyright: ignore[reportPrivateUsage]


async def test_a_forwarded_response_is_that_of_its_own_call(llms: LLMs) -> None:
    """`response` grows by exactly `delta`, in each run for itself (L3)."""
    read = await run_of(asks(saying("a", "b", "c", llms=llms)), llms=llms)
    said = [e.response for r in forwarded(read) if isinstance(e := r.event, AgentStream)]
    assert said[:3] == ["a", "ab", "abc"]


async def test_forwarded_arguments_parse(llms: LLMs) -> None:
    """ToolCallDelta of an inner run: its arguments so far (L5)."""

    async def weather(city: str) -> str:
        return f"sunny in {city}"

    read = await run_of(asks(calling(weather, name="inner", llms=llms, city="Paris")), llms=llms)
    pieces = [e for r in forwarded(read) if isinstance(e := r.event, ToolCallDelta)]
    assert pieces[-1].arguments == {"city": "Paris"}


async def test_progress_of_an_inner_tool_has_both_calls(llms: LLMs) -> None:
    """It belongs to the inner call; the outer call is its parent's."""

    async def inner_tool() -> str:
        emit_progress("half")
        return "ok"

    read = await run_of(asks(calling(inner_tool, name="inner", llms=llms)), llms=llms)
    (progress,) = where(ToolProgress, read)
    inner_call, outer_call = sorted(where(ToolCall, read), key=lambda r: r.origin.run_id is None)
    assert progress.origin.tool_id == inner_call.origin.tool_id
    assert progress.origin.parent == outer_call.origin
    assert of(ToolProgress, read)[0].tool_id == inner_call.origin.tool_id


async def test_parallel_tools_forward_side_by_side(llms: LLMs) -> None:
    """Each inner run is whole and in its own order, and names its own call."""

    async def first() -> str:
        return str(await forward(saying("a", "b", name="same", llms=llms).run(user_msg="hi")))

    async def second() -> str:
        return str(await forward(saying("c", "d", name="same", llms=llms).run(user_msg="hi")))

    read = await run_of(first, second, llms=llms)
    said: dict[Any, str] = {}
    for record in forwarded(read):
        if isinstance(record.event, AgentStream):
            parent = record.origin.parent
            assert parent is not None
            said[parent.tool_id] = said.get(parent.tool_id, "") + record.event.delta
    ids = {call.tool_name: call.tool_id for call in of(ToolCall, own(read))}
    assert said == {ids["first"]: "ab", ids["second"]: "cd"}


async def test_the_laws_hold_for_a_run_with_forwarded_ones(llms: LLMs) -> None:
    """Numbers, one end, responses, tool calls, arguments, rereading, the text."""

    async def weather(city: str) -> str:
        return f"sunny in {city}"

    inner = llms([Turn(text("let me "), tool_call("weather", city="Paris")), Turn(text("ok"))])
    agent = FunctionAgent(name="inner", tools=[weather], llm=inner)
    report = await check_stream(running(calling(asks(agent), llms=llms)))
    assert set(report.held) == {"L1", "L2", "L3", "L4", "L5", "L6", "L7"}


async def test_an_inner_agent_of_the_same_name_is_another_one() -> None:
    """Names are no lineage: the snapshot's agent and the text are the outer run's."""
    handler = running(calling(asks(saying("inner", name="Agent"))))
    await handler
    assert (await handler.outcome()).text == "all done"
    assert len(where(AgentInput, await records(handler))) == 3


async def test_what_is_forwarded_keeps_its_order() -> None:
    """Events may have to wait for others that are under way; tokens behind them wait, too."""

    class Late(Workflow):
        @step
        async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
            """Forwards a run that is over, so that all of it comes at once."""
            inner = saying("a", "b", "c").run(user_msg="hi")
            await inner
            ctx.write_event_to_stream(Note(msg="under way"))
            return StopEvent(result=str(await forward(inner)))

    read = await records(Late().run())
    assert notes([record.event for record in read[:1]]) == ["under way"]
    kinds = [type(record.event).__name__ for record in forwarded(read)]
    assert kinds[:3] == ["AgentInput", "LLMCallStarted", "AgentStream"]
    assert kinds[-3:] == ["LLMCallFinished", "AgentOutput", "StopEvent"]
    said = [e.response for r in read if isinstance(e := r.event, AgentStream)]
    assert said[:3] == ["a", "ab", "abc"]
