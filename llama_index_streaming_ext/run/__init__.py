"""Runs of workflows, written into a stream, and the handlers that users hold."""

from __future__ import annotations

from llama_index_streaming_ext.run.run import Run, current_run, find_run

__all__ = ["Run", "current_run", "find_run"]
