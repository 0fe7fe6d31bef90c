"""The judge of conversations: what providers refuse, and what users call corrupted."""

from __future__ import annotations

from llama_index_streaming_ext.testing.history.check import (
    HistoryBroken,
    check_history,
    history_problems,
)
from llama_index_streaming_ext.testing.history.problem import HistoryProblem

__all__ = ["HistoryBroken", "HistoryProblem", "check_history", "history_problems"]
