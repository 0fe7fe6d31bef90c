"""The tree of the work of a query, drawn from nothing but its events."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.query_engine import CustomQueryEngine
from pydantic import BaseModel

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.events import (
    AnswerDelta,
    Incomplete,
    LLMCallDelta,
    LLMCallFinished,
    LLMCallStarted,
    NotStreamed,
    PartialObject,
    QueryEvent,
    QueryFailed,
    QueryFinished,
    QueryStarted,
    QueryStopped,
    SubAnswer,
    ToolCallDelta,
)
from llama_index_streaming_ext.query.chat.engine import StreamingChatEngine
from llama_index_streaming_ext.query.engine import StreamingQueryEngine, stream_query
from llama_index_streaming_ext.query.execution.query_run import QueryRun
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, fail, gate, text
from tests.support.flows import records
from tests.support.query.chat_engines import (
    MULTI_MODAL,
    NAMES,
    QUESTION,
    answering,
    chatting,
    memory,
)
from tests.support.query.engines import KINDS
from tests.support.query.matrix import CASES, Case, ours
from tests.support.query.query_tools import FACES, engine, of, running, tool_of
from tests.support.query.users_engines import OwnGenerator

TELLING = (
    *(AnswerDelta, PartialObject, LLMCallDelta, SubAnswer, LLMCallFinished, Incomplete),
    *(NotStreamed, ToolCallDelta, QueryFinished, QueryFailed, QueryStopped),
)
"""The events that tell of work which an earlier one has announced."""

FACES_OF_CHAT = [
    pytest.param(name, is_async, id=f"{name}-{'async' if is_async else 'sync'}")
    for name in (*NAMES, *MULTI_MODAL)
    for is_async in (False, True)
]

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def cases(*, said_by_call: bool) -> list[Case]:
    """The cases in which an LLM call is known to say the answer, or the others."""
    return [
        case
        for case in CASES
        # What users' engines make of an LLM's words is not known.
        if said_by_call == (KINDS[case.name].streams and not case.name.startswith("own_"))
    ]


def drawn(read: list[Record]) -> dict[str | None, str | None]:
    """What each piece of work is a part of, as the records tell it one after another."""
    parents: dict[str | None, str | None] = {}
    for record in read:
        event: Any = record.event
        call_id: str | None = getattr(event, "call_id", record.origin.call_id)
        if call_id not in parents:
            assert not isinstance(event, TELLING), f"{event!r} tells of work nobody knows of"
            assert event.parent_id in parents or not parents, f"{event!r} has no place"
            parents[call_id] = event.parent_id
        else:
            parent_id = getattr(event, "parent_id", parents[call_id])
            assert parent_id == parents[call_id], f"{event!r} has another place than before"
    return parents


def kept(response: Any) -> list[Record]:
    """All that was written of a query that has ended."""
    return list(response.stream.read_sync())


def saying(*tokens: str) -> FakeStreamingLLM:
    """An LLM that says something, once."""
    return FakeStreamingLLM([Turn(text(*tokens))])


def places(kind: type[QueryEvent], read: list[Record]) -> set[tuple[str, str | None]]:
    """Where in the tree the events of a class are."""
    return {(event.call_id, event.parent_id) for event in of(kind, read)}


def answering_call(read: list[Record]) -> tuple[str, str | None]:
    """Where in the tree the call is that is asked for the answer."""
    (call,) = [call for call in of(LLMCallStarted, read) if call.purpose == "answer"]
    return call.call_id, call.parent_id


def the_query(read: list[Record]) -> tuple[str, str | None]:
    """Where in the tree the query is."""
    return of(QueryStarted, read)[0].call_id, None


# Every engine


@every_case
def test_the_tree_can_be_drawn(case: Case) -> None:
    """Every event tells of work that was announced, as a part of work that is known."""
    read = kept(ours(case).response)
    assert {work for work, parent in drawn(read).items() if parent is None} == {
        read[0].event.call_id
    }


@every_case
def test_all_that_happens_in_a_query_has_its_place(case: Case) -> None:
    """Only of a tool call's arguments the record says to which call they belong."""
    without = {type(event) for event in ours(case).events if not hasattr(event, "call_id")}
    assert without <= {ToolCallDelta}


@pytest.mark.parametrize("case", cases(said_by_call=True), ids=str)
def test_an_answer_has_the_place_of_the_call_whose_words_it_is(case: Case) -> None:
    """The `AnswerDelta`s have the `call_id` and the `parent_id` of the call for the answer."""
    read = kept(ours(case).response)
    assert places(AnswerDelta, read) == {answering_call(read)}


@pytest.mark.parametrize("case", cases(said_by_call=False), ids=str)
def test_an_answer_that_no_call_says_has_the_place_of_the_query(case: Case) -> None:
    """What is made of several calls, of an object, or by a user's code, is the query's own."""
    read = kept(ours(case).response)
    assert places(AnswerDelta, read) == {the_query(read)}


@every_case
def test_the_last_event_has_the_place_of_the_query(case: Case) -> None:
    """`QueryFinished` has the `call_id` of the `QueryStarted` that began it, and no parent."""
    read = kept(ours(case).response)
    assert places(QueryFinished, read) == {the_query(read)}


# Readers


def test_a_delta_that_is_read_is_one_that_its_class_makes() -> None:
    """It is put together without pydantic, in pydantic's own layout."""
    (read,) = of(AnswerDelta, kept(StreamingQueryEngine(engine(saying("It"))).query("How high?")))
    made = AnswerDelta(call_id=read.call_id, parent_id=read.parent_id, delta="It")
    for slot in BaseModel.__slots__:
        assert getattr(read, slot) == getattr(made, slot)


