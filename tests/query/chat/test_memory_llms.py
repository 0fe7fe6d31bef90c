"""LLMs in a chat's memory: their calls are those of the turn that they are made in."""

from __future__ import annotations

import asyncio
import copy
from typing import Any, cast

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import (
    ChatMemoryBuffer,
    ChatSummaryMemoryBuffer,
    Memory,
    SimpleComposableMemory,
)
from llama_index.core.memory.memory import BaseMemoryBlock

from llama_index_streaming_ext import StreamingChatEngine
from llama_index_streaming_ext.errors import ConnectionLost
from llama_index_streaming_ext.events import LLMCallDelta, LLMCallFinished
from llama_index_streaming_ext.query.chat.memory_view import with_llms_seen
from llama_index_streaming_ext.query.llms.context_llm import bind_to_context
from llama_index_streaming_ext.testing import FakeStreamingLLM, fail, text, wait
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
    with pytest.raises(ConnectionLost):
        turn(memory, is_async=is_async)
    assert (memory.get_all(), memory.get_token_count()) == (LONG_AGO, 0)


@BOTH
@pytest.mark.parametrize("show", ["answer", "calls"])
def test_a_turn_that_is_stopped_is_remembered_with_its_facts(show: Any, is_async: bool) -> None:
    """What the memory forgets when it is written is not lost: that call goes on to its end."""
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


# The stand-in


class Private(ChatSummaryMemoryBuffer):
    """A user's memory, with methods of its own."""

    def put(self, message: ChatMessage) -> None:
        """Count, and put."""
        self._token_count += 1
        super().put(message)

    def again(self) -> Private:
        """Another one of its class."""
        return type(self)(token_limit=5)


def _standing_in() -> tuple[Private, Private]:
    memory = Private(token_limit=6, llm=saying(), tokenizer_fn=str.split)
    return memory, with_llms_seen(memory, bind_to_context)


def test_a_memory_without_llms_is_itself() -> None:
    """Nothing stands for it."""
    memory = ChatMemoryBuffer(token_limit=3000, tokenizer_fn=str.split)
    assert with_llms_seen(memory, bind_to_context) is memory


def test_what_is_set_on_the_stand_in_is_set_on_the_memory() -> None:
    """Fields and private attributes, also by methods that call those of their base."""
    memory, view = _standing_in()
    view.token_limit = 7
    view.put(ChatMessage("why"))
    assert (memory.token_limit, memory.get_token_count(), len(memory.get_all())) == (7, 1, 1)


def test_what_is_set_on_the_memory_shows_on_the_stand_in() -> None:
    """They share their state."""
    memory, view = _standing_in()
    memory.token_limit = 7
    memory.put(ChatMessage("why"))
    assert (view.token_limit, view.get_token_count(), view == memory) == (7, 1, True)


def test_the_llm_stays_when_it_is_set_to_what_was_read() -> None:
    """The memory keeps its own."""
    memory, view = _standing_in()
    llm = memory.llm
    view.llm = view.llm
    assert memory.llm is llm


def test_the_stand_in_makes_plain_memories() -> None:
    """By its class, and when it is copied."""
    _, view = _standing_in()
    made = [type(one) for one in (view.again(), copy.copy(view), copy.deepcopy(view))]
    assert made == [Private] * 3


def test_the_stand_in_is_of_the_class() -> None:
    """For isinstance, and blocks too."""
    memory = facts(saying())
    view: Any = with_llms_seen(memory, bind_to_context)
    blocks: list[Any] = view.memory_blocks
    assert issubclass(type(view), Memory)
    assert [isinstance(block, BaseMemoryBlock) for block in blocks] == [True]


def test_the_last_call_is_over_before_the_turn() -> None:
    """Every call that begins has its end in the log."""
    seen = turn(facts(extracting()))
    assert len(seen.of(LLMCallFinished)) == len(seen.calls)
