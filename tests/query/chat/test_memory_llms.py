"""LLMs in a chat's memory: their calls are those of the turn that they are made in."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import (
    ChatMemoryBuffer,
    SimpleComposableMemory,
)

from llama_index_streaming_ext import StreamingChatEngine
from llama_index_streaming_ext.events import LLMCallDelta, LLMCallFinished
from llama_index_streaming_ext.testing import FakeStreamingLLM, fail, gate, text, wait
from tests.support.query.asking import BOTH
from tests.support.query.chat_engines import ANSWER, TOKENS, answering
from tests.support.query.listed_store import extracting_facts
from tests.support.query.lookers import Seen, saying
from tests.support.query.openai_on_loops import LONG
from tests.support.query.summaries import LONG_AGO, summaries


def facts(llm: Any) -> Any:
    """A memory that extracts facts of what it forgets."""
    return extracting_facts(llm, LONG_AGO, limit=12)


def extracting() -> FakeStreamingLLM:
    """An LLM that finds a fact."""
    return saying(text("<facts><fact>It", " is", " so.</fact></facts>"))


def turn(memory: Any, *, is_async: bool = False, llm: Any = None, **options: Any) -> Seen:
    """One turn of a chat."""
    core: Any = SimpleChatEngine(llm or answering(), memory, prefix_messages=[])
    chat = StreamingChatEngine(core, **options)
    if is_async:
        return asyncio.run(_aturn(chat))
    response = chat.stream_chat("why")
    return Seen("".join(response.read()), list(response.events()))


async def _aturn(chat: StreamingChatEngine) -> Seen:
    response = await chat.astream_chat("why")
    said = "".join([delta async for delta in response.read()])
    return Seen(said, [event async for event in response.events()])


@BOTH
def test_a_summary_is_seen(is_async: bool) -> None:
    """It is a call for the memory, before that for the answer."""
    seen = turn(summaries(saying()), is_async=is_async)
    assert seen.calls == [("memory", "stop"), ("answer", "stop")]


@BOTH
def test_facts_that_are_extracted_are_seen(is_async: bool) -> None:
    """They are a call for the memory, after that for the answer; the memory has the facts."""
    memory = facts(extracting())
    seen = turn(memory, is_async=is_async)
    block = memory.memory_blocks[0]
    assert (seen.calls[0], set(seen.calls[1:])) == (("answer", "stop"), {("memory", "stop")})
    assert (seen.text, block.facts) == (ANSWER, ["It is so."])


@BOTH
@pytest.mark.parametrize("make", [summaries, facts])
def test_what_is_said_for_the_memory_is_shown(make: Any, is_async: bool) -> None:
    """With show="calls", and it is no part of the answer."""
    seen = turn(make(extracting()), is_async=is_async, show="calls")
    shown = "".join(e.delta for e in seen.of(LLMCallDelta) if e.purpose == "memory")
    assert (seen.text, shown[:12]) == ("".join(TOKENS), "<facts><fact")


@BOTH
def test_the_memory_has_what_it_has_without_us(is_async: bool) -> None:
    """The messages of a memory that sums up, and the LLM in it."""
    llm = saying()
    memory, alone = summaries(llm), summaries(saying())
    turn(memory, is_async=is_async)
    cast("Any", SimpleChatEngine(answering(), alone, prefix_messages=[])).chat("why")
    assert [m.content for m in memory.get_all()] == [m.content for m in alone.get_all()]
    assert memory.llm is llm


def test_a_memory_within_a_memory_is_seen() -> None:
    """However deep the LLM is."""
    memory = SimpleComposableMemory(
        primary_memory=ChatMemoryBuffer(token_limit=3000, tokenizer_fn=str.split),
        secondary_memory_sources=[summaries(saying())],
    )
    assert ("memory", "stop") in turn(memory).calls


def test_tokens_are_counted_once() -> None:
    """Core's counter has what it has without us."""
    totals: list[int] = []
    for ours in (False, True):
        counter = TokenCountingHandler(tokenizer=str.split)
        memory = summaries(saying())
        cast("Any", memory.llm).callback_manager = CallbackManager([counter])
        if ours:
            turn(memory, show="calls")
        else:
            cast("Any", SimpleChatEngine(answering(), memory, prefix_messages=[])).chat("why")
        totals.append(counter.total_llm_token_count)
    assert totals[0] == totals[1] > 0


# Failures and stops


@BOTH
def test_a_summary_that_fails_loses_nothing(is_async: bool) -> None:
    """The turn fails, and the memory has all that it had."""
    memory = summaries(saying(fail(ConnectionError("gone"))))
    with pytest.raises(ConnectionError, match="gone"):
        turn(memory, is_async=is_async)
    assert (memory.get_all(), memory.get_token_count()) == (LONG_AGO, 0)


def _wait_for_a_call(llm: FakeStreamingLLM) -> None:
    while not llm.calls:
        threading.Event().wait(0.001)


@BOTH
async def test_a_stop_lets_a_summary_come_to_its_end(is_async: bool) -> None:
    """Core asks for it in a thread: what it sums up is forgotten after that, and not before."""
    llm = saying(text("It"), gate("go"), text(" is."))
    memory = summaries(llm)
    core: Any = SimpleChatEngine(answering(), memory, prefix_messages=[])
    run = StreamingChatEngine(core).start("why", is_async=is_async)
    await asyncio.to_thread(_wait_for_a_call, llm)
    run.stop()
    llm.open("go")
    await run.stopped()
    assert [message.content for message in memory.get_all()] == ["It is."]


@BOTH
@pytest.mark.parametrize("show", ["answer", "calls"])
def test_a_turn_that_is_stopped_is_remembered_with_its_facts(show: Any, is_async: bool) -> None:
    """A stop does not interrupt the summary call of a memory that is being written."""
    llm = answering(text(*TOKENS[:2]), wait(60), text("!"))
    memory = facts(extracting())
    core: Any = SimpleChatEngine(llm, memory, prefix_messages=[])
    chat = StreamingChatEngine(core, show=show)
    if is_async:
        asyncio.run(_stopped(chat))
    else:
        response = chat.stream_chat("why")
        next(response.read())
        response.close()
        cast("Any", response)._held.run.stopped_sync(LONG)
    assert memory.memory_blocks[0].facts == ["It is so."]
    remembered = asyncio.run(memory.aget_all())
    assert [message.role for message in remembered][-2:] == ["user", "assistant"]


async def _stopped(chat: StreamingChatEngine) -> None:
    response = await chat.astream_chat("why")
    await anext(response.read())
    await response.aclose()


def test_the_last_call_is_over_before_the_turn() -> None:
    """Every call that begins has its end in the log."""
    seen = turn(facts(extracting()))
    assert len(seen.of(LLMCallFinished)) == len(seen.calls)
