"""What a model writes around its answer, told apart from it while it streams."""

from __future__ import annotations

from .codeact import CodeActSplitter
from .pieces import Kind, Piece
from .react import ReActSplitter

__all__ = ["CodeActSplitter", "Kind", "Piece", "ReActSplitter"]
