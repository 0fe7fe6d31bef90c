"""Any engine in, one kind of response out: every kind of engine, asked in every way."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse

from llama_index_streaming_ext.events import (
    Event,
    LLMCallDelta,
    LLMCallFinished,
    LLMCallStarted,
    QueryEvent,
    QueryFinished,
    QueryStarted,
)
from tests.support.query.engines import KINDS, WAYS
from tests.support.query.matrix import CASES, Case, ours, upstream

BY_ENGINE = {
    f"{name}-streaming" if streaming else name: [c for c in CASES if c[:2] == (name, streaming)]
    for name, streaming in WAYS
}
"""The cases by their engine: each is asked once, and a test but looks at what came of it."""

every_case = pytest.mark.parametrize("cases", BY_ENGINE.values(), ids=BY_ENGINE)
every_shown_case = pytest.mark.parametrize(
    "cases",
    [[case for case in cases if case.show == "calls"] for cases in BY_ENGINE.values()],
    ids=BY_ENGINE,
)


def of(case: Case, kind: type[Event]) -> list[Any]:
    """The events of a class, in the log of a case."""
    return [event for event in ours(case).events if isinstance(event, kind)]


def answers(call: LLMCallStarted) -> bool:
    """Whether it is the call that writes the answer."""
    return call.purpose == "answer"


# The response


@every_case
def test_the_response_is_of_the_type_of_the_face_that_was_asked(cases: list[Case]) -> None:
    """`query` gives a StreamingResponse and `aquery` an AsyncStreamingResponse, of any engine."""
    for case in cases:
        expected = AsyncStreamingResponse if case.is_async else StreamingResponse
        assert isinstance(ours(case).response, expected), case


@every_case
def test_the_text_is_that_of_upstream(cases: list[Case]) -> None:
    """The answer is the one that the engine gives when it is asked itself."""
    for case in cases:
        assert ours(case).text == upstream(case).text, case


@every_case
def test_the_response_says_what_was_read(cases: list[Case]) -> None:
    """After the end, `str()` of the response is the text that its readers have read."""
    for case in cases:
        assert str(ours(case).response) == ours(case).text, case


@every_case
def test_there_is_something_to_read(cases: list[Case]) -> None:
    """A response has a delta at least, and what has no text does not say 'None'."""
    for case in cases:
        assert ours(case).deltas not in ([], ["None"]), case


@pytest.mark.parametrize("case", [c for c in CASES if KINDS[c.name].streams], ids=str)
def test_an_answer_that_a_call_writes_comes_in_tokens(case: Case) -> None:
    """Where the last step is a call of the LLM, the answer is as many deltas as it has tokens."""
    assert len(ours(case).deltas) > 1


@every_case
def test_the_sources_are_those_of_upstream(cases: list[Case]) -> None:
    """The response has the sources that the engine gives, in its order."""
    for case in cases:
        assert ours(case).sources == upstream(case).sources, case


@every_case
def test_the_log_ends_with_the_answer_and_its_sources(cases: list[Case]) -> None:
    """The last event is QueryFinished, with the text and the sources."""
    for case in cases:
        last = ours(case).events[-1]
        assert isinstance(last, QueryFinished), case
        found = [source.node.get_content() for source in last.sources]
        assert (last.text, found) == (ours(case).text, ours(case).sources), case


# What it costs


@every_case
def test_the_llm_is_called_as_often_as_by_upstream(cases: list[Case]) -> None:
    """Streaming costs no call more, and saves none."""
    for case in cases:
        assert ours(case).calls == upstream(case).calls, case


@every_case
def test_the_llm_is_asked_what_upstream_asks(cases: list[Case]) -> None:
    """The calls are the same ones: the fake's answers depend on the prompts."""
    for case in cases:
        assert Counter(ours(case).said) == Counter(upstream(case).said), case


@every_case
def test_the_token_counter_counts_what_it_counts_upstream(cases: list[Case]) -> None:
    """Core's TokenCountingHandler has the same totals of prompts and of answers."""
    for case in cases:
        assert ours(case).counted == upstream(case).counted, case


@every_case
def test_the_engine_is_untouched(cases: list[Case]) -> None:
    """The user's engine consists of the very same parts as before."""
    for case in cases:
        before, after = ours(case).before, ours(case).after
        changed = [
            path for path in before.keys() | after.keys() if before.get(path) is not after.get(path)
        ]
        assert changed == [], case


# What is seen


@every_case
def test_every_call_is_seen(cases: list[Case]) -> None:
    """Every LLM call has its LLMCallStarted and its LLMCallFinished."""
    for case in cases:
        started = [event.call_id for event in of(case, LLMCallStarted)]
        finished = [event.call_id for event in of(case, LLMCallFinished)]
        assert (len(started), sorted(finished)) == (ours(case).calls, sorted(started)), case


@every_shown_case
def test_every_inner_call_is_shown(cases: list[Case]) -> None:
    """With show="calls", LLMCallDeltas bring what every call but the answer's says, and no more."""
    for case in cases:
        shown: defaultdict[str, str] = defaultdict(str)
        for event in of(case, LLMCallDelta):
            shown[event.call_id] += event.delta
        inner = Counter(
            shown[call.call_id] for call in of(case, LLMCallStarted) if not answers(call)
        )
        said = Counter(ours(case).said)
        # A call of a tool has no text, but may be the answer, where that is an object.
        assert (inner - said, set(said - inner) - {ours(case).text, ""}) == (Counter(), set()), case


@every_case
def test_the_work_is_a_tree(cases: list[Case]) -> None:
    """Every event of the log that is a part of some work comes after that work was announced."""
    for case in cases:
        known: set[str] = set()
        for event in ours(case).events:
            parent = getattr(event, "parent_id", None)
            assert parent is None or parent in known, (case, event)
            known.add(getattr(event, "call_id", None) or "")


@every_case
def test_the_query_is_the_root(cases: list[Case]) -> None:
    """The first event is the QueryStarted of the query itself; only its own have no parent."""
    for case in cases:
        events = ours(case).events
        placed = [event for event in events if isinstance(event, QueryEvent)]
        first = placed[0]
        assert isinstance(first, QueryStarted), case
        assert first is events[0], case
        assert {event.call_id for event in placed if event.parent_id is None} == {first.call_id}, (
            case
        )
        assert [e for e in of(case, QueryStarted) if e.parent_id is None] == [first], case


@every_case
def test_the_laws_of_streams_hold(cases: list[Case]) -> None:
    """The log is numbered, ends once, reads the same for everybody, and says what was read."""
    for case in cases:
        assert {"L1", "L2", "L6", "L7"} <= set(ours(case).report.held), case
