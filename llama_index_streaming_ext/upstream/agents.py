"""Private methods of core's agents that decide whether their way to the LLM is known."""

from __future__ import annotations

from typing import Any

from llama_index_streaming_ext.upstream.methods import is_cores_own
from llama_index_streaming_ext.upstream.state import PrivateAttribute

TOOL_FUNCTION = PrivateAttribute[Any]("_async_fn")
"""The function that core calls for a `FunctionTool` (U27); canary: tests/upstream/test_tools.py."""


def reads_stream_as_core_does(cls: type) -> bool:
    """Return True if an agent class reads the LLM's stream by core's own code.

    An agent of a user's class that reads it by itself gets the whole stream.
    """
    # U28: the method is only looked at; canary: tests/upstream/test_agent_methods.py
    return is_cores_own(cls, "_get_streaming_response")


def reads_last_answer_as_core_does(cls: type) -> bool:
    """Return True if an agent class asks for its last answer by core's own code.

    Core's code needs the last chunk of that answer only.
    """
    # U28: the method is only looked at; canary: tests/upstream/test_turns.py
    return is_cores_own(cls, "_get_llm_response")
