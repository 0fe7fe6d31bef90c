"""A response can be assigned to, copied, compared, replaced and pickled, as core's dataclasses."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import pickle
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any

import pytest
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.evaluation import BaseEvaluator, EvaluationResult
from llama_index.core.instrumentation.events.query import QueryEndEvent

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.query.response.sync import AsyncLiveResponse, LiveResponse
from tests.support.query.scripted_run import ScriptedRun, failed_run, finished_run, source

Kind = type[LiveResponse] | type[AsyncLiveResponse]
BOTH = pytest.mark.parametrize("kind", [LiveResponse, AsyncLiveResponse])


def said(*tokens: str, error: BaseException | None = None) -> Generator[str, None, None]:
    """A generator of somebody else's."""
    yield from tokens
    if error is not None:
        raise error


async def asaid(*tokens: str, error: BaseException | None = None) -> AsyncGenerator[str, None]:
    """An async generator of somebody else's."""
    for token in tokens:
        yield token
    if error is not None:
        raise error


# Assigning


@BOTH
def test_a_text_that_is_assigned_is_the_answer(kind: Kind) -> None:
    """str() gives what was assigned to response_txt, also of a query that failed."""
    response = kind(failed_run("a"))
    response.response_txt = "better"
    assert (str(response), response.response_txt) == ("better", "better")


@BOTH
def test_a_text_assigned_to_response_is_the_answer(kind: Kind) -> None:
    """Code that replaces the text of core's Response replaces that of a live one."""
    response = kind(finished_run("a"))
    response.response = "better"
    assert (str(response), response.response, response.response_txt) == ("better",) * 3


@BOTH
async def test_cores_evaluators_read_a_live_response(kind: Kind) -> None:
    """evaluate_response() and its async twin read the text of a response as they read core's."""

    class Seen(BaseEvaluator):
        async def aevaluate(
            self,
            query: str | None = None,
            response: str | None = None,
            contexts: Sequence[str] | None = None,
            **kwargs: Any,
        ) -> EvaluationResult:
            return EvaluationResult(query=query, response=response, contexts=contexts)

        def _get_prompts(self) -> dict[str, Any]:
            return {}

        def _update_prompts(self, prompts_dict: Any) -> None:
            pass

    live: Any = kind(finished_run("It is ", "sunny"))
    seen = await Seen().aevaluate_response("Why?", live)
    also = await asyncio.to_thread(Seen().evaluate_response, "Why?", live)
    for result in (seen, also):
        assert (result.response, result.contexts) == ("It is sunny", ["A fact."])


@BOTH
def test_sources_and_metadata_can_be_assigned(kind: Kind) -> None:
    """Values assigned to source_nodes and metadata replace those of the query."""
    response = kind(finished_run())
    response.source_nodes = [source("Other.")]
    response.metadata = {}
    response.metadata["selector_result"] = 1
    assert (response.source_nodes, response.metadata) == (
        [source("Other.")],
        {"selector_result": 1},
    )


def test_a_generator_that_is_assigned_is_the_answer() -> None:
    """A generator assigned to response_gen is read by all, and more than once."""
    response = LiveResponse(finished_run("a"))
    response.response_gen = said("x", "y")
    assert (list(response.response_gen), str(response)) == (["x", "y"], "xy")
    assert (list(response.read()), response.response_txt) == (["x", "y"], "xy")


def test_the_answer_can_be_put_through_a_generator() -> None:
    """A generator over response_gen can be put in its place."""
    response = LiveResponse(finished_run("a", "b"))
    response.response_gen = (token.upper() for token in response.response_gen)
    assert str(response) == "AB"


def test_assigning_its_own_field_changes_nothing() -> None:
    """A response whose response_gen is assigned to itself is still live."""
    run = ScriptedRun("a")
    response = LiveResponse(run)
    response.response_gen = response.response_gen
    run.say("b")
    run.finish()
    assert list(response.response_gen) == ["a", "b"]


def test_a_generator_that_fails_raises_to_everybody() -> None:
    """The error of an assigned generator is raised to all, after its tokens."""
    response = LiveResponse(said("x", error=ValueError("broken")))
    assert next(response.response_gen) == "x"
    asked: list[Callable[[LiveResponse], Any]] = [
        str,
        lambda response: list(response.read()),
        lambda response: next(response.response_gen),
    ]
    for ask in asked:
        with pytest.raises(ValueError, match="broken"):
            ask(response)


