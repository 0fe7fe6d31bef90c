"""What is left of a conversation when a Context or a memory is used again."""

import asyncio
import time
from typing import Any

import pydantic
import pytest
from llama_index.core.agent.workflow import AgentInput, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, Memory
from workflows import Context
from workflows.context.serializers import JsonSerializer
from workflows.errors import WorkflowTimeoutError
from workflows.events import WorkflowFailedEvent

from tests.support.upstream.flows import Note, read, soon
from tests.support.upstream.llms import ScriptLLM, Turn, calls, chat, says

PYDANTIC = tuple(int(part) for part in pydantic.VERSION.split(".")[:2])
before_2_14 = pytest.mark.skipif(PYDANTIC >= (2, 14), reason="U30: pydantic below 2.14")
from_2_14 = pytest.mark.skipif(PYDANTIC < (2, 14), reason="U30: pydantic from 2.14")
# U30: from pydantic 2.14 the default memory is dropped from every saved Context, with a warning.
forgetful = pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key")


async def look_up() -> str:
    """Look it up."""
    return "found"


def asked(prompt: list[ChatMessage]) -> list[tuple[str, str | None]]:
    """The roles and texts of a prompt."""
    return [(message.role.value, message.content) for message in prompt]


async def cancel_while_it_answers(agent: FunctionAgent, ctx: Context[Any]) -> None:
    """Start a turn, and cancel it once its LLM has been called."""
    handler = chat(agent, "first", ctx=ctx)
    async for event in handler.stream_events():
        if isinstance(event, AgentInput):
            break
    await handler.cancel_run()


@before_2_14
async def test_u29_a_context_used_after_a_cancel_runs_the_cancelled_turn() -> None:
    """U29: after `cancel_run` the same ctx runs the cancelled turn again, and races the new one."""
    llm = ScriptLLM(Turn(gate=asyncio.Event()), says("to the first"), says("to the second"))
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    await cancel_while_it_answers(agent, ctx)
    await soon(chat(agent, "second", ctx=ctx))
    # The memory is read in a thread: whether the new turn is asked as well is a matter of luck.
    assert [asked(prompt) for prompt in llm.prompts[:2]] == [[("user", "first")]] * 2


@from_2_14
@forgetful
async def test_u29_a_context_used_after_a_cancel_fails() -> None:
    """U29: after `cancel_run` the same ctx fails: the cancelled step looks for its lost memory."""
    llm = ScriptLLM(Turn(gate=asyncio.Event()), says("hello"))
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    await cancel_while_it_answers(agent, ctx)
    with pytest.raises(ValueError, match="'memory' not found"):
        await soon(chat(agent, "second", ctx=ctx))


@forgetful
async def test_u29_a_context_is_dead_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """U29: after a timeout every further run on the ctx times out before it calls the LLM."""
    llm = ScriptLLM(Turn(gate=asyncio.Event()), says("hello"))
    agent = FunctionAgent(llm=llm, timeout=3600)
    ctx = Context(agent)
    handler = chat(agent, ctx=ctx)
    async for event in handler.stream_events():
        if isinstance(event, AgentInput):
            break
    later = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: later)  # U14
    handler.ctx.send_event(Note(n=0))
    with pytest.raises(WorkflowTimeoutError):
        await soon(handler)
    for _ in range(2):
        with pytest.raises(WorkflowTimeoutError):
            await soon(chat(agent, ctx=ctx))
    assert len(llm.prompts) == 1


@forgetful
async def test_u29_a_failure_in_a_tool_loop_leaves_an_orphan_tool_message() -> None:
    """U29: after an LLM failure in a tool loop the next prompt ends in the old tool message."""
    llm = ScriptLLM(calls("look_up"), Turn(error=ValueError("boom")), says("hello"))
    agent = FunctionAgent(llm=llm, tools=[look_up])
    ctx = Context(agent)
    with pytest.raises(ValueError, match="boom"):
        await soon(chat(agent, "first", ctx=ctx))
    await soon(chat(agent, "second", ctx=ctx))
    assert asked(llm.prompts[-1])[-3:] == [("user", "second"), ("assistant", ""), ("tool", "found")]


