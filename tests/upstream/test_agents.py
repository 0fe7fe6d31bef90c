"""What an agent streams, in which order."""

import asyncio
import json
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import (
    AgentInput,
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
from llama_index.core.tools.tool_spec.base import BaseToolSpec
from llama_index_instrumentation.dispatcher import active_instrument_tags
from workflows import Context
from workflows.errors import WorkflowRuntimeError
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StopEvent

from tests.support.upstream.flows import names, read, soon
from tests.support.upstream.llms import Call, ScriptLLM, SyncLLM, Turn, calls, chat, says

CALLED = ["AgentInput", "AgentStream", "AgentOutput"]
ANSWERED = ["AgentInput", "AgentStream", "AgentOutput", "StopEvent"]


async def look_up() -> str:
    """Look it up."""
    return "found"


def look_up_in_a_thread() -> str:
    """Look it up, without asyncio."""
    return "found"


async def test_u20_the_sequence_of_a_plain_answer() -> None:
    """U20: a plain answer is AgentInput, AgentStream*, AgentOutput, StopEvent."""
    handler = chat(FunctionAgent(llm=ScriptLLM(says("he", "llo"))))
    assert names(await read(handler.stream_events())) == ANSWERED


async def test_u20_the_sequence_of_a_tool_call() -> None:
    """U20: a tool call comes after the AgentOutput that asks for it, its result before the next."""
    agent = FunctionAgent(llm=ScriptLLM(calls("look_up"), says("it")), tools=[look_up])
    events = await read(chat(agent).stream_events())
    assert names(events) == [*CALLED, "ToolCall", "ToolCallResult", *ANSWERED]


async def test_u20_the_setup_is_never_streamed() -> None:
    """U20: AgentSetup is not in the stream, not even among the internal events."""
    handler = chat(FunctionAgent(llm=ScriptLLM(says("hello"))))
    assert "AgentSetup" not in names(await read(handler.stream_events(expose_internal=True)))


async def test_u20_the_last_output_rides_in_the_stop_event() -> None:
    """U20: the last AgentOutput is streamed once, and is the very result of the StopEvent."""
    handler = chat(FunctionAgent(llm=ScriptLLM(says("hello"))))
    output, stop = (await read(handler.stream_events()))[-2:]
    assert isinstance(output, AgentOutput)
    assert isinstance(stop, StopEvent)
    assert stop.result is output


async def test_u20_parallel_results_come_in_the_order_of_completion() -> None:
    """U20: parallel calls are streamed together, and their results as they complete."""
    quick_is_done = asyncio.Event()

    async def slow() -> str:
        await quick_is_done.wait()
        return "slow"

    async def quick() -> str:
        quick_is_done.set()
        return "quick"

    agent = FunctionAgent(llm=ScriptLLM(calls("slow", "quick"), says("it")), tools=[slow, quick])
    events = await read(chat(agent).stream_events())
    assert [
        (type(event).__name__, event.tool_name)
        for event in events
        if isinstance(event, ToolCall | ToolCallResult)
    ] == [
        ("ToolCall", "slow"),
        ("ToolCall", "quick"),
        ("ToolCallResult", "quick"),
        ("ToolCallResult", "slow"),
    ]


async def test_u20_calls_that_do_not_wait_come_one_by_one() -> None:
    """U20: tools that return without awaiting give call, result, call, result."""
    agent = FunctionAgent(llm=ScriptLLM(calls("look_up", "look_up"), says("it")), tools=[look_up])
    events = await read(chat(agent).stream_events())
    assert names(events)[len(CALLED) :][:4] == ["ToolCall", "ToolCallResult"] * 2


async def test_u20_at_most_four_tools_run_at_once() -> None:
    """U20: of six parallel calls four run at once."""
    running, most = 0, 0

    async def busy() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(50):
            await asyncio.sleep(0)
        running -= 1
        return "done"

    agent = FunctionAgent(llm=ScriptLLM(calls(*["busy"] * 6), says("it")), tools=[busy])
    await soon(chat(agent))
    assert most == 4


async def test_u21_response_is_cumulative() -> None:
    """U21: `AgentStream.response` is the whole text so far, `delta` what is new."""
    handler = chat(FunctionAgent(llm=ScriptLLM(says("a", "b", "c"))))
    streams = [e for e in await read(handler.stream_events()) if isinstance(e, AgentStream)]
    assert [(e.delta, e.response) for e in streams] == [("a", "a"), ("b", "ab"), ("c", "abc")]


async def test_u26_return_direct_ends_without_another_answer() -> None:
    """U26: after a `return_direct` result comes the StopEvent, with no AgentOutput before it."""
    tool = FunctionTool.from_defaults(async_fn=look_up, return_direct=True)
    handler = chat(FunctionAgent(llm=ScriptLLM(calls("look_up")), tools=[tool]))
    events = await read(handler.stream_events())
    assert names(events) == [*CALLED, "ToolCall", "ToolCallResult", "StopEvent"]
    assert str(await soon(handler)) == "found"


async def test_u26_a_hand_off_is_an_ordinary_tool_call() -> None:
    """U26: a hand-off is a ToolCall named `handoff`, and no event of its own."""
    hand_off = Call("handoff", "call-1", {"to_agent": "second", "reason": "because"})
    first = FunctionAgent(name="first", description="1", llm=ScriptLLM(Turn(calls=(hand_off,))))
    second = FunctionAgent(name="second", description="2", llm=ScriptLLM(says("it")))
    team = AgentWorkflow(agents=[first, second], root_agent="first")
    events = await read(chat(team).stream_events())
    assert names(events) == [*CALLED, "ToolCall", "ToolCallResult", *ANSWERED]
    assert [e.tool_name for e in events if isinstance(e, ToolCall)] == ["handoff"]
    speakers = [e.current_agent_name for e in events if isinstance(e, AgentInput)]
    assert speakers == ["first", "second"]


async def test_u31_one_token_warns_dozens_of_times() -> None:
    """U31: a run of one token emits pydantic deprecation warnings of four kinds."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await soon(chat(FunctionAgent(llm=ScriptLLM(says("hello")))))
    texts = [str(w.message) for w in caught if w.category.__name__.startswith("PydanticDeprecated")]
    assert len(texts) >= 4
    for name in ("__fields__", "__fields_set__", "model_fields", "model_computed_fields"):
        assert any(name in text.split(" attribute")[0] for text in texts)


def test_u32_from_tools_does_not_exist() -> None:
    """U32: `AgentWorkflow.from_tools` does not exist, `from_tools_or_functions` does."""
    assert not hasattr(AgentWorkflow, "from_tools")
    assert hasattr(AgentWorkflow, "from_tools_or_functions")


def test_u32_a_tool_spec_is_no_tool() -> None:
    """U32: a ToolSpec instance among the tools fails with an AttributeError about `__name__`."""

    class Spec(BaseToolSpec):
        spec_functions = ["look"]  # noqa: RUF012 -- as the documents write it

        def look(self) -> str:
            return "found"

    tools: list[Any] = [Spec()]  # not a tool: that is the point
    with pytest.raises(AttributeError, match="'Spec' object has no attribute '__name__'"):
        FunctionAgent(llm=ScriptLLM(), tools=tools)


async def test_u33_an_llm_that_does_not_stream_ends_the_run() -> None:
    """U33: NotImplementedError from `astream_chat` fails the run; there is no fallback."""
    llm = ScriptLLM(Turn(error=NotImplementedError("no streaming")), says("hello"))
    handler = chat(FunctionAgent(llm=llm))
    events = await read(handler.stream_events())
    assert names(events) == ["AgentInput", "WorkflowFailedEvent"]
    with pytest.raises(NotImplementedError, match="no streaming"):
        await soon(handler)


async def test_u33_a_sync_llm_delivers_all_tokens_at_the_end() -> None:
    """U33: a CustomLLM blocks the loop: its first token is read after its last was pulled."""
    llm = SyncLLM(*("token " for _ in range(20)))
    pulled: list[int] = []
    async for _ in await llm.astream_chat([ChatMessage(content="hi")]):
        pulled.append(llm.pulled)
    assert pulled == list(range(1, 21))

    turned = 0

    async def count_turns() -> None:
        nonlocal turned
        while True:
            await asyncio.sleep(0)
            turned += 1

    counting = asyncio.create_task(count_turns())
    await asyncio.sleep(0)
    before = turned
    async for _ in await llm.astream_chat([ChatMessage(content="hi")]):
        pass
    assert turned == before
    counting.cancel()


async def test_u34_human_input_calls_the_tool_twice() -> None:
    """U34: a tool that waits for a human runs twice, and its ToolCall is streamed twice."""
    bodies = 0

    async def ask(ctx: Context) -> str:
        nonlocal bodies
        bodies += 1
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent())
        return str(answer.get("text"))

    agent = FunctionAgent(llm=ScriptLLM(calls("ask"), says("thanks")), tools=[ask])
    handler = chat(agent)
    seen: list[Event] = []
    async with asyncio.timeout(120):
        async for event in handler.stream_events():
            seen.append(event)
            if isinstance(event, InputRequiredEvent):
                handler.ctx.send_event(HumanResponseEvent(text="yes"))  # pyright: ignore[reportCallIssue] -- events take any field
    assert bodies == 2
    assert [e.tool_id for e in seen if isinstance(e, ToolCall)] == ["call-1", "call-1"]
    assert [e.tool_id for e in seen if isinstance(e, ToolCallResult)] == ["call-1"]


async def test_u35_one_iteration_streams_the_answer_and_fails() -> None:
    """U35: `max_iterations=1` with a plain answer streams all of it and then fails."""
    handler = chat(FunctionAgent(llm=ScriptLLM(says("he", "llo"))), max_iterations=1)
    events = await read(handler.stream_events())
    assert names(events) == [*CALLED, "WorkflowFailedEvent"]
    with pytest.raises(WorkflowRuntimeError, match="Max iterations of 1 reached"):
        await soon(handler)


async def test_u36_the_input_event_has_the_system_prompt() -> None:
    """U36: a serialised AgentInput is the whole prompt, system prompt included."""
    agent = FunctionAgent(llm=ScriptLLM(says("hello")), system_prompt="the secret")
    first = (await read(chat(agent).stream_events()))[0]
    assert isinstance(first, AgentInput)
    assert "the secret" in first.model_dump_json()


async def test_u36_a_raw_output_may_not_serialise() -> None:
    """U36: an unserialisable `raw_output` makes `ToolCallResult.model_dump_json` raise."""

    class Opaque:
        pass

    async def fetch() -> Opaque:
        return Opaque()

    agent = FunctionAgent(llm=ScriptLLM(calls("fetch"), says("it")), tools=[fetch])
    events = await read(chat(agent).stream_events())
    (result,) = [event for event in events if isinstance(event, ToolCallResult)]
    with pytest.raises(Exception, match="Unable to serialize unknown type") as raised:
        result.model_dump_json()
    assert type(raised.value).__name__ == "PydanticSerializationError"


async def test_u38_a_team_takes_steps_of_its_agents_and_never_runs_them() -> None:
    """U38: AgentWorkflow calls `take_step` of its agents, not `run`."""
    called: list[str] = []

    class Watched(FunctionAgent):
        def run(self, *args: Any, **kwargs: Any) -> Any:
            called.append("run")
            return super().run(*args, **kwargs)  # pyright: ignore[reportDeprecated] -- and the other

        async def take_step(
            self,
            ctx: AgentContext,
            llm_input: list[ChatMessage],
            tools: Sequence[AsyncBaseTool],
            memory: BaseMemory,
        ) -> AgentOutput:
            called.append("take_step")
            return await super().take_step(ctx, llm_input, tools, memory)

    await soon(chat(AgentWorkflow(agents=[Watched(llm=ScriptLLM(says("hello")))])))
    assert called == ["take_step"]


def test_u38_a_team_from_tools_is_made_of_cores_agents() -> None:
    """U38: `from_tools_or_functions`, inherited, builds core's own FunctionAgent."""

    class Team(AgentWorkflow):
        pass

    team = Team.from_tools_or_functions(  # pyright: ignore[reportUnknownMemberType] -- core says `dict`
        [look_up], llm=ScriptLLM()
    )
    assert type(team) is Team
    assert [type(agent) for agent in team.agents.values()] == [FunctionAgent]


@pytest.mark.parametrize("team", [False, True])
async def test_u19_the_run_id_is_a_tag_in_every_tool(team: bool) -> None:
    """U19: `active_instrument_tags` has the handler's run id in async and in sync tools."""
    seen: list[object] = []

    async def tell() -> None:
        seen.append(active_instrument_tags.get()["llamaindex.run_id"])

    def tell_in_a_thread() -> None:
        seen.append(active_instrument_tags.get()["llamaindex.run_id"])

    llm = ScriptLLM(calls("tell", "tell_in_a_thread"), says("it"))
    agent = FunctionAgent(llm=llm, tools=[tell, tell_in_a_thread])
    handler = chat(AgentWorkflow(agents=[agent])) if team else chat(agent)
    await soon(handler)
    assert seen == [handler.run_id, handler.run_id]


def test_u36_the_raw_chunk_is_left_out() -> None:
    """U36: `AgentStream.raw` and `AgentOutput.raw` are excluded from serialisation."""
    event = AgentStream(delta="a", response="a", current_agent_name="Agent", raw={"big": 1})
    assert "raw" not in json.loads(event.model_dump_json())
