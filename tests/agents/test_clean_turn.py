"""A message on a used context begins a turn of its own, whatever the turn before ended with."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

import asyncio
from typing import Any

import pytest
from llama_index.core.memory import ChatMemoryBuffer

from llama_index_streaming_ext import (
    AgentWorkflow,
    Context,
    FunctionAgent,
    HumanResponseEvent,
    InputRequiredEvent,
    ReActAgent,
    StreamingHandler,
    ToolCall,
    WorkflowTimeoutError,
)
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    VirtualClock,
    check_history,
    fail,
    gate,
    text,
    tool_call,
    wait,
)


class Tools:
    """A tool that never ends, and how often it was run."""

    def __init__(self) -> None:
        self.runs = 0

    async def book(self, flight: str) -> str:
        """Book a flight."""
        self.runs += 1
        await asyncio.sleep(3600)
        return "booked"


async def ask(ctx: Context) -> str:
    """Ask the user."""
    answer = await ctx.wait_for_event(
        HumanResponseEvent,
        waiter_event=InputRequiredEvent(prefix="Sure?"),  # pyright: ignore[reportCallIssue] # any field
    )
    return str(answer.response)


async def note(ctx: Context, what: str) -> str:
    """Note something."""
    async with ctx.store.edit_state() as state:
        state["seen"] = what
    return "ok"


def said(llm: FakeStreamingLLM, call: int = -1) -> list[tuple[str, str | None]]:
    """Return roles and texts of the messages of a call."""
    return [(m.role.value, m.content) for m in llm.calls[call].messages]


async def stop_at(handler: StreamingHandler, kind: type[Any]) -> None:
    """Stop a run at its first event of a class."""
    async for event in handler.stream_events():
        if isinstance(event, kind):
            break
    await handler.cancel_run()


async def test_a_stopped_answer_is_followed_by_a_new_question() -> None:
    """The words so far are in the history, and only the new message is answered."""
    llm = FakeStreamingLLM([Turn(text("Once"), gate("never")), Turn(text("Two."))])
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    async with agent.run(user_msg="A story", ctx=ctx) as handler:
        async for _ in handler.text_stream():
            break
    assert str(await agent.run(user_msg="1 + 1?", ctx=ctx)) == "Two."
    assert said(llm) == [("user", "A story"), ("assistant", "Once"), ("user", "1 + 1?")]


@pytest.mark.parametrize("many", [False, True], ids=["agent", "workflow"])
async def test_a_tool_that_was_stopped_is_not_run_again(many: bool) -> None:
    """Its call has a result in the history, and the tool ran once."""
    tools = Tools()
    llm = FakeStreamingLLM([Turn(tool_call("book", flight="LH1")), Turn(text("Fine."))])
    agent: Any = FunctionAgent(llm=llm, tools=[tools.book])
    if many:
        agent = AgentWorkflow(agents=[agent])
    ctx = Context(agent)
    await stop_at(agent.run(user_msg="Book", ctx=ctx), ToolCall)
    assert str(await agent.run(user_msg="Never mind", ctx=ctx)) == "Fine."
    assert tools.runs == 1
    check_history(llm.calls[-1])


async def test_a_failed_call_leaves_no_orphan() -> None:
    """After a failure in a tool loop the next request is valid."""
    llm = FakeStreamingLLM(
        [
            Turn(tool_call("weather", city="Rome")),
            Turn(text("It"), fail(RuntimeError("out"))),
            Turn(text("Hello.")),
        ]
    )

    def weather(city: str) -> str:
        """Say the weather."""
        return "sunny"

    agent = FunctionAgent(llm=llm, tools=[weather])
    ctx = Context(agent)
    assert (await agent.run(user_msg="Rome?", ctx=ctx).outcome()).status == "failed"
    assert str(await agent.run(user_msg="Hello?", ctx=ctx)) == "Hello."
    check_history(llm.calls[-1])
    assert ("assistant", "It") in said(llm)


async def test_the_end_of_iterations_leaves_no_orphan() -> None:
    """Tools that were never run have a result that says so."""
    llm = FakeStreamingLLM([Turn(tool_call("book", flight="LH1")), Turn(text("Hello."))])
    agent = FunctionAgent(llm=llm, tools=[Tools().book])
    ctx = Context(agent)
    await agent.run(user_msg="Book", ctx=ctx, max_iterations=1).outcome()
    await agent.run(user_msg="Hello?", ctx=ctx)
    check_history(llm.calls[-1])


async def test_each_turn_has_its_own_time() -> None:
    """Turns that were completed take nothing of the timeout of later ones."""
    with VirtualClock():
        llm = FakeStreamingLLM([Turn(wait(20.0), text("ok"))] * 4)
        agent = FunctionAgent(llm=llm, timeout=60.0)
        ctx = Context(agent)
        for _ in range(4):
            assert str(await agent.run(user_msg="Hi", ctx=ctx)) == "ok"


async def test_a_timeout_does_not_end_the_context() -> None:
    """After a timeout the next message is answered."""
    with VirtualClock():
        llm = FakeStreamingLLM([Turn(text("a"), wait(900.0), text("b")), Turn(text("ok"))])
        agent = FunctionAgent(llm=llm, timeout=60.0)
        ctx = Context(agent)
        with pytest.raises(WorkflowTimeoutError):
            await agent.run(user_msg="Hi", ctx=ctx)
        assert str(await agent.run(user_msg="Again", ctx=ctx)) == "ok"
        assert said(llm) == [("user", "Hi"), ("assistant", "a"), ("user", "Again")]


async def test_the_state_of_a_context_stays() -> None:
    """Only what belongs to one turn goes."""
    llm = FakeStreamingLLM([Turn(text("a"), gate("never")), Turn(text("b"))])
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    await ctx.store.set("plan", "gold")
    async with agent.run(user_msg="Hi", ctx=ctx) as handler:
        async for _ in handler.text_stream():
            break
    await agent.run(user_msg="Again", ctx=ctx)
    assert await ctx.store.get("plan") == "gold"


async def test_a_restored_context_begins_anew_with_a_message() -> None:
    """A run that was put away is not gone on with where something new is said."""
    llm = FakeStreamingLLM([Turn(text("a"), gate("never")), Turn(text("b"))])
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    async with agent.run(user_msg="Hi", ctx=ctx) as handler:
        async for _ in handler.text_stream():
            break
    restored = Context.from_dict(agent, ctx.to_dict())
    assert str(await agent.run(user_msg="Again", ctx=restored)) == "b"
    assert len(llm.calls) == 2


async def test_a_restored_context_goes_on_without_a_message() -> None:
    """A run that waits for a person is put away and goes on, as the documents show it."""
    llm = FakeStreamingLLM([Turn(tool_call("ask")), Turn(text("Done."))])
    agent = FunctionAgent(llm=llm, tools=[ask])
    handler = agent.run(user_msg="Go")
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    kept = handler.ctx.to_dict()
    await handler.cancel_run()
    handler = agent.run(ctx=Context.from_dict(agent, kept))
    handler.ctx.send_event(HumanResponseEvent(response="yes"))  # pyright: ignore[reportCallIssue] # any field
    assert str(await handler) == "Done."


async def test_a_react_agent_begins_anew() -> None:
    """The reasoning of a stopped turn is in the history, not in the new turn."""
    llm = FakeStreamingLLM(
        [
            Turn(text("Thought: I know.\nAnswer: It", " is"), gate("never"), text("x")),
            Turn(text("Thought: I know.\nAnswer: Two.")),
        ]
    )
    agent = ReActAgent(llm=llm)
    ctx = Context(agent)
    async with agent.run(user_msg="How is it?", ctx=ctx) as handler:
        async for delta in handler.text_stream():
            if "is" in delta:
                break
    assert str(await agent.run(user_msg="1 + 1?", ctx=ctx)) == "Two."
    assert ("assistant", "It is") in said(llm)


async def test_a_memory_on_a_used_context_counts() -> None:
    """The memory that is passed is used, not the one that the context had (U30)."""
    llm = FakeStreamingLLM([Turn(text("a"))] * 2)
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    await agent.run(user_msg="one", ctx=ctx)
    memory = ChatMemoryBuffer(token_limit=3000)
    await agent.run(user_msg="two", ctx=ctx, memory=memory)
    assert said(llm) == [("user", "two")]
    assert len(memory.get_all()) == 2


async def test_edit_state_in_a_tool_leaves_the_memory_where_it_is() -> None:
    """The user's memory gets the whole turn, although the store was copied (U93)."""
    llm = FakeStreamingLLM([Turn(tool_call("note", what="x")), Turn(text("done"))])
    memory = ChatMemoryBuffer(token_limit=3000)
    handler = FunctionAgent(llm=llm, tools=[note]).run(user_msg="Hi", memory=memory)
    await handler
    assert [m.role.value for m in memory.get_all()] == ["user", "assistant", "tool", "assistant"]
    assert await handler.ctx.store.get("seen") == "x"


async def test_a_hand_off_under_a_token_limit_sends_a_whole_turn() -> None:
    """The next agent's request begins with the user's message, whatever the limit (U94)."""
    llm = FakeStreamingLLM(
        [Turn(tool_call("handoff", to_agent="b", reason="because " * 20)), Turn(text("I am b"))]
    )
    agents: list[Any] = [
        FunctionAgent(name=name, description=name, llm=llm, can_handoff_to=["b"]) for name in "ab"
    ]
    memory = ChatMemoryBuffer(token_limit=30)
    workflow = AgentWorkflow(agents=agents, root_agent="a")
    assert str(await workflow.run(user_msg="please " * 20, memory=memory)) == "I am b"
    check_history(llm.calls[-1])
