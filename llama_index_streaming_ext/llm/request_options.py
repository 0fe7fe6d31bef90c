"""Request options that are added to those of the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from llama_index.core.llms import LLM

from llama_index_streaming_ext.llm.provider import provider_of

_STREAMING = frozenset(
    {
        "stream_chat",
        "astream_chat",
        "stream_complete",
        "astream_complete",
        "stream_chat_with_tools",
        "astream_chat_with_tools",
    }
)
"""The methods whose keyword arguments become the provider's. Those of `stream_structured_predict`
and the like are the prompt's, or the program's."""


def usage_kwargs(llm: LLM, method: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments to add to a call, so that the provider reports its usage.

    Chat Completions streams its usage only if asked to (U70), and then in a last chunk of its own.
    The Responses API always says it, and other servers may refuse an option that they do not know:
    so only `OpenAI`, the class of llama-index-llms-openai itself (with any `api_base`), and classes
    with `speaks_openai = True` are asked; of their subclasses those that `provider_of` knows.

    Args:
        llm: the LLM that is called, wrapped or not.
        method: the name of the method that is called.
        kwargs: the keyword arguments that the user gave. They win, as does `additional_kwargs` of
            the LLM: where either has `stream_options`, nothing is added, not even to them.

    Returns:
        The arguments to add; empty for a method that does not stream.

    Example:
        >>> await llm.astream_chat(messages, **kwargs, **usage_kwargs(llm, "astream_chat", kwargs))
    """
    if method not in _STREAMING or "stream_options" in kwargs:
        return {}
    provider = provider_of(llm)
    if provider is None or provider.dialect != "chat" or "stream_options" in _always_sent(llm):
        return {}
    return {"stream_options": {"include_usage": True}}


def _always_sent(llm: LLM) -> Mapping[str, Any]:
    # `OpenAI` lets them win over the arguments of the call.
    return cast("Mapping[str, Any]", getattr(llm, "additional_kwargs", None) or {})
