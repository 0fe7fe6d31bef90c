"""Answers that are objects (`output_cls`): shown while they are written, or a clear error."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.response_synthesizers import (
    ResponseMode,
    get_response_synthesizer,  # pyright: ignore[reportUnknownVariableType] -- core's loose types
)
from llama_index.core.tools import QueryEngineTool
from llama_index.core.types import PydanticProgramMode

from llama_index_streaming_ext import (
    LengthLimit,
    LLMCallStarted,
    NoStructuredAnswer,
    PartialObject,
    QueryFailed,
    QueryFinished,
    stream_query,
)
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse
from llama_index_streaming_ext.query.response.sync import LiveResponse
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Request,
    Turn,
    fail,
    finish,
    gate,
    parallel,
    text,
    tool_call,
)
from tests.support.query.query_tools import Selecting
from tests.support.query.structured_answers import (
    PIECES,
    ROCK,
    Height,
    aasked,
    asked,
    engine,
    of,
)

GROWTH = [{"place": "Gull Ro"}, {"place": "Gull Rock"}, ROCK]
"""Some of what is certain of it on the way, in this order."""

ONE_CALL = [
    ResponseMode.COMPACT,
    ResponseMode.TREE_SUMMARIZE,
    ResponseMode.REFINE,
]
"""The modes to which core tells the `output_cls`, and which answer with one object."""

ALL_ONE_CALL = [*ONE_CALL, ResponseMode.SIMPLE_SUMMARIZE, ResponseMode.GENERATION]
"""The modes that answer with one object over a structured LLM."""


def writing(*answers: dict[str, Any]) -> FakeStreamingLLM:
    """An LLM that writes objects, one per call; the last one for ever."""

    def answer(request: Request) -> Turn:
        fields = answers[min(request.number, len(answers)) - 1]
        said = json.dumps(fields)
        pieces = [said[at : at + 6] for at in range(0, len(said), 6)]
        return Turn(tool_call(request.tool_names[0], fragments=pieces))

    return FakeStreamingLLM(answer, usage="always")


def is_in_order(some: list[Any], every: list[Any]) -> bool:
    """Whether some things are among others, in that order."""
    rest = iter(every)
    return all(one in rest for one in some)


def check_growth(response: LiveResponse | AsyncLiveResponse, whole: dict[str, Any]) -> None:
    """What is shown of an object grows up to the whole one."""
    shown = [event.output for event in of(PartialObject, response)]
    assert len(shown) > 3
    assert shown[-1] == whole
    for before, after in itertools.pairwise(shown):
        assert before != after
        assert before.keys() <= after.keys()


# --- it works


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("mode", ONE_CALL)
def test_the_object_is_shown_while_it_is_written(mode: ResponseMode, streaming: bool) -> None:
    """U63: objects of any class grow, also where the engine was built to stream."""
    response = asked(engine(writing(ROCK), response_mode=mode, streaming=streaming))
    response.get_response()
    check_growth(response, ROCK)
    assert is_in_order(GROWTH, [event.output for event in of(PartialObject, response)])


@pytest.mark.parametrize("mode", ONE_CALL)
async def test_the_object_is_shown_async(mode: ResponseMode) -> None:
    """The async face shows the same."""
    response = await aasked(engine(writing(ROCK), response_mode=mode))
    assert [delta async for delta in response.response_gen]
    check_growth(response, ROCK)
    assert response.object == Height(**cast("Any", ROCK))


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("mode", ALL_ONE_CALL)
def test_a_structured_llm_is_shown(mode: ResponseMode, streaming: bool) -> None:
    """Over a StructuredLLM every mode that gives one answer works, streaming or not."""
    llm = writing(ROCK).as_structured_llm(Height)
    options: dict[str, Any] = {"response_mode": mode, "streaming": streaming, "output_cls": None}
    response = asked(engine(llm, **options))
    response.get_response()
    check_growth(response, ROCK)
    assert response.object == Height(**cast("Any", ROCK))


def test_the_text_is_the_objects_json() -> None:
    """The text is what core's PydanticResponse says, and the object is validated."""
    response = asked(engine(writing(ROCK)))
    assert str(response) == Height(**cast("Any", ROCK)).model_dump_json()
    assert response.object == Height(**cast("Any", ROCK))
    (finished,) = of(QueryFinished, response)
    assert finished.text == str(response)