def test_an_interrupted_generator_is_not_whole() -> None:
    """An assigned generator that Ctrl-C has ended was stopped: its text is not all."""
    response = LiveResponse(said("x", error=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        list(response.read())
    with pytest.raises(StreamStopped):
        str(response)


def test_a_closed_response_pulls_no_further() -> None:
    """close() ends what was assigned, and its readers are told."""
    response = LiveResponse(said("x", "y"))
    tokens = response.read()
    next(tokens)
    response.close()
    with pytest.raises(StreamStopped):
        next(tokens)


def test_none_is_no_tokens() -> None:
    """None, upstream's word for no generator, is an empty answer."""
    assert str(LiveResponse(None)) == ""


def test_what_cannot_be_iterated_is_refused() -> None:
    """Assigning what is no iterable raises at once."""
    with pytest.raises(TypeError, match="not iterable"):
        LiveResponse(5)  # pyright: ignore[reportArgumentType] # that is the test


async def test_an_async_generator_that_is_assigned_is_the_answer() -> None:
    """A generator assigned to response_gen is read by all, and more than once."""
    response = AsyncLiveResponse(finished_run("a"))
    response.response_gen = asaid("x", "y")
    before = str(response)
    first = [token async for token in response.response_gen]
    second = [token async for token in response.async_response_gen()]
    assert (before, first, second, str(response)) == ("", ["x", "y"], ["x", "y"], "xy")


async def test_assigning_its_own_async_field_changes_nothing() -> None:
    """A response whose response_gen is assigned to itself is still that of the query."""
    response = AsyncLiveResponse(finished_run("a"))
    response.response_gen = response.response_gen
    assert str(response) == "a"


async def test_an_async_generator_that_fails_raises_to_everybody() -> None:
    """The error of an assigned generator is raised to all readers."""
    response = AsyncLiveResponse(asaid("x", error=ValueError("broken")))
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await response.get_response()
    with pytest.raises(ValueError, match="broken"):
        str(response)


async def test_an_interrupted_async_generator_is_not_whole() -> None:
    """An assigned generator that a cancelled reader has ended was stopped: its text is not all."""
    response = AsyncLiveResponse(asaid("x", error=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        await response.get_response()
    with pytest.raises(StreamStopped):
        await response.get_response()


async def test_a_text_that_is_assigned_is_one_token() -> None:
    """async_response_gen() gives an assigned text in one piece, as upstream."""
    response = AsyncLiveResponse(finished_run("a", "b"))
    response.response_txt = "better"
    assert [token async for token in response.async_response_gen()] == ["better"]


@BOTH
def test_a_response_without_a_query_has_no_events(kind: Kind) -> None:
    """A response that was made of tokens says that it has no events."""
    with pytest.raises(RuntimeError, match="not by a query"):
        _ = kind(["a"]).stream


# Copying and comparing


@BOTH
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, dataclasses.replace])
def test_a_copy_shares_the_query(kind: Kind, copied: Callable[[Any], Any]) -> None:
    """A copy that is made before the end gets all of the answer, and keeps the query."""
    run = ScriptedRun("a")
    response = kind(run)
    twin = copied(response)
    del response
    run.say("b")
    run.finish()
    assert (type(twin), str(twin), twin.stream) == (kind, "ab", run.stream)


@BOTH
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, dataclasses.replace])
def test_a_copy_is_equal(kind: Kind, copied: Callable[[Any], Any]) -> None:
    """A copy is equal to what it was made of, before the end and after it."""
    run = ScriptedRun("a")
    response = kind(run)
    before = copied(response) == response
    run.finish()
    assert before
    assert copied(response) == response


def test_a_copy_has_fields_of_its_own() -> None:
    """A value assigned to a copy does not change the original."""
    response = LiveResponse(finished_run("a"))
    twin = copy.copy(response)
    twin.response_txt = "b"
    assert (str(twin), str(response)) == ("b", "a")


def test_a_copy_reads_from_the_start() -> None:
    """A copy has places of its own in the answer."""
    response = LiveResponse(finished_run("a", "b"))
    next(response.response_gen)
    assert list(copy.copy(response).response_gen) == ["a", "b"]


def test_a_deep_copy_has_sources_of_its_own() -> None:
    """The sources and the metadata of a deep copy can be changed without changing others."""
    response = LiveResponse(finished_run("a"))
    twin = copy.deepcopy(response)
    twin.source_nodes.clear()
    twin.metadata = twin.metadata or {}
    twin.metadata.clear()
    assert (response.source_nodes, response.metadata) == ([source()], {"n1": {"page": 1}})


