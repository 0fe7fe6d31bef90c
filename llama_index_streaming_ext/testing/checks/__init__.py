"""Checks of the laws that every stream of this package keeps."""

from __future__ import annotations

from llama_index_streaming_ext.testing.checks.stream_check import (
    LawReport,
    check_recording,
    check_stream,
)

__all__ = [
    "LawReport",
    "check_recording",
    "check_stream",
]
