"""The ends of streams whose HTTP body breaks off."""

from __future__ import annotations

from typing import Any

import pytest

from llama_index_streaming_ext import (
    ConnectionLost,
    StreamingLLM,
    StreamTruncated,
)
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    disconnect,
    malformed,
    text,
    truncated,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.llm.ended_streams import read
from tests.support.provider_llms import DIALECTS, real


@pytest.mark.parametrize("broken", [disconnect(), malformed()], ids=["reset", "malformed"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_broken_connection_is_one_error(dialect: Dialect, broken: Any) -> None:
    """It keeps its cause and the text so far (U75)."""
    fake = FakeOpenAI([Turn(text("half an"), broken)])
    with fake.serve(), pytest.raises(ConnectionLost) as raised:
        await read(StreamingLLM(real(fake, dialect)))
    assert raised.value.text == "half an"
    assert raised.value.__cause__ is not None


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_body_that_ends_in_a_line_is_truncated(dialect: Dialect) -> None:
    """A clean end of the connection is silent upstream (U75)."""
    fake = FakeOpenAI([Turn(text("half an"), truncated())])
    with fake.serve(), pytest.raises(StreamTruncated):
        await read(StreamingLLM(real(fake, dialect)))