@pytest.mark.parametrize("show", ["answer", "calls"])
def test_only_the_last_refinement_is_shown(show: Any) -> None:
    """Of several steps the last one is the answer, and its call says so."""
    steps = [{"place": f"step {n}", "metres": n} for n in range(3)]
    given = engine(writing(*steps), pages=3, words=300, response_mode=ResponseMode.REFINE)
    response = asked(given, show=show)
    assert str(response)
    assert of(PartialObject, response)[-1].output == {**steps[2], "notes": []}
    assert not [event for event in of(PartialObject, response) if "step 1" in str(event.output)]
    purposes = [event.purpose for event in of(LLMCallStarted, response)]
    assert purposes == ["synthesize", "synthesize", "answer"]


def test_a_chunk_that_comes_apart_is_counted() -> None:
    """An answer that grows leaves less room, so that a chunk becomes two: the last one counts."""
    steps = [{"place": f"{n} " + "long " * 150, "metres": n} for n in range(9)]
    given = engine(writing(*steps), pages=2, words=500, response_mode=ResponseMode.REFINE)
    response = asked(given)
    assert str(response)
    purposes = [event.purpose for event in of(LLMCallStarted, response)]
    assert len(purposes) > 2
    assert purposes == ["synthesize"] * (len(purposes) - 1) + ["answer"]


@pytest.mark.parametrize("use_async", [False, True])
def test_the_leaves_of_a_tree_are_not_shown(use_async: bool) -> None:
    """Of tree_summarize the root is shown, also where the leaves are asked side by side."""
    options = {"response_mode": ResponseMode.TREE_SUMMARIZE, "use_async": use_async}
    response = asked(engine(writing(ROCK), pages=3, words=400, **options))
    assert str(response)
    purposes = [event.purpose for event in of(LLMCallStarted, response)]
    assert len(purposes) > 2
    assert purposes == ["synthesize"] * (len(purposes) - 1) + ["answer"]
    check_growth(response, ROCK)


def test_an_llm_that_calls_no_functions_is_shown() -> None:
    """Core asks such an LLM for JSON in its text; what it says around it does not matter."""
    llm = FakeStreamingLLM(
        [Turn(text("Here: ", *PIECES, " done"))],
        pydantic_program_mode=PydanticProgramMode.LLM,
    )
    response = asked(engine(llm))
    assert str(response)
    check_growth(response, ROCK)


def test_the_first_of_several_objects_counts() -> None:
    """A model that calls its tool twice has answered with the first one, as without streaming."""
    other = {**ROCK, "place": "Upper Quell"}
    calls = (tool_call("Height", ROCK), tool_call("Height", other))
    response = asked(engine(FakeStreamingLLM([Turn(parallel(*calls))])))
    assert json.loads(str(response))["place"] == "Gull Rock"


def test_partial_objects_are_live() -> None:
    """The first piece can be read while the rest is still to come, with the sources there."""
    held = tool_call("Height", fragments=[*PIECES[:3], gate("rest"), *PIECES[3:]])
    llm = FakeStreamingLLM([Turn(held)])
    response = asked(engine(llm))
    assert len(response.source_nodes) == 1
    for event in response.events():
        if isinstance(event, PartialObject):
            llm.open("rest")
    assert response.object.metres == 38


def test_nothing_found_is_no_error() -> None:
    """Where no page is found no LLM is asked, and core's empty answer is given."""
    llm = writing(ROCK)
    response = asked(engine(llm, pages=0))
    assert (str(response), response.object, len(llm.calls)) == ("Empty Response", None, 0)


@pytest.mark.parametrize("count", [1, 2])
def test_the_objects_of_several_engines_are_not_shown(count: int) -> None:
    """A router that asks several engines answers with a text about their objects."""
    summarizing = FakeStreamingLLM(lambda _: Turn(text("It is", " high.")))
    tools = [QueryEngineTool.from_defaults(engine(writing(ROCK))) for _ in range(count)]
    summarizer: Any = get_response_synthesizer(
        llm=summarizing, response_mode=ResponseMode.TREE_SUMMARIZE
    )
    response = asked(
        RouterQueryEngine(Selecting(*range(count)), tools, llm=summarizing, summarizer=summarizer)
    )
    said = str(response)
    if count == 1:
        assert response.object == Height(**cast("Any", ROCK))
        check_growth(response, ROCK)
    else:
        assert (said, of(PartialObject, response)) == ("It is high.", [])


