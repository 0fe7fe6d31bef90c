"""The default LLM is a real OpenAI class."""

from __future__ import annotations

import pytest
from llama_index.core import Settings

from llama_index_streaming_ext import StreamingQueryEngine
from llama_index_streaming_ext.events import (
    LLMCallFinished,
)
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text, wait
from tests.support.query.asking import BOTH
from tests.support.query.lookers import TOKENS, Looking, ask
from tests.support.query.openai_on_loops import LONG
from tests.support.query.stopped_servers import CLOSED_WITHIN, served


@BOTH
def test_the_real_class_is_seen(monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    """Also with the usage that the provider says."""
    fake = FakeOpenAI([Turn(text(*TOKENS))])
    with fake.serve():
        monkeypatch.setattr(Settings, "_llm", fake.llm())
        seen = ask(Looking(way="chat"), is_async=is_async, show="calls")
    (end,) = seen.of(LLMCallFinished)
    assert (seen.shown, end.finish_reason, end.usage is not None) == ("It is so.", "stop", True)


@pytest.mark.parametrize("way", ["chat", "stream_complete"])
def test_a_stop_reaches_the_server(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The call of a sync query is broken off."""

    def one(fake: FakeOpenAI) -> float:
        from tests.support.query.stopped_servers import closed_after

        monkeypatch.setattr(Settings, "_llm", fake.llm())
        run = StreamingQueryEngine(Looking(way=way)).start("why")
        took = closed_after(fake, run.stop)
        run.stopped_sync(LONG)
        return took

    assert served(Turn(text("It"), wait(60), text(" is.")), one) < CLOSED_WITHIN
