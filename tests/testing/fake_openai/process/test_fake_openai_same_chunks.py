"""The same script through both fakes gives the same chunks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.testing import FakeOpenAI, FakeStreamingLLM, Turn
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.testing.fake_openai_ways import ASK, Way, both_ways
from tests.support.testing.golden_dumps import arecord, record
from tests.support.testing.scripts import turns

DIALECTS: list[Dialect] = ["chat", "responses"]
SPLITS = st.sampled_from([None, "byte", "random:1", "random:2"])


def real(fake: FakeOpenAI, dialect: Dialect) -> FunctionCallingLLM:
    """The real class for a dialect."""
    return fake.llm() if dialect == "chat" else fake.responses_llm()


@both_ways
@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=10)
@given(turn=turns(), split=SPLITS)
def test_sync_streams_are_the_same(way: Way, dialect: Dialect, turn: Turn, split: str) -> None:
    """What the real class makes of the wire is what the fake LLM yields."""
    mine = FakeStreamingLLM([turn], dialect=dialect)
    fake = FakeOpenAI([turn], split=split)
    with way(fake):
        llm = real(fake, dialect)
        wanted = record(llm, lambda: llm.stream_chat(ASK))
    got = record(mine, lambda: mine.stream_chat(ASK))
    assert (got.chunks, got.error) == (wanted.chunks, wanted.error)


@both_ways
@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=10)
@given(turn=turns(), split=SPLITS)
async def test_async_streams_are_the_same(
    way: Way, dialect: Dialect, turn: Turn, split: str
) -> None:
    """What the real class makes of the wire is what the fake LLM yields, in a task as well."""
    mine = FakeStreamingLLM([turn], dialect=dialect)
    fake = FakeOpenAI([turn], split=split)
    async with way(fake):
        llm = real(fake, dialect)
        wanted = await arecord(llm, lambda: llm.astream_chat(ASK))
    got = await arecord(mine, lambda: mine.astream_chat(ASK))
    assert (got.chunks, got.error) == (wanted.chunks, wanted.error)
