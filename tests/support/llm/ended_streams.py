"""Streams of an LLM, read to their end."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM

ASK = [ChatMessage("Hi")]


async def read(llm: LLM, chunks: list[ChatResponse] | None = None) -> list[ChatResponse]:
    """All chunks of a chat, also in a list of the caller's own."""
    chunks = [] if chunks is None else chunks
    async for chunk in await llm.astream_chat(ASK):
        chunks.append(chunk)
    return chunks
