"""A connection that is lost fails the run."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import pytest

from llama_index_streaming_ext import (
    ConnectionLost,
    FunctionAgent,
)
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    Turn,
    disconnect,
    text,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.provider_llms import DIALECTS, real


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_lost_connection_fails_the_run(dialect: Dialect) -> None:
    """The outcome keeps the text so far, and says that the usage is not all (U75)."""
    fake = FakeOpenAI([Turn(text("half an"), disconnect())])
    with fake.serve():
        outcome = await FunctionAgent(llm=real(fake, dialect)).run(user_msg="hi").outcome()
    assert isinstance(outcome.error, ConnectionLost)
    assert (outcome.status, outcome.text, outcome.error.text) == ("failed", "half an", "half an")
    assert outcome.usage is not None
    assert outcome.usage.partial
