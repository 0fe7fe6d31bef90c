"""Core's chat engines, one kind of stream: sources, tokens, memory (U60)."""

from __future__ import annotations

import builtins
import copy
import itertools
import pickle
from typing import Any, cast
from unittest.mock import Mock

import pytest
from llama_index.core import PromptHelper
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.chat_engine import CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.chat_engine.types import (
    AgentChatResponse,
    BaseChatEngine,
    StreamingAgentChatResponse,
)

from llama_index_streaming_ext import StreamingChatEngine, StreamingQueryEngine
from llama_index_streaming_ext.events import LLMCallStarted
from llama_index_streaming_ext.events.query import (
    AnswerDelta,
    QueryFinished,
    QueryStarted,
    SourcesRetrieved,
)
from llama_index_streaming_ext.query.chat.response import LiveChatResponse
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    check_stream,
    gate,
    text,
)
from tests.support.query.chat_engines import (
    ANSWER,
    ASKED_BEFORE,
    MULTI_MODAL,
    NAMES,
    QUESTION,
    RETRIEVING,
    TOKENS,
    TURN,
    answering,
    chatting,
    core_engine,
    memory,
    said,
)
from tests.support.query.users_engines import Own, library

ALL = (*NAMES, *MULTI_MODAL)


def gated(*after: Any) -> FakeStreamingLLM:
    """An LLM that says two tokens, and goes on when its gate is opened."""
    return answering(text(*TOKENS[:2]), gate("go"), *(after or (text(*TOKENS[2:]),)))


# Answers


@pytest.mark.parametrize("name", ALL)
def test_answers_stream(name: str) -> None:
    """Every chat engine's answer comes token by token."""
    assert tuple(chatting(name).stream_chat(QUESTION).response_gen) == TOKENS


@pytest.mark.parametrize("name", ALL)
async def test_async_answers_stream(name: str) -> None:
    """Every chat engine's async answer comes token by token."""
    response = await chatting(name).astream_chat(QUESTION)
    assert tuple([token async for token in response.response_gen]) == TOKENS


@pytest.mark.parametrize("name", ALL)
def test_a_token_is_there_before_the_next_is_made(name: str) -> None:
    """The first token is read while the LLM still holds the others back."""
    llm = gated()
    with chatting(name, llm).stream_chat(QUESTION) as response:
        assert next(response.response_gen) == TOKENS[0]
        llm.open("go")
        assert str(response) == ANSWER


@pytest.mark.parametrize("name", RETRIEVING)
def test_sources_come_before_the_first_token(name: str) -> None:
    """The sources are known before the LLM has written anything."""
    llm = answering(gate("go"), text(*TOKENS))
    with chatting(name, llm).stream_chat(QUESTION) as response:
        assert response.source_nodes
        assert response.sources[0].raw_input
        assert response.response == ""
        llm.open("go")


@pytest.mark.parametrize("name", RETRIEVING)
async def test_async_sources_come_before_the_first_token(name: str) -> None:
    """U60: upstream's condense_question has none at all for async callers."""
    llm = answering(gate("go"), text(*TOKENS))
    async with await chatting(name, llm).astream_chat(QUESTION) as response:
        assert response.source_nodes
        assert response.sources
        llm.open("go")


@pytest.mark.parametrize("name", ALL)
def test_sources_are_those_of_core(name: str) -> None:
    """After the end, `sources` and `source_nodes` are what core's `chat()` says."""
    theirs = core_engine(name, answering()).chat(QUESTION)
    response = chatting(name).stream_chat(QUESTION)
    assert str(response) == theirs.response
    assert [node.node_id for node in response.source_nodes] == [
        node.node_id for node in theirs.source_nodes
    ]
    assert [(one.tool_name, one.raw_input, one.content) for one in response.sources] == [
        (one.tool_name, one.raw_input, one.content) for one in theirs.sources
    ]


@pytest.mark.parametrize("name", ALL)
def test_the_llm_is_asked_what_core_asks(name: str) -> None:
    """The messages of every call are those of core's `chat()`."""
    theirs, ours = answering(), answering()
    core_engine(name, theirs).chat(QUESTION, chat_history=list(ASKED_BEFORE))
    chatting(name, ours).chat(QUESTION, chat_history=list(ASKED_BEFORE))
    assert [said(call.messages) for call in ours.calls] == [
        said(call.messages) for call in theirs.calls
    ]


