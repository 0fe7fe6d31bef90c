"""Memories that an LLM summarises."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import (
    ChatSummaryMemoryBuffer,
)

LONG_AGO = [
    ChatMessage("Where is it, and how does one get there?"),
    ChatMessage("On Gull Rock, by boat.", role="assistant"),
]


def summaries(llm: Any) -> ChatSummaryMemoryBuffer:
    """A memory that has to sum up what it has."""
    made: Any = ChatSummaryMemoryBuffer
    return made.from_defaults(
        chat_history=list(LONG_AGO), llm=llm, token_limit=6, tokenizer_fn=str.split
    )