async def test_u29_a_fresh_context_and_a_memory_survive_a_failure() -> None:
    """U29: a fresh Context per turn with `memory=` leaves no orphan in the next prompt."""
    llm = ScriptLLM(calls("look_up"), Turn(error=ValueError("boom")), says("hello"))
    agent = FunctionAgent(llm=llm, tools=[look_up])
    memory = ChatMemoryBuffer(token_limit=1000)
    events = await read(chat(agent, "first", memory=memory).stream_events())
    assert isinstance(events[-1], WorkflowFailedEvent)
    await soon(chat(agent, "second", memory=memory))
    assert asked(llm.prompts[-1]) == [("user", "first"), ("user", "second")]


async def test_u29_a_fresh_context_and_a_memory_survive_a_cancel() -> None:
    """U29: a fresh Context per turn with `memory=` does not run a cancelled turn again."""
    llm = ScriptLLM(Turn(gate=asyncio.Event()), says("hello"))
    agent = FunctionAgent(llm=llm)
    memory = ChatMemoryBuffer(token_limit=1000)
    handler = chat(agent, "first", memory=memory)
    async for event in handler.stream_events():
        if isinstance(event, AgentInput):
            break
    await handler.cancel_run()
    await soon(chat(agent, "second", memory=memory))
    assert asked(llm.prompts[-1]) == [("user", "first"), ("user", "second")]


@before_2_14
async def test_u30_a_context_remembers() -> None:
    """U30: below pydantic 2.14 a second `run(ctx=ctx)` knows the whole conversation."""
    llm = ScriptLLM(says("one"), says("two"))
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    await soon(chat(agent, "first", ctx=ctx))
    await soon(chat(agent, "second", ctx=ctx))
    assert asked(llm.prompts[-1]) == [("user", "first"), ("assistant", "one"), ("user", "second")]


@from_2_14
async def test_u30_a_context_forgets() -> None:
    """U30: from pydantic 2.14 a second `run(ctx=ctx)` forgets everything, with a warning."""
    llm = ScriptLLM(says("one"), says("two"))
    agent = FunctionAgent(llm=llm)
    ctx = Context(agent)
    await soon(chat(agent, "first", ctx=ctx))
    with pytest.warns(Warning, match="Skipping serialization of known unserializable key: memory"):
        handler = chat(agent, "second", ctx=ctx)
    await soon(handler)
    assert asked(llm.prompts[-1]) == [("user", "second")]


async def test_u30_a_memory_passed_to_every_run_remembers() -> None:
    """U30: `memory=` on every run knows the whole conversation, whatever the pydantic."""
    llm = ScriptLLM(says("one"), says("two"))
    agent = FunctionAgent(llm=llm)
    memory = ChatMemoryBuffer(token_limit=1000)
    await soon(chat(agent, "first", memory=memory))
    await soon(chat(agent, "second", memory=memory))
    assert asked(llm.prompts[-1]) == [("user", "first"), ("assistant", "one"), ("user", "second")]


def buffer_with_a_message() -> ChatMemoryBuffer:
    """Core's default memory, with one message in it."""
    buffer = ChatMemoryBuffer(token_limit=1000)
    buffer.put(ChatMessage(content="hi"))
    return buffer


@before_2_14
def test_u30_a_buffer_with_a_message_serialises() -> None:
    """U30: below pydantic 2.14 a `ChatMemoryBuffer` comes back with its messages."""
    saved = JsonSerializer().serialize(buffer_with_a_message())
    assert JsonSerializer().deserialize(saved).get_all() == [ChatMessage(content="hi")]


@from_2_14
def test_u30_a_buffer_with_a_message_does_not_serialise() -> None:
    """U30: from pydantic 2.14 a `ChatMemoryBuffer` with a message cannot be serialised."""
    with pytest.raises(ValueError, match="Failed to serialize value"):
        JsonSerializer().serialize(buffer_with_a_message())


def test_u30_an_empty_buffer_serialises() -> None:
    """U30: an empty `ChatMemoryBuffer` can be serialised, whatever the pydantic."""
    assert JsonSerializer().serialize(ChatMemoryBuffer(token_limit=1000))


def test_u30_memory_never_serialises() -> None:
    """U30: core's `Memory` cannot be serialised, whatever the pydantic."""
    with pytest.raises(ValueError, match="Failed to serialize value"):
        JsonSerializer().serialize(
            Memory.from_defaults()  # pyright: ignore[reportUnknownMemberType] -- core says `List`
        )
