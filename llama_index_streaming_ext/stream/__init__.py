"""The append-only stream of one run, and everything that reads it."""

from __future__ import annotations

from llama_index_streaming_ext.stream.event_stream import EventStream

__all__ = ["EventStream"]
