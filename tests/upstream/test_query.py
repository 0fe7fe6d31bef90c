"""What the response synthesizers do when asked to stream, and the tool that asks an engine."""

import asyncio
from typing import Any, cast

import pytest
from llama_index.core import QueryBundle, Settings, response_synthesizers
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import Response
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.response_synthesizers import (
    CompactAndRefine,
    Refine,
    ResponseMode,
    TreeSummarize,
    get_response_synthesizer,  # pyright: ignore[reportUnknownVariableType] -- core's loose types
)
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text, tool_call
from tests.support.upstream.llms import SyncLLM

NODES = [NodeWithScore(node=TextNode(text="a fact"), score=1.0)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for every time that core asks for `Settings.llm`."""
    found: list[str] = []

    def default_llm(_: object) -> SyncLLM:
        found.append("llm")
        return SyncLLM("hello")

    settings: Any = type(Settings)  # the class is private, the object is not
    monkeypatch.setattr(settings, "llm", property(default_llm))
    return found


class Height(BaseModel):
    """A structured answer, without a field named `answer`."""

    metres: int = 0


def test_u50_there_is_no_response_synthesizer() -> None:
    """U50: the class that the documents print does not exist; the function does."""
    assert not hasattr(response_synthesizers, "ResponseSynthesizer")
    assert hasattr(response_synthesizers, "get_response_synthesizer")


@pytest.mark.parametrize("mode", [ResponseMode.ACCUMULATE, ResponseMode.COMPACT_ACCUMULATE])
def test_u53_accumulate_cannot_stream(mode: ResponseMode) -> None:
    """U53: accumulate and compact_accumulate raise ValueError when they are to stream."""
    synthesizer = get_response_synthesizer(llm=SyncLLM("hello"), response_mode=mode, streaming=True)
    with pytest.raises(ValueError, match="Unable to stream in Accumulate response mode"):
        synthesizer.synthesize("why", NODES)


@pytest.mark.parametrize("mode", [ResponseMode.NO_TEXT, ResponseMode.CONTEXT_ONLY])
def test_u53_modes_without_an_llm_do_not_stream(mode: ResponseMode, asked: list[str]) -> None:
    """U53: no_text and context_only give a plain Response when they are to stream."""
    synthesizer = get_response_synthesizer(llm=SyncLLM("hello"), response_mode=mode, streaming=True)
    assert type(synthesizer.synthesize("why", NODES)) is Response


@pytest.mark.parametrize("mode", [ResponseMode.NO_TEXT, ResponseMode.CONTEXT_ONLY])
def test_u53_modes_without_an_llm_ask_for_one(mode: ResponseMode, asked: list[str]) -> None:
    """U53: no_text and context_only ask for `Settings.llm`, even where an LLM was given."""
    get_response_synthesizer(llm=SyncLLM("hello"), response_mode=mode, streaming=True)
    assert asked


class Said(Response):
    """A response whose text is asked for where an event loop runs, or it is an error."""

    def __str__(self) -> str:
        asyncio.get_running_loop()
        return "said"


class Engine(BaseQueryEngine):
    """An engine that answers so."""

    def _query(self, query_bundle: QueryBundle) -> Any:
        return Said("said")

    async def _aquery(self, query_bundle: QueryBundle) -> Any:
        return Said("said")

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}


async def test_u59_a_query_engine_tool_holds_up_the_loop() -> None:
    """U59: `acall` takes the text by `str(response)`, on the loop, however long that is to come."""
    tool = QueryEngineTool.from_defaults(Engine(None))
    assert (await tool.acall("why")).content == "said"


@pytest.mark.parametrize(
    ("args", "kwargs", "question"),
    [(("why",), {}, "why"), ((), {"input": "why"}, "why"), ((), {"a": 1}, "{'a': 1}")],
)
def test_u59_how_a_tool_reads_its_question(
    args: tuple[Any, ...], kwargs: dict[str, Any], question: str
) -> None:
    """The private method that our tool reads its arguments by."""
    tool = QueryEngineTool.from_defaults(Engine(None))
    assert tool._get_query_str(*args, **kwargs) == question  # pyright: ignore[reportPrivateUsage]


def test_u63_an_object_is_paid_for_and_not_given() -> None:
    """U63: with `output_cls` and streaming, only a field named `answer` would be given."""
    llm = FakeStreamingLLM([Turn(tool_call("Height", metres=38))])
    synthesizer = get_response_synthesizer(llm=llm, output_cls=Height, streaming=True)
    assert str(synthesizer.synthesize("why", NODES)) == "Empty Response"
    assert len(llm.calls) == 1


@pytest.mark.parametrize("mode", [ResponseMode.ACCUMULATE, ResponseMode.COMPACT_ACCUMULATE])
def test_u63_joined_objects_are_no_object(mode: ResponseMode) -> None:
    """U63: over a structured LLM, accumulate raises when it has paid for its calls."""
    llm = FakeStreamingLLM([Turn(tool_call("Height", metres=38))])
    structured = llm.as_structured_llm(Height)
    synthesizer = get_response_synthesizer(llm=structured, response_mode=mode)
    with pytest.raises(ValueError, match="validation error for Height"):
        synthesizer.synthesize("why", NODES)
    assert len(llm.calls) == 1


def test_u63_a_step_without_an_object_is_passed_over() -> None:
    """U63: what a refine step fails with is logged, and the answer is "Empty Response"."""
    llm = FakeStreamingLLM([Turn(text("I do not know."))])
    synthesizer = get_response_synthesizer(llm=llm, output_cls=Height)
    assert str(synthesizer.synthesize("why", NODES)) == "Empty Response"


def test_u63_how_a_refiner_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """U63: it packs all its chunks, then one for each further step; a step is one private call."""
    llm = FakeStreamingLLM(lambda _: Turn(tool_call("Height", metres=38)))
    refiner: Any = get_response_synthesizer(
        llm=llm, output_cls=Height, response_mode=ResponseMode.REFINE
    )
    done: list[str] = []
    update, repack = refiner._update_response, cast("Any", PromptHelper).repack

    def spy_update(*args: Any) -> Any:
        done.append("step")
        return update(*args)

    def spy_repack(*args: Any, **kwargs: Any) -> Any:
        done.append("pack")
        return repack(*args, **kwargs)

    monkeypatch.setattr(refiner, "_update_response", spy_update)
    monkeypatch.setattr(PromptHelper, "repack", spy_repack)
    refiner.synthesize("why", NODES * 2)
    assert done == ["pack", "pack", "step", "pack", "step"]


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (Refine, ["_update_response", "_aupdate_response"]),
        (CompactAndRefine, ["_make_compact_text_chunks", "_make_compact_message_chunks"]),
        (TreeSummarize, ["get_response", "aget_response"]),
    ],
)
def test_u63_the_private_methods_are_there(cls: type, names: list[str]) -> None:
    """U63: what is put around a synthesizer's methods finds them."""
    assert all(callable(getattr(cls, name, None)) for name in names)
