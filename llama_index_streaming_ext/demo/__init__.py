"""The demo: a workflow and an agent stream, and a table says how they ended."""

from __future__ import annotations

from llama_index_streaming_ext.demo.program import run

__all__ = ["run"]