def test_a_replaced_field_is_replaced() -> None:
    """dataclasses.replace gives a response with other fields over the same answer."""
    response = LiveResponse(finished_run("a"))
    twin = dataclasses.replace(response, source_nodes=[], metadata=None)
    assert (str(twin), twin.source_nodes, twin.metadata) == ("a", [], None)


def test_a_replaced_generator_is_the_answer() -> None:
    """dataclasses.replace with a generator gives a response over that."""
    response = LiveResponse(ScriptedRun("a"))
    assert str(dataclasses.replace(response, response_gen=said("x"))) == "x"


@BOTH
def test_whole_answers_are_compared_by_value(kind: Kind) -> None:
    """Two whole answers with the same text, sources and metadata are equal."""
    assert kind(finished_run("ab")) == kind(finished_run("a", "b"))
    assert kind(finished_run("ab")) != kind(finished_run("a"))


@BOTH
@pytest.mark.parametrize("made", [ScriptedRun, failed_run])
def test_answers_that_are_not_whole_are_equal_to_none(
    kind: Kind, made: Callable[..., ScriptedRun]
) -> None:
    """Answers that go on, or have failed, are not equal for what they have in common so far."""
    assert kind(made("a")) != kind(made("a"))


def test_another_class_is_not_equal() -> None:
    """A sync and an async response are not equal, nor are ours and core's."""
    run = finished_run("a")
    assert LiveResponse(run) != AsyncLiveResponse(run)
    assert LiveResponse(run) != StreamingResponse(said("a"), run.sources, run.metadata, "a")


def test_it_cannot_be_hashed() -> None:
    """A response that can be changed has no hash, as core's have none."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(LiveResponse(finished_run()))


@BOTH
def test_its_fields_are_those_of_core(kind: Kind) -> None:
    """`dataclasses` finds the fields that core's classes have, and asdict gives them."""
    response = kind(finished_run("a"))
    assert [field.name for field in dataclasses.fields(response)] == list(
        dataclasses.asdict(response)
    )
    assert dataclasses.asdict(response)["response_txt"] == "a"


def test_the_representation_waits_for_nothing() -> None:
    """repr() shows the fields as they are, before the end."""
    shown = repr(LiveResponse(ScriptedRun("a")))
    assert shown.startswith("LiveResponse(response_gen=<")
    assert "response_txt=None" in shown


def test_an_event_of_core_takes_it_and_leaves_it_whole() -> None:
    """Serialising an instrumentation event that holds a response drains nothing (U61)."""
    response = LiveResponse(finished_run("a", "b"))
    event = QueryEndEvent(query="Why?", response=response)
    assert json.loads(event.model_dump_json())["response"]["response_gen"] == ["a", "b"]
    assert list(response.response_gen) == ["a", "b"]


# Pickling


@BOTH
def test_pickling_gives_the_finished_value(kind: Kind) -> None:
    """An unpickled response has the text, sources, metadata and object, and is equal."""
    run = finished_run("a", "b")
    run.object = {"answer": "ab"}
    response = kind(run)
    back = pickle.loads(pickle.dumps(response))
    assert (type(back), back, str(back), back.object) == (kind, response, "ab", run.object)


def test_what_is_read_back_works_as_the_response_does() -> None:
    """A pickled response can be read, printed and pickled again."""
    back = pickle.loads(pickle.dumps(LiveResponse(finished_run("a", "b"))))
    again = pickle.loads(pickle.dumps(back))
    assert isinstance(again, StreamingResponse)
    assert [list(again.response_gen), list(again.response_gen)] == [["ab"], ["ab"]]
    assert again.get_response().response == "ab"


async def test_what_is_read_back_is_read_in_tasks() -> None:
    """A pickled async response can be read."""
    back = pickle.loads(pickle.dumps(AsyncLiveResponse(finished_run("a", "b"))))
    assert isinstance(back, AsyncStreamingResponse)
    assert [token async for token in back.response_gen] == ["ab"]


def test_an_answer_that_goes_on_is_not_pickled_by_a_task() -> None:
    """Pickling an async response before the end says what to wait for."""
    with pytest.raises(pickle.PicklingError, match=r"await response\.get_response\(\)"):
        pickle.dumps(AsyncLiveResponse(ScriptedRun("a")))


@BOTH
def test_a_failed_answer_is_not_pickled(kind: Kind) -> None:
    """Pickling the response of a query that failed raises what it failed with."""
    with pytest.raises(ValueError, match="broken"):
        pickle.dumps(kind(failed_run("a")))
