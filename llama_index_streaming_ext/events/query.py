"""Events of query and chat engines: retrieval, sub-questions, inner LLM calls, the answer.

Each has a `call_id`, the work that it belongs to, and a `parent_id`, the work that this is a part
of, so that the tree of all the work can be drawn. The root is the query itself: its `QueryStarted`
and its last event have the same `call_id`, and no parent.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.schema import NodeWithScore
from pydantic import Field

from llama_index_streaming_ext.events.upstream import Event, StopEvent
from llama_index_streaming_ext.events.usage import Usage


class QueryEvent(Event):
    """Base of the events of a query."""

    call_id: str
    """The id of the work that this event belongs to."""
    parent_id: str | None = None
    """The work that it is a part of, None for the query itself."""


class QueryStarted(QueryEvent):
    """A query is asked: the query itself, or one that a part of the engine asks another engine."""

    query: str
    """The question."""
    engine: str = ""
    """The class of the engine that is asked."""


class RetrievalStarted(QueryEvent):
    """A retriever is asked."""

    query: str
    """The text that is searched for."""


class SourcesRetrieved(QueryEvent):
    """A retriever has answered. It has the `call_id` of its `RetrievalStarted`."""

    nodes: list[NodeWithScore]
    """The nodes that were found, with their scores."""


class SubQuestion(QueryEvent):
    """A question was split, and this is one of its parts."""

    index: int
    """Its place among the parts, from 0."""
    question: str
    """The part."""
    tool_name: str = ""
    """The engine that is going to be asked."""


class SubAnswer(QueryEvent):
    """A part of a question is answered. It has the `call_id` of its `SubQuestion`."""

    index: int
    """Its place among the parts, from 0."""
    question: str
    """The part."""
    answer: str | None = None
    """The answer of the engine; None if it failed."""
    error: str | None = None
    """Why there is no answer, None where there is one."""


class StepQuery(QueryEvent):
    """An engine that goes on step by step asks its next question."""

    index: int
    """The step, from 0."""
    question: str
    """The question of this step."""


class EngineSelected(QueryEvent):
    """A router has chosen."""

    names: list[str]
    """The engines that are going to be asked."""
    reasons: list[str] = Field(default_factory=list[str])
    """Why, in the words of the selector."""


class LLMCallDelta(QueryEvent):
    """A piece of what an inner LLM call says. It has the `call_id` of its `LLMCallStarted`."""

    purpose: str
    """The purpose of the call: `synthesize`, `select`, `sub_questions`, `evaluate`, ..."""
    delta: str
    """The text that it adds."""


class AnswerDelta(QueryEvent):
    """A piece of the answer.

    It has the `call_id` of the LLM call whose words the answer is. What an engine makes of several
    calls, or without any, as a user's own engine may, has that of the query.
    """

    delta: str
    """The text that it adds."""


class PartialObject(QueryEvent):
    """The structured answer (`output_cls`) so far.

    It has the `call_id` of the LLM call that writes it; where none is seen, that of the query.
    """

    output: dict[str, Any]
    """The fields that there are; strings and lists may still grow."""


class QueryFinished(QueryEvent, StopEvent):
    """The query is answered: the last event of a query that did not fail."""

    text: str
    """The whole answer."""
    sources: list[NodeWithScore] = Field(default_factory=list[NodeWithScore])
    """The nodes that the answer is drawn from."""
    usage: Usage | None = None
    """The tokens that the providers counted, None where they said nothing."""


class QueryFailed(QueryEvent, StopEvent):
    """The query failed: the last event of one that did."""

    error: str
    """The message of the error."""
    kind: str
    """The class of what was raised."""


class QueryStopped(QueryEvent, StopEvent):
    """The query was stopped: the last event of one that was."""
