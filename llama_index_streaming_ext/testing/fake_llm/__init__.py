"""A fake LLM that answers as a script says."""

from __future__ import annotations

from llama_index_streaming_ext.testing.fake_llm.streaming_llm import FakeStreamingLLM

__all__ = ["FakeStreamingLLM"]