@pytest.mark.parametrize("name", ALL)
async def test_the_log_tells_the_turn(name: str) -> None:
    """The events are the turn's: its sources, its answer's call, its deltas, its end."""
    response = await chatting(name).astream_chat(QUESTION)
    events = [event async for event in response.events()]
    assert isinstance(events[0], QueryStarted)
    assert isinstance(events[-1], QueryFinished)
    assert [one.delta for one in events if isinstance(one, AnswerDelta)] == list(TOKENS)
    assert any(isinstance(one, SourcesRetrieved) for one in events) == (name in RETRIEVING)
    await check_stream(response.stream)


def test_calls_have_a_purpose() -> None:
    """The call that condenses the question and the one that answers are told apart."""
    response = chatting("condense_plus_context").stream_chat(QUESTION, list(ASKED_BEFORE))
    str(response)
    started: Any = list(response.events(types=LLMCallStarted))
    assert [one.purpose for one in started] == ["condense", "answer"]


def test_refine_steps_are_no_part_of_the_answer() -> None:
    """Of several calls of the synthesizer only the last is the answer."""

    class Small(ContextChatEngine):
        def _get_response_synthesizer(self, *args: Any, **kwargs: Any) -> Any:
            made: Any = super()._get_response_synthesizer(*args, **kwargs)
            made._prompt_helper = PromptHelper(chunk_size_limit=100)
            return made

    numbers = itertools.count()
    llm = FakeStreamingLLM(lambda _: Turn(text("Step", f" {next(numbers)}")))
    engine = Small(library.bm25(top_k=2), llm, memory(), prefix_messages=[])
    response = StreamingChatEngine(engine).stream_chat(QUESTION)
    assert list(response.response_gen) == ["Step", f" {len(llm.calls) - 1}"]
    assert len(llm.calls) == 2
    assert said(engine.chat_history) == [("user", QUESTION), ("assistant", str(response))]


# The response


def test_a_response_is_of_both_upstream_types() -> None:
    """It is what query engines give, and what upstream's chat engines give."""
    response = chatting("context").stream_chat(QUESTION)
    assert isinstance(response, StreamingResponse)
    assert isinstance(response, StreamingAgentChatResponse)


async def test_an_async_response_is_of_both_upstream_types() -> None:
    """It is what async query engines give, and what upstream's chat engines give."""
    response = await chatting("context").astream_chat(QUESTION)
    assert isinstance(response, AsyncStreamingResponse)
    assert isinstance(response, StreamingAgentChatResponse)


def test_response_is_the_text_so_far() -> None:
    """`response` never waits, and `is_done` says whether it is all."""
    llm = gated()
    with chatting("context", llm).stream_chat(QUESTION) as response:
        tokens = response.response_gen
        assert [next(tokens), next(tokens)] == ["It", " is"]
        assert (response.response, response.is_done) == ("It is", False)
        llm.open("go")
        assert str(response) == ANSWER
        assert (response.response, response.is_done) == (ANSWER, True)


def test_printing(capsys: pytest.CaptureFixture[str]) -> None:
    """`print_response_stream` prints the tokens, as upstream's."""
    chatting("simple").stream_chat(QUESTION).print_response_stream()
    assert capsys.readouterr().out == ANSWER


async def test_async_printing(capsys: pytest.CaptureFixture[str]) -> None:
    """`aprint_response_stream` prints the tokens, as upstream's."""
    response = await chatting("simple").astream_chat(QUESTION)
    await response.aprint_response_stream()
    assert capsys.readouterr().out == ANSWER


async def test_a_sync_response_is_read_by_a_task() -> None:
    """`async_response_gen` of a response of `stream_chat` works, as upstream's class has it."""
    response = chatting("simple").stream_chat(QUESTION)
    assert tuple([token async for token in response.async_response_gen()]) == TOKENS


async def test_an_assigned_text_is_read_by_a_task() -> None:
    """`async_response_gen` of a response that was made of tokens gives those."""
    response = LiveChatResponse(iter(TOKENS))
    assert tuple([token async for token in response.async_response_gen()]) == TOKENS


def test_a_response_is_pickled_with_its_sources() -> None:
    """A pickled response is the finished value, with `sources`."""
    response = chatting("context").stream_chat(QUESTION)
    read = pickle.loads(pickle.dumps(response))
    assert (read.response, len(read.sources)) == (ANSWER, 1)
    assert read.source_nodes == response.source_nodes


def test_a_response_is_copied() -> None:
    """A copy reads the same answer."""
    response = chatting("context").stream_chat(QUESTION)
    assert list(copy.copy(response).response_gen) == list(response.response_gen)


