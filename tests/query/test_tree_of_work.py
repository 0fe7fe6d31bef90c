"""The tree of the work of queries that end, are read, or are asked in other ways."""

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
    PartialObject,
    QueryFailed,
    QueryFinished,
    QueryStarted,
    QueryStopped,
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
from tests.support.query.query_tools import FACES, engine, of, running, tool_of
from tests.support.query.trees import answering_call, drawn, kept, places, the_query
from tests.support.query.users_engines import OwnGenerator

FACES_OF_CHAT = [
    pytest.param(name, is_async, id=f"{name}-{'async' if is_async else 'sync'}")
    for name in (*NAMES, *MULTI_MODAL)
    for is_async in (False, True)
]


def saying(*tokens: str) -> FakeStreamingLLM:
    """An LLM that says something, once."""
    return FakeStreamingLLM([Turn(text(*tokens))])


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
