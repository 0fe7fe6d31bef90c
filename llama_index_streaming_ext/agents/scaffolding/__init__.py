"""Scaffolding: telling the answer of a model from the text around it while it streams."""

from __future__ import annotations

from llama_index_streaming_ext.agents.scaffolding.codeact import CodeActSplitter
from llama_index_streaming_ext.agents.scaffolding.pieces import Kind, Piece
from llama_index_streaming_ext.agents.scaffolding.react import ReActSplitter

__all__ = ["CodeActSplitter", "Kind", "Piece", "ReActSplitter"]
