"""Which synthesizers stream their answer, and which give it whole."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.response.schema import (
    PydanticResponse,
)
from llama_index.core.response_synthesizers import CompactAndRefine, ResponseMode

from tests.support.query.asking import BOTH, streamed, streams_of, upstream_text
from tests.support.query.core_engines import Person, fake, plain


@pytest.fixture(autouse=True)
def _default_llm(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(Settings, "_llm", fake())


@BOTH
@pytest.mark.parametrize("mode", ResponseMode)
@pytest.mark.parametrize("built", [False, True])
def test_every_mode_answers(mode: ResponseMode, built: bool, is_async: bool) -> None:
    """U53: no mode raises, built streaming or not, and the text is that of the engine."""
    upstream = upstream_text(plain(fake(), response_mode=mode), is_async)
    engine = plain(fake(), response_mode=mode, streaming=built)
    assert streamed(engine, is_async).text == upstream


@BOTH
@pytest.mark.parametrize("mode", ["refine", "compact", "tree_summarize", "simple_summarize"])
@pytest.mark.parametrize("built", [False, True])
def test_modes_that_can_stream_do(mode: str, built: bool, is_async: bool) -> None:
    """Built streaming or not."""
    engine = plain(fake(), response_mode=mode, streaming=built)
    assert len(streamed(engine, is_async).pieces) > 1


@BOTH
@pytest.mark.parametrize("mode", ["compact", "tree_summarize"])
def test_u63_a_structured_answer_comes_whole(mode: str, is_async: bool) -> None:
    """With `output_cls` there is an object, though the engine was built to stream."""
    engine = plain(fake(), response_mode=mode, output_cls=Person, streaming=True)
    response = streamed(engine, is_async).response
    assert isinstance(response, PydanticResponse)
    assert response.response == Person(name="Ada")


@BOTH
def test_u63_a_structured_llm_answers_whole(is_async: bool) -> None:
    """Over a StructuredLLM there is an object, though the engine was built to stream."""
    engine = plain(fake().as_structured_llm(Person), streaming=True)
    assert isinstance(streamed(engine, is_async).response, PydanticResponse)


@BOTH
def test_filtered_answers_come_whole(is_async: bool) -> None:
    """With `structured_answer_filtering` the answer is one piece, and no LLM call streams."""
    llm = fake()
    synthesizer = CompactAndRefine(llm=llm, structured_answer_filtering=True, streaming=True)
    answer = streamed(plain(llm, response_synthesizer=synthesizer), is_async)
    assert (answer.pieces, streams_of(llm)) == (["a fact"], [False])


@BOTH
def test_a_users_synthesizer_is_left_as_it_is(is_async: bool) -> None:
    """What a class of the user's own does with a stream is not known."""

    class Loud(CompactAndRefine):
        def get_response(self, *args: Any, **kwargs: Any) -> Any:
            return str(super().get_response(*args, **kwargs)).upper()

        async def aget_response(self, *args: Any, **kwargs: Any) -> Any:
            return str(await super().aget_response(*args, **kwargs)).upper()

    llm = fake()
    answer = streamed(plain(llm, response_synthesizer=Loud(llm=llm)), is_async)
    assert answer.text == "IT IS SO. INDEED."