def test_the_users_engine_is_untouched() -> None:
    """It streams as it did, and asks its own LLM."""
    llm = writing(ROCK)
    given = engine(llm, streaming=True)
    synthesizer = given._response_synthesizer
    before: dict[str, Any] = dict(vars(synthesizer))
    assert str(asked(given))
    assert vars(synthesizer) == before


# --- it cannot work


@pytest.mark.parametrize("mode", [ResponseMode.ACCUMULATE, ResponseMode.COMPACT_ACCUMULATE])
async def test_several_answers_are_no_object(mode: ResponseMode) -> None:
    """U63: joined answers cannot be validated, which core finds out when all are paid for."""
    llm = writing(ROCK)
    given = engine(llm.as_structured_llm(Height), response_mode=mode, output_cls=None)
    for ask in (asked, stream_query):
        with pytest.raises(NoStructuredAnswer, match="no Height: use another response_mode"):
            cast("Callable[..., Any]", ask)(given, *(["?"] if ask is stream_query else []))
    with pytest.raises(NoStructuredAnswer):
        await aasked(given)
    assert not llm.calls


@pytest.mark.parametrize("output_cls", [dict, Height(place="here"), int])
def test_what_is_no_model_is_refused(output_cls: Any) -> None:
    """Anything but a class of pydantic's is refused before an LLM is asked."""
    llm = writing(ROCK)
    with pytest.raises(NoStructuredAnswer, match="output_cls is to be a class of pydantic's"):
        asked(engine(llm, output_cls=output_cls))
    assert not llm.calls


def test_a_program_that_cannot_be_is_an_error() -> None:
    """An LLM told to call functions, which it cannot: core keeps the error to itself."""
    llm = FakeStreamingLLM(
        [Turn(text("?"))],
        is_function_calling_model=False,
        pydantic_program_mode=PydanticProgramMode.FUNCTION,
    )
    with pytest.raises(NoStructuredAnswer, match="does not support function calling API"):
        asked(engine(llm)).get_response()
    assert not llm.calls


@pytest.mark.parametrize("mode", ONE_CALL)
@pytest.mark.parametrize("wrong", [tool_call("Height", metres="high"), text("I do not know.")])
async def test_an_answer_that_is_no_object_is_an_error(mode: ResponseMode, wrong: Any) -> None:
    """Core answers with the text of the error, or with "Empty Response"."""
    given = engine(FakeStreamingLLM(lambda _: Turn(wrong)), response_mode=mode)
    response = cast("AsyncLiveResponse", stream_query(given, "How high?"))
    with pytest.raises(NoStructuredAnswer, match="has given no Height"):
        await response.get_response()
    assert [event.kind for event in of(QueryFailed, response)] == ["NoStructuredAnswer"]


def test_a_truncated_object_is_an_error() -> None:
    """An object that was cut off at the limit is told from a whole one, valid or not."""
    for fragments in (PIECES[:2], PIECES[:4]):
        cut = tool_call("Height", fragments=fragments)
        given = engine(FakeStreamingLLM([Turn(cut, finish("length"))]))
        with pytest.raises(LengthLimit):
            asked(given).get_response()


@pytest.mark.parametrize("mode", ONE_CALL)
def test_a_failure_of_the_provider_is_raised_as_it_is(mode: ResponseMode) -> None:
    """What the provider fails with is no matter of structure."""
    given = engine(FakeStreamingLLM([Turn(fail("no more"))]), response_mode=mode)
    with pytest.raises(Exception, match="no more") as caught:
        asked(given).get_response()
    assert not isinstance(caught.value, NoStructuredAnswer)


def test_a_step_that_fails_is_passed_over_as_upstream() -> None:
    """Where an earlier step has given an object, it is the answer."""

    def answer(request: Request) -> Turn:
        return Turn(tool_call("Height", ROCK) if request.number == 1 else text("no idea"))

    options: dict[str, Any] = {"pages": 2, "words": 300, "response_mode": ResponseMode.REFINE}
    response = asked(engine(FakeStreamingLLM(answer), **options))
    assert response.get_response().response == Height(**cast("Any", ROCK)).model_dump_json()
