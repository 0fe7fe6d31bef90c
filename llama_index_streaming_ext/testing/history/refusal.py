"""The fault for which a provider refuses a request, if there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_index_streaming_ext.testing.history.chat import chat_problems
from llama_index_streaming_ext.testing.history.problem import HistoryProblem
from llama_index_streaming_ext.testing.history.responses import responses_problems


def hard_problems(messages: Sequence[Mapping[str, Any]]) -> Iterator[HistoryProblem]:
    """Yield the faults for which OpenAI refuses messages, in the dialect that they are in.

    Args:
        messages: messages of Chat Completions, or items of the Responses endpoint.
    """
    if any(message.get("type") not in (None, "message") for message in messages):
        return responses_problems(messages)
    return chat_problems(messages)


def refusal_of(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the message of the provider's error; None if the provider takes the messages.

    Args:
        messages: as for `hard_problems`.
    """
    problem = next(hard_problems(messages), None)
    return None if problem is None else f"Invalid request: {problem}"