async def test_a_live_reader_and_a_late_one_see_the_same_places() -> None:
    """A delta that is read while it is the newest has the place that it has for ever."""
    llm = FakeStreamingLLM([Turn(text("It"), gate("rest"), text(" is."))])
    response: Any = stream_query(engine(llm), "How high?")
    live: list[AnswerDelta] = []
    async for event in response.events(types=AnswerDelta):
        live.append(event)
        llm.open("rest")
    late = [event async for event in response.events(types=AnswerDelta)]
    assert [(one.delta, one.call_id, one.parent_id) for one in live] == [
        (one.delta, one.call_id, one.parent_id) for one in late
    ]


# Structured answers


class Height(BaseModel):
    """A structured answer."""

    metres: int = 0


class Knowing(FakeStreamingLLM):
    """An LLM that gives objects without a call that anybody could see."""

    def structured_predict(self, output_cls: Any, *_: Any, **__: Any) -> Any:
        """Give the object."""
        return output_cls.model_validate({"metres": 38})


@pytest.mark.parametrize("case", [c for c in CASES if c.name.startswith("output_cls")], ids=str)
def test_an_object_has_the_place_of_the_call_that_writes_it(case: Case) -> None:
    """The `PartialObject`s have the `call_id` and the `parent_id` of the call for the answer."""
    read = kept(ours(case).response)
    assert places(PartialObject, read) == {answering_call(read)}


def test_an_object_of_an_unseen_call_has_the_place_of_the_query() -> None:
    """Where an LLM's class asks in a way of its own, no call is announced to belong to."""
    llm = Knowing()
    response = StreamingQueryEngine(engine(llm, output_cls=Height)).query("How high?")
    read = kept(response)
    assert (response.object, places(PartialObject, read)) == (
        Height(metres=38),
        {the_query(read)},
    )


# Other ends


def test_a_query_that_failed_ends_in_its_own_place() -> None:
    """`QueryFailed` has the `call_id` of the `QueryStarted`, and no parent."""
    llm = FakeStreamingLLM([Turn(text("It"), fail(ConnectionError("gone")))])
    response = StreamingQueryEngine(engine(llm)).query("How high?")
    response.outcome()
    read = kept(response)
    assert (places(QueryFailed, read), len(drawn(read))) == ({the_query(read)}, 3)


def test_a_query_that_was_stopped_ends_in_its_own_place() -> None:
    """`QueryStopped` has the `call_id` of the `QueryStarted`, and no parent."""
    llm = FakeStreamingLLM([Turn(text("It"), gate("never"))])
    with StreamingQueryEngine(engine(llm)).query("How high?") as response:
        next(iter(response.read()))
    with pytest.raises(StreamStopped):
        str(response)
    read = kept(response)
    assert (places(QueryStopped, read), len(drawn(read))) == ({the_query(read)}, 3)


def test_a_query_that_was_lost_ends_in_its_own_place() -> None:
    """`QueryFailed` says the `call_id` also where the event loop was closed meanwhile."""

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    async def ask() -> QueryRun:
        run = QueryRun("?", "Engine")
        run.start_in_task(never)
        async with aclosing(run.stream.read()) as records:
            await anext(records)
        return run

    loop = asyncio.new_event_loop()
    run = loop.run_until_complete(ask())
    loop.close()
    read = kept(run)
    assert places(QueryFailed, read) == {the_query(read)}


# Chat engines, and agents


def chatted(chat: StreamingChatEngine, is_async: bool) -> list[Record]:
    """All that was written of a turn."""

    async def ask() -> list[Record]:
        response = await chat.astream_chat(QUESTION)
        await response.outcome()
        return kept(response)

    if is_async:
        return asyncio.run(ask())
    response = chat.stream_chat(QUESTION)
    response.outcome()
    return kept(response)


@pytest.mark.parametrize(("name", "is_async"), FACES_OF_CHAT)
def test_the_tree_of_a_turn_can_be_drawn(name: str, is_async: bool) -> None:
    """A turn's log is as that of any query, and its answer has the place of the call for it."""
    read = chatted(chatting(name, show="calls"), is_async)
    assert drawn(read)
    assert places(AnswerDelta, read) == {answering_call(read)}
    assert places(QueryFinished, read) == {the_query(read)}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_turn_over_a_users_engine_has_an_answer_of_its_own(is_async: bool) -> None:
    """Of what a user's engine gives it is not known which call says it."""
    llm = answering()
    own: CustomQueryEngine = OwnGenerator(llm=llm, callback_manager=CallbackManager([]))
    made: Any = CondenseQuestionChatEngine
    chat = StreamingChatEngine(made.from_defaults(own, llm=llm, memory=memory()))
    read = chatted(chat, is_async)
    assert (places(AnswerDelta, read), bool(drawn(read))) == ({the_query(read)}, True)


@pytest.mark.parametrize("use_async", FACES)
async def test_the_tree_of_a_query_within_an_agent_can_be_drawn(use_async: bool) -> None:
    """What an agent's log has of a query is a tree, whose root is that query."""
    read = await records(running(tool_of(use_async=use_async)))
    (started,) = of(QueryStarted, read)
    inner = [record for record in read if record.origin.run_id == started.call_id]
    assert drawn(inner)[started.call_id] is None
