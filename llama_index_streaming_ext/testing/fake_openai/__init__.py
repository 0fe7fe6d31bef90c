"""A fake of OpenAI's HTTP API that answers real clients as a script says."""

from __future__ import annotations

from llama_index_streaming_ext.testing.fake_openai.provider import OPENAI_URL, FakeOpenAI
from llama_index_streaming_ext.testing.fake_openai.served import Served

__all__ = ["OPENAI_URL", "FakeOpenAI", "Served"]
