"""`ResponseSynthesizer.from_args` is core's function under the documents' name."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportPrivateUsage=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest
from llama_index.core import PromptTemplate, Settings
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.response_synthesizers import (
    BaseSynthesizer,
    ResponseMode,
    get_response_synthesizer,
)
from llama_index.core.schema import NodeWithScore, TextNode
from pydantic import BaseModel

from llama_index_streaming_ext import ResponseSynthesizer
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text

NODES = [NodeWithScore(node=TextNode(text="The tower is high."), score=1.0)]


class Height(BaseModel):
    """A structured answer."""

    metres: int


def fake() -> FakeStreamingLLM:
    """An LLM that says one thing."""
    return FakeStreamingLLM([Turn(text("Very", " high."))])


def test_it_takes_what_cores_function_takes() -> None:
    """Its signature is that of the installed core, whatever the version."""
    taken = inspect.signature(ResponseSynthesizer.from_args)
    assert taken == inspect.signature(get_response_synthesizer)


@pytest.mark.parametrize("mode", list(ResponseMode))
def test_each_mode_gives_cores_class(mode: ResponseMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is of the very class that core's function gives."""
    # U53: some modes ask for it although they need none.
    monkeypatch.setattr(Settings, "_llm", fake())
    options: Any = {"response_mode": mode, "llm": fake(), "streaming": True}
    ours, cores = ResponseSynthesizer.from_args(**options), get_response_synthesizer(**options)
    assert type(ours) is type(cores)


def test_options_arrive() -> None:
    """Prompts, the structured class and the flags are those that were given."""
    template = PromptTemplate("{context_str} {query_str}")
    synth: Any = ResponseSynthesizer.from_args(
        llm=fake(),
        text_qa_template=template,
        output_cls=Height,
        structured_answer_filtering=True,
        streaming=True,
    )
    given = (synth._text_qa_template, synth._output_cls, synth._structured_answer_filtering)
    assert given == (template, Height, True)
    assert synth._streaming


def test_it_streams() -> None:
    """A synthesizer that is made with `streaming=True` streams."""
    response = ResponseSynthesizer.from_args(streaming=True, llm=fake()).synthesize("?", NODES)
    assert isinstance(response, StreamingResponse)
    assert "".join(response.response_gen) == "Very high."


def test_the_result_is_an_instance() -> None:
    """`isinstance` and `issubclass` know core's synthesizers, and nothing else."""
    synth = ResponseSynthesizer.from_args(llm=fake())
    assert isinstance(synth, ResponseSynthesizer)
    assert issubclass(BaseSynthesizer, ResponseSynthesizer)
    assert not isinstance(object(), ResponseSynthesizer)
    assert not issubclass(int, ResponseSynthesizer)


def test_it_has_no_instances_of_its_own() -> None:
    """Calling the class says what to call instead."""
    with pytest.raises(TypeError, match=r"use ResponseSynthesizer\.from_args"):
        cast("Any", ResponseSynthesizer)()


def test_an_unknown_argument_is_refused() -> None:
    """What core dropped long ago is named in the error."""
    make: Any = ResponseSynthesizer.from_args
    with pytest.raises(TypeError, match="service_context"):
        make(service_context=None)
