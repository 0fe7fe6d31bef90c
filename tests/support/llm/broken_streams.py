"""Errors of streams that break, as raised and as translated."""

from __future__ import annotations

from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.llm.error_translation import translated

ASK = [ChatMessage("Hi")]


def broken(llm: FunctionCallingLLM) -> tuple[Exception, Exception]:
    """The error that a stream breaks with, and what it is translated to."""
    so_far = ""
    try:
        for chunk in llm.stream_chat(ASK):
            so_far += chunk.delta or ""
    except Exception as error:
        return error, translated(error, so_far, "call-1")
    raise AssertionError("the stream did not break")
