"""The attributes with `streaming=True` of core's engines and synthesizers.

Canary: `tests/upstream/test_streaming_flags.py`.
"""

from __future__ import annotations

from typing import Any

STREAMING = "_streaming"
"""The attribute of a synthesizer, or of an engine that asks its LLM by itself."""

SYNTHESIZERS = ("_response_synthesizer", "_summarizer")
"""The attributes in which engines keep the synthesizer of their last LLM call."""

INNER_ENGINE = "_query_engine"
"""The attribute of an engine that only changes the question of another one."""


def is_built_to_stream(engine: Any) -> bool:
    """Return True if an engine, or the engine in it, was built with `streaming=True`."""
    state: dict[str, Any] = engine.__dict__
    if state.get(STREAMING):
        return True
    parts = [state[name] for name in SYNTHESIZERS if state.get(name) is not None]
    if any(getattr(part, STREAMING, False) for part in parts):
        return True
    inner = state.get(INNER_ENGINE)
    return inner is not None and hasattr(inner, "__dict__") and is_built_to_stream(inner)
