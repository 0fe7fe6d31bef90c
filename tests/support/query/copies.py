"""LLMs that copies of engines wrap."""

from __future__ import annotations

from typing import Any

from llama_index.core.llms import LLM

from llama_index_streaming_ext.query.engine_copy.copy import copy_of


def llms_of(engine: Any) -> list[LLM]:
    """Return the LLMs that a copy of the engine would wrap, each once."""
    found: list[LLM] = []

    def note(llm: LLM) -> LLM:
        found.append(llm)
        return llm

    copy_of(engine, note)
    return found
