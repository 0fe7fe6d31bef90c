"""The memory of a chat engine keeps each turn whole, also of many at a time (U60)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import Memory

from llama_index_streaming_ext import StreamingChatEngine
from llama_index_streaming_ext.errors import LengthLimit
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, finish, gate, text
from tests.support.query.chat_engines import (
    ANSWER,
    ASKED_BEFORE,
    MULTI_MODAL,
    NAMES,
    QUESTION,
    TOKENS,
    TURN,
    answering,
    chatting,
    core_engine,
    memory,
    said,
)

ALL = (*NAMES, *MULTI_MODAL)


def gated(*after: Any) -> FakeStreamingLLM:
    """An LLM that says two tokens, and goes on when its gate is opened."""
    return answering(text(*TOKENS[:2]), gate("go"), *(after or (text(*TOKENS[2:]),)))


# The memory


@pytest.mark.parametrize("name", ALL)
def test_a_turn_is_remembered_once(name: str) -> None:
    """The memory gets the question and the answer, once, before readers see the end."""
    engine = chatting(name)
    list(engine.stream_chat(QUESTION).response_gen)
    assert said(engine.chat_history) == TURN


@pytest.mark.parametrize("name", ALL)
async def test_an_async_turn_is_remembered_once(name: str) -> None:
    """The memory gets the question and the answer, once, before readers see the end."""
    engine = chatting(name)
    async for _ in (await engine.astream_chat(QUESTION)).response_gen:
        pass
    assert said(engine.chat_history) == TURN


def test_nothing_is_remembered_before_the_end() -> None:
    """While an answer comes the memory is as it was."""
    llm = gated()
    engine = chatting("simple", llm)
    with engine.stream_chat(QUESTION) as response:
        next(response.response_gen)
        assert engine.chat_history == []
        llm.open("go")
        str(response)


@pytest.mark.parametrize("name", NAMES)
def test_turns_follow_each_other(name: str) -> None:
    """The second turn is told what was said in the first."""
    llm = answering()
    engine = chatting(name, llm)
    for _ in range(2):
        engine.chat(QUESTION)
    assert said(engine.chat_history) == TURN * 2
    assert any(ANSWER in (one.content or "") for call in llm.calls for one in call.messages)


def test_a_given_history_takes_the_place_of_the_memory() -> None:
    """`chat_history` is what the memory has then, and the turn."""
    engine = chatting("simple")
    engine.chat("Something else.")
    engine.chat(QUESTION, chat_history=list(ASKED_BEFORE))
    assert said(engine.chat_history) == [*said(ASKED_BEFORE), *TURN]


def test_the_default_memory_of_core() -> None:
    """Core's `Memory`, which is async inside, works for sync and for async turns."""
    make: Any = Memory
    remembered: Any = make.from_defaults(token_limit=3000)
    engine = StreamingChatEngine(core_engine("simple", answering(), remembered))
    engine.chat(QUESTION)
    asyncio.run(engine.achat(QUESTION))
    assert said(engine.chat_history) == TURN * 2
    # Core never closes its connection to the database, and complains of it.
    asyncio.run(remembered.sql_store._async_engine.dispose())


def test_the_message_counts_against_the_limit() -> None:
    """A memory leaves room for the message, which it does not have yet."""
    llm = answering()
    remembered = memory()
    remembered.token_limit = 8
    remembered.set(list(ASKED_BEFORE))
    StreamingChatEngine(core_engine("simple", llm, remembered)).chat("one two three four five six")
    assert len(llm.calls[0].messages) == 2


def test_reset_forgets() -> None:
    """`reset` empties the memory, and a turn at work is not remembered."""
    llm = gated()
    engine = chatting("simple", llm)
    with engine.stream_chat(QUESTION) as response:
        engine.reset()
        llm.open("go")
        assert str(response) == ANSWER
    assert engine.chat_history == []


# Many turns


@pytest.mark.parametrize("name", NAMES)
def test_turns_in_threads_do_not_disturb_each_other(name: str) -> None:
    """U60: upstream's condense_question raises in 22 to 36 of 160 such turns."""
    engine = chatting(name, FakeStreamingLLM(_echo))

    def ask(number: int) -> str:
        return str(engine.stream_chat(f"question {number}"))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(40)))
    assert all(answers)
    history = said(engine.chat_history)
    assert [role for role, _ in history] == ["user", "assistant"] * 40
    assert sorted(q for _, q in history[::2]) == sorted(f"question {n}" for n in range(40))
    pairs = {q: a for (_, q), (_, a) in zip(history[::2], history[1::2], strict=True)}
    assert [pairs[f"question {number}"] for number in range(40)] == answers


@pytest.mark.parametrize("name", NAMES)
async def test_turns_in_tasks_do_not_disturb_each_other(name: str) -> None:
    """Question and answer of a turn stay together, whatever ends first."""
    engine = chatting(name, FakeStreamingLLM(_echo))
    answers = await asyncio.gather(*(engine.achat(f"question {n}") for n in range(20)))
    history = said(engine.chat_history)
    pairs = {q: a for (_, q), (_, a) in zip(history[::2], history[1::2], strict=True)}
    assert [pairs[f"question {number}"] for number in range(20)] == [str(one) for one in answers]


def test_turns_with_histories_of_their_own() -> None:
    """Turns at the same time that are each given a history do not read each other's."""
    llm = FakeStreamingLLM(_echo)
    engine = chatting("simple", llm)

    def ask(number: int) -> None:
        engine.chat(f"question {number}", chat_history=[ChatMessage(f"before {number}")])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(20)))
    for call in llm.calls:
        before, asked = (one.content or "" for one in call.messages)
        assert before.split()[-1] == asked.split()[-1]


def test_engines_over_one_memory_share_its_order() -> None:
    """Two engines that have one memory remember one turn after the other."""
    remembered = memory()

    def ask(number: int) -> None:
        inner = core_engine("simple", FakeStreamingLLM(_echo), remembered)
        StreamingChatEngine(inner).chat(f"question {number}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(4)))
    assert [role for role, _ in said(remembered.get_all())] == ["user", "assistant"] * 4


def _echo(request: Any) -> Turn:
    return Turn(text(*(f"{word} " for word in request.last.split()[-3:])))


def test_an_answer_cut_off_is_remembered_as_such() -> None:
    """The memory keeps the incomplete answer with the reason; readers get the error."""
    engine = chatting("simple", answering(text(*TOKENS[:2]), finish("length")))
    with pytest.raises(LengthLimit):
        engine.chat(QUESTION)
    assert said(engine.chat_history) == [("user", QUESTION), ("assistant", "It is")]
    assert engine.chat_history[-1].additional_kwargs["incomplete"] == "length"
