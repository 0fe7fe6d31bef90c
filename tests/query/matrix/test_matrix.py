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
from tests.support.looks import Looks, check_all
from tests.support.query.engines import KINDS
from tests.support.query.matrix import CASES, Case, ours, upstream
from tests.support.query.trees import TREE_LOOKS

LOOKS = Looks[Case]()
"""All that is looked at in each case; a case is asked once."""


def of(case: Case, kind: type[Event]) -> list[Any]:
    """The events of a class, in the log of a case."""
    return [event for event in ours(case).events if isinstance(event, kind)]


def answers(call: LLMCallStarted) -> bool:
    """Return True if it is the call that writes the answer."""
    return call.purpose == "answer"


# The response


@LOOKS.add
def the_response_is_of_the_type_of_the_face_that_was_asked(case: Case) -> None:
    """`query` gives a StreamingResponse and `aquery` an AsyncStreamingResponse, of any engine."""
    expected = AsyncStreamingResponse if case.is_async else StreamingResponse
    assert isinstance(ours(case).response, expected)


@LOOKS.add
def the_text_is_that_of_upstream(case: Case) -> None:
    """The answer is the one that the engine gives when it is asked itself."""
    assert ours(case).text == upstream(case).text


@LOOKS.add
def the_response_says_what_was_read(case: Case) -> None:
    """After the end, `str()` of the response is the text that its readers have read."""
    assert str(ours(case).response) == ours(case).text


@LOOKS.add
def there_is_something_to_read(case: Case) -> None:
    """A response has a delta at least, and what has no text does not say 'None'."""
    assert ours(case).deltas not in ([], ["None"])


@LOOKS.add_where(lambda case: KINDS[case.name].streams)
def an_answer_that_a_call_writes_comes_in_tokens(case: Case) -> None:
    """Where the last step is a call of the LLM, the answer is as many deltas as it has tokens."""
    assert len(ours(case).deltas) > 1


@LOOKS.add
def the_sources_are_those_of_upstream(case: Case) -> None:
    """The response has the sources that the engine gives, in its order."""
    assert ours(case).sources == upstream(case).sources


@LOOKS.add
def the_log_ends_with_the_answer_and_its_sources(case: Case) -> None:
    """The last event is QueryFinished, with the text and the sources."""
    last = ours(case).events[-1]
    assert isinstance(last, QueryFinished)
    found = [source.node.get_content() for source in last.sources]
    assert (last.text, found) == (ours(case).text, ours(case).sources)


# What it costs


@LOOKS.add
def the_llm_is_called_as_often_as_by_upstream(case: Case) -> None:
    """Streaming costs no call more, and saves none."""
    assert ours(case).calls == upstream(case).calls


@LOOKS.add
def the_llm_is_asked_what_upstream_asks(case: Case) -> None:
    """The calls are the same ones: the fake's answers depend on the prompts."""
    assert Counter(ours(case).said) == Counter(upstream(case).said)


@LOOKS.add
def the_token_counter_counts_what_it_counts_upstream(case: Case) -> None:
    """Core's TokenCountingHandler has the same totals of prompts and of answers."""
    assert ours(case).counted == upstream(case).counted


@LOOKS.add
def the_engine_is_untouched(case: Case) -> None:
    """The user's engine consists of the very same parts as before."""
    before, after = ours(case).before, ours(case).after
    changed = [
        path for path in before.keys() | after.keys() if before.get(path) is not after.get(path)
    ]
    assert changed == []


# What is seen


@LOOKS.add
def every_call_is_seen(case: Case) -> None:
    """Every LLM call has its LLMCallStarted and its LLMCallFinished."""
    started = [event.call_id for event in of(case, LLMCallStarted)]
    finished = [event.call_id for event in of(case, LLMCallFinished)]
    assert (len(started), sorted(finished)) == (ours(case).calls, sorted(started))


@LOOKS.add_where(lambda case: case.show == "calls")
def every_inner_call_is_shown(case: Case) -> None:
    """With show="calls", LLMCallDeltas bring what every call but the answer's says, and no more."""
    shown: defaultdict[str, str] = defaultdict(str)
    for event in of(case, LLMCallDelta):
        shown[event.call_id] += event.delta
    inner = Counter(shown[call.call_id] for call in of(case, LLMCallStarted) if not answers(call))
    said = Counter(ours(case).said)
    # A call of a tool has no text, but may be the answer, where that is an object.
    assert (inner - said, set(said - inner) - {ours(case).text, ""}) == (Counter(), set())


@LOOKS.add
def the_work_is_a_tree(case: Case) -> None:
    """Every event of the log that is a part of some work comes after that work was announced."""
    known: set[str] = set()
    for event in ours(case).events:
        parent = getattr(event, "parent_id", None)
        assert parent is None or parent in known, event
        known.add(getattr(event, "call_id", None) or "")


@LOOKS.add
def the_query_is_the_root(case: Case) -> None:
    """The first event is the QueryStarted of the query itself; only its own have no parent."""
    events = ours(case).events
    placed = [event for event in events if isinstance(event, QueryEvent)]
    first = placed[0]
    assert isinstance(first, QueryStarted)
    assert first is events[0]
    assert {event.call_id for event in placed if event.parent_id is None} == {first.call_id}
    assert [e for e in of(case, QueryStarted) if e.parent_id is None] == [first]


@LOOKS.add
def the_laws_of_streams_hold(case: Case) -> None:
    """The log is numbered, ends once, reads the same for everybody, and says what was read."""
    assert {"L1", "L2", "L6", "L7"} <= set(ours(case).report.held)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    """The response, its cost, and what is seen of the work are right, for every kind of engine."""
    check_all([*LOOKS.of(case), *TREE_LOOKS.of(case)])
