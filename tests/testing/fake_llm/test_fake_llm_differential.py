"""The fake yields what the real classes yield for the same script, whatever the script."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn
from llama_index_streaming_ext.testing.wire.items import Dialect, Fail
from tests.support.testing.golden_dumps import arecord, dump, record
from tests.support.testing.real_classes import real
from tests.support.testing.scripts import turns

HI = [ChatMessage("hi there")]
DIALECTS: list[Dialect] = ["chat", "responses"]
ASKED = {"stream_options": {"include_usage": True}}


def both(turn: Turn, dialect: Dialect, *, usage: bool) -> list[FunctionCallingLLM]:
    """The fake and the real class, with the same script."""
    extra = ASKED if usage and dialect == "chat" else {}
    fake = FakeStreamingLLM([turn], dialect=dialect, additional_kwargs=extra)
    return [fake, real([turn], dialect, additional_kwargs=extra)]


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=35)
@given(turn=turns(), usage=st.booleans())
def test_sync_chunks_are_the_real_ones(dialect: Dialect, turn: Turn, usage: bool) -> None:
    """The sync streams of the fake and of the real class are the same, chunk by chunk."""
    fake, llm = both(turn, dialect, usage=usage)
    mine = record(fake, lambda: fake.stream_chat(HI))
    wanted = record(llm, lambda: llm.stream_chat(HI))
    assert mine.chunks == wanted.chunks
    assert mine.error == wanted.error
    assert mine.mutated_later == wanted.mutated_later


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=35)
@given(turn=turns(), usage=st.booleans())
async def test_async_chunks_are_the_real_ones(dialect: Dialect, turn: Turn, usage: bool) -> None:
    """The async streams of the fake and of the real class are the same, chunk by chunk."""
    fake, llm = both(turn, dialect, usage=usage)
    mine = await arecord(fake, lambda: fake.astream_chat(HI))
    wanted = await arecord(llm, lambda: llm.astream_chat(HI))
    assert mine.chunks == wanted.chunks
    assert mine.error == wanted.error
    assert mine.mutated_later == wanted.mutated_later


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=35)
@given(turn=turns().filter(lambda turn: not any(isinstance(p, Fail) for p in turn.parts)))
def test_whole_answers_are_the_real_ones(dialect: Dialect, turn: Turn) -> None:
    """The answers that are not streamed are those of the real class."""
    fake, llm = both(turn, dialect, usage=False)
    assert dump(fake.chat(HI), fake) == dump(llm.chat(HI), llm)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=30)
@given(turn=turns())
def test_completion_chunks_are_the_real_ones(dialect: Dialect, turn: Turn) -> None:
    """The chunks of a completion are those of the real class."""
    fake, llm = both(turn, dialect, usage=False)
    mine = record(fake, lambda: fake.stream_complete("hi there"))
    wanted = record(llm, lambda: llm.stream_complete("hi there"))
    assert mine.chunks == wanted.chunks
    assert mine.error == wanted.error
