"""The ends of calls of other providers, recognised by the shape of their chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llama_index_streaming_ext.llm.finish.openai import chat_finish, responses_finish
from llama_index_streaming_ext.llm.finish.reasons import Finish, failure, field, items, normalised

_NAMES = ("stop_reason", "finish_reason", "done_reason", "stopReason")
"""The names of the finish reason at Anthropic, Google and Cohere, Ollama, and Bedrock."""
_HOLDERS = ("delta", "message", "messageStop")
"""The fields that may hold the finish reason if it is not at the top."""


def finish_by_shape(raw: Any) -> Finish | None:
    """Read the end of a call from a chunk or an answer of any provider.

    Args:
        raw: what OpenAI, a server like it, Anthropic, Google, Ollama, Bedrock or Cohere said, as
            an object or as a dict.
    """
    if field(raw, "choices") is not None:
        return chat_finish(raw)
    kind = field(raw, "type")
    if isinstance(kind, str):
        if kind == "error" or kind.startswith("response."):
            return responses_finish(raw)
        if kind.startswith("content_block"):
            return None  # Anthropic's text, chunk by chunk: there is nothing to look for
    if field(raw, "object") == "response":
        return responses_finish(raw)
    return _gemini(raw) or _named(raw) or _failed(raw)


def _gemini(raw: Any) -> Finish | None:
    for candidate in items(raw, "candidates")[:1]:
        reason = normalised(field(candidate, "finish_reason"))
        if reason is not None:
            return Finish(reason, _text(candidate, "finish_message"))
    # LlamaIndex's class merges the feedback into the candidate.
    for holder in (field(raw, "prompt_feedback"), raw):
        if normalised(field(holder, "block_reason")) is not None:
            return Finish("content_filter", _text(holder, "block_reason_message"))
    return None


def _text(said: Any, name: str) -> str:
    text = field(said, name)
    return text if isinstance(text, str) else ""


def _named(raw: Any) -> Finish | None:
    for holder in _holders(raw):
        for name in _NAMES:
            reason = normalised(field(holder, name))
            if reason is not None:
                return Finish(reason)
    return None


def _failed(raw: Any) -> Finish | None:
    error = field(raw, "error")
    said = failure(error) if error else None
    return said if said is not None and said.text else None


def _holders(raw: Any) -> Iterator[Any]:
    yield raw
    for name in _HOLDERS:
        holder = field(raw, name)
        if holder is not None and not isinstance(holder, str):
            yield holder
