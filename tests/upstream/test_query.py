"""What the response synthesizers do when asked to stream."""

from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.response.schema import Response
from llama_index.core.response_synthesizers import (
    ResponseMode,
    get_response_synthesizer,  # pyright: ignore[reportUnknownVariableType] -- core's loose types
)
from llama_index.core.schema import NodeWithScore, TextNode

from .llms import SyncLLM

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
