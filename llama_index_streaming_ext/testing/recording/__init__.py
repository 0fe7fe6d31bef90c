"""Recordings of streams: what came, when, and how the stream ended."""

from __future__ import annotations

from llama_index_streaming_ext.testing.recording.recording import (
    Origin,
    Recording,
    outcome_of,
)

__all__ = [
    "Origin",
    "Recording",
    "outcome_of",
]