def test_chat_gives_cores_response() -> None:
    """`chat` gives core's complete response."""
    response = chatting("context").chat(QUESTION)
    assert type(response) is AgentChatResponse
    assert (response.response, len(response.sources)) == (ANSWER, 1)
    assert response.source_nodes


async def test_achat_gives_cores_response() -> None:
    """`achat` gives core's complete response, with the sources that U60 loses."""
    response = await chatting("condense_question").achat(QUESTION)
    assert type(response) is AgentChatResponse
    assert response.response == ANSWER
    assert response.source_nodes


# What it wraps


def test_inside_of_core_ours_is_seen_through() -> None:
    """A condense-question engine over our query engine streams, too."""
    inner: Any = core_engine("condense_question", answering())
    state = cast("dict[str, Any]", vars(inner))
    state["_query_engine"] = StreamingQueryEngine(state["_query_engine"])
    response = StreamingChatEngine(inner).stream_chat(QUESTION)
    assert tuple(response.response_gen) == TOKENS
    assert response.source_nodes


def test_a_query_engine_that_gives_a_text() -> None:
    """A condense-question engine over an engine that cannot stream answers in one delta."""
    llm = answering()
    made: Any = CondenseQuestionChatEngine
    inner = made.from_defaults(Own(llm=llm), llm=llm, memory=memory())
    assert list(StreamingChatEngine(inner).stream_chat(QUESTION).response_gen) == [ANSWER]


def test_an_llm_that_cannot_stream_answers_in_one_delta() -> None:
    """The answer of an LLM without a stream comes whole."""
    llm = FakeStreamingLLM([Turn(text(*TOKENS))], streaming=False)
    assert list(chatting("simple", llm).stream_chat(QUESTION).response_gen) == [ANSWER]


@pytest.mark.parametrize("name", NAMES)
def test_strict_says_that_an_llm_cannot_stream(name: str) -> None:
    """With `strict=True` it is a NotImplementedError, and nothing is remembered."""
    llm = FakeStreamingLLM([Turn(text(*TOKENS))] * 2, streaming=False, strict=False)
    engine = chatting(name, llm, strict=True)
    with pytest.raises(NotImplementedError):
        engine.stream_chat(QUESTION)
    assert engine.chat_history == []


def test_the_users_engine_is_untouched() -> None:
    """A turn changes only its own copy of the engine."""
    inner = core_engine("condense_question", answering())
    held = cast("dict[str, Any]", vars(inner))
    before = dict(held)
    StreamingChatEngine(inner).chat(QUESTION)
    assert held.keys() == before.keys()
    assert all(held[name] is part for name, part in before.items())


def test_ours_is_a_chat_engine_with_the_engines_own_names() -> None:
    """It is a BaseChatEngine, and has what the engine has."""
    inner = core_engine("context", answering())
    engine = StreamingChatEngine(inner)
    assert isinstance(engine, BaseChatEngine)
    assert engine.callback_manager is inner.callback_manager
    assert StreamingChatEngine(engine).engine is inner


def test_what_is_no_chat_engine_is_refused() -> None:
    """The error says what is to be passed."""
    index: Any = core_engine("condense_question", answering())._query_engine
    with pytest.raises(TypeError, match="takes a chat engine, not RetrieverQueryEngine"):
        StreamingChatEngine(index)


@pytest.mark.parametrize("options", [{"show": "all"}, {"max_lead": 0}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    """An option that has no such value is an error."""
    with pytest.raises(ValueError, match=r"show|max_lead"):
        chatting("simple", **options)


def test_repl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Core's own `streaming_chat_repl` and `chat_repl` work with it."""
    for repl in ("streaming_chat_repl", "chat_repl"):
        monkeypatch.setattr(builtins, "input", Mock(side_effect=[QUESTION, "exit"]))
        getattr(chatting("simple"), repl)()
        assert f"Assistant: {ANSWER}" in capsys.readouterr().out


def test_over_the_wire(fake_openai: Any) -> None:
    """A full turn with the real OpenAI class."""
    fake: FakeOpenAI = fake_openai([Turn(text(*TOKENS))])
    engine = chatting("context", fake.llm())
    response = engine.stream_chat(QUESTION)
    assert tuple(response.response_gen) == TOKENS
    assert said(engine.chat_history) == TURN


async def test_over_the_wire_async(fake_openai: Any) -> None:
    """A full async turn with the real OpenAI class."""
    fake: FakeOpenAI = fake_openai([Turn(text(*TOKENS))])
    engine = chatting("simple", fake.llm())
    response = await engine.astream_chat(QUESTION)
    assert tuple([token async for token in response.response_gen]) == TOKENS
    assert said(engine.chat_history) == TURN
