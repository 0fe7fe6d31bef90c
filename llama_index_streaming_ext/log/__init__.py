"""Append-only logs: one writer, any number of readers. Nothing here knows LlamaIndex."""

from __future__ import annotations

from llama_index_streaming_ext.log.memory import MemoryLog

__all__ = ["MemoryLog"]
