"""The tree of the work of a query, drawn from nothing but its events."""

from __future__ import annotations

from typing import Any

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
from llama_index_streaming_ext.stream.record import Record
from tests.support.looks import Looks
from tests.support.query.engines import KINDS
from tests.support.query.matrix import Case, ours
from tests.support.query.query_tools import of

TELLING = (
    *(AnswerDelta, PartialObject, LLMCallDelta, SubAnswer, LLMCallFinished, Incomplete),
    *(NotStreamed, ToolCallDelta, QueryFinished, QueryFailed, QueryStopped),
)
"""The events that tell of work which an earlier one has announced."""

TREE_LOOKS = Looks[Case]()
"""All that is looked at in the tree of each kind of engine."""


def a_call_says_it(case: Case) -> bool:
    """Return True if an LLM call is known to say the answer."""
    # What users' engines make of an LLM's words is not known.
    return KINDS[case.name].streams and not case.name.startswith("own_")


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


@TREE_LOOKS.add
def the_tree_can_be_drawn(case: Case) -> None:
    """Every event tells of work that was announced, as a part of work that is known."""
    read = kept(ours(case).response)
    assert {work for work, parent in drawn(read).items() if parent is None} == {
        read[0].event.call_id
    }


@TREE_LOOKS.add
def all_that_happens_in_a_query_has_its_place(case: Case) -> None:
    """Only of a tool call's arguments the record says to which call they belong."""
    without = {type(event) for event in ours(case).events if not hasattr(event, "call_id")}
    assert without <= {ToolCallDelta}


@TREE_LOOKS.add_where(a_call_says_it)
def an_answer_has_the_place_of_the_call_whose_words_it_is(case: Case) -> None:
    """The `AnswerDelta`s have the `call_id` and the `parent_id` of the call for the answer."""
    read = kept(ours(case).response)
    assert places(AnswerDelta, read) == {answering_call(read)}


@TREE_LOOKS.add_where(lambda case: not a_call_says_it(case))
def an_answer_that_no_call_says_has_the_place_of_the_query(case: Case) -> None:
    """What is made of several calls, of an object, or by a user's code, is the query's own."""
    read = kept(ours(case).response)
    assert places(AnswerDelta, read) == {the_query(read)}


@TREE_LOOKS.add
def the_last_event_has_the_place_of_the_query(case: Case) -> None:
    """`QueryFinished` has the `call_id` of the `QueryStarted` that began it, and no parent."""
    read = kept(ours(case).response)
    assert places(QueryFinished, read) == {the_query(read)}


@TREE_LOOKS.add_where(lambda case: case.name.startswith("output_cls"))
def an_object_has_the_place_of_the_call_that_writes_it(case: Case) -> None:
    """The `PartialObject`s have the `call_id` and the `parent_id` of the call for the answer."""
    read = kept(ours(case).response)
    assert places(PartialObject, read) == {answering_call(read)}
