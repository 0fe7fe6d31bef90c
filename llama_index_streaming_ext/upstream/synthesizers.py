"""Private attributes and methods of core's response synthesizers.

Canaries: `tests/upstream/test_engine_parts.py`, `tests/upstream/test_engine_flow.py`.
"""

from __future__ import annotations

from typing import Any

from llama_index_streaming_ext.upstream.state import state_of

LLM = "_llm"
"""The attribute with the LLM of a synthesizer, or of an engine that asks its LLM by itself."""

PROMPT_HELPERS = ("_prompt_helper", "_chat_prompt_helper")
"""The attributes with the helpers that pack texts, and messages, into prompts."""

COMPACTS = ("_make_compact_text_chunks", "_make_compact_message_chunks")
"""The methods by which `CompactAndRefine` packs its texts, and its messages."""

UPDATE, AUPDATE = "_update_response", "_aupdate_response"
"""The methods with which `Refine` makes one step."""


def llm_of(synthesizer: object) -> Any:
    """Return the LLM of a synthesizer or of an engine."""
    return state_of(synthesizer)[LLM]


def output_cls_of(synthesizer: object) -> Any:
    """Return the class of the objects with which a synthesizer answers; None for text."""
    return state_of(synthesizer)["_output_cls"]


def filters_answers(synthesizer: object) -> bool:
    """Return True if a synthesizer asks for an object of core's own, and answers with text."""
    return bool(state_of(synthesizer).get("_structured_answer_filtering", False))
