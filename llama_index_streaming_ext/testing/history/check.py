"""`check_history`: the judge of the conversation that a request sends to a provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage

from llama_index_streaming_ext.testing.fake_llm.calls import Call, request_of
from llama_index_streaming_ext.testing.fake_openai.received import ReceivedRequest
from llama_index_streaming_ext.testing.history.order import order_problems
from llama_index_streaming_ext.testing.history.problem import HistoryProblem
from llama_index_streaming_ext.testing.history.refusal import hard_problems
from llama_index_streaming_ext.testing.script.request import Request


class HistoryBroken(AssertionError):
    """A request sends a conversation that a provider refuses, or that has been corrupted.

    Attributes:
        problems: all faults, those that are refused first.
    """

    def __init__(self, problems: Sequence[HistoryProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


def check_history(request: Any, *, soft: bool = True) -> None:
    """Check that the messages of a request are a conversation that every provider accepts.

    Hard faults are those that OpenAI's two endpoints answer with status 400: a tool call without
    its result, a result without its call, an empty list of content, and the like. Soft faults are
    accepted by OpenAI, refused by Anthropic or Gemini, and seen by users as a corrupted
    conversation: two user messages in a row, an empty message, and the like.

    Args:
        request: one of `fake_openai.requests`, one of `fake_llm.calls`, a `Request` of a script's
            function, the JSON body of a request, or a list of `ChatMessage`s.
        soft: also check for soft faults.

    Raises:
        HistoryBroken: there is a fault; it lists them all.
        TypeError: `request` is none of these.

    Example:
        >>> for request in fake.requests:
        ...     check_history(request)
    """
    problems = history_problems(request)
    found = [problem for problem in problems if problem.refused or soft]
    if found:
        raise HistoryBroken(found)


def history_problems(request: Any) -> list[HistoryProblem]:
    """Return the faults of the conversation that a request sends, hard ones first.

    Args:
        request: as for `check_history`.

    Raises:
        TypeError: `request` is nothing that has messages.
    """
    messages = _messages(request)
    return [*hard_problems(messages), *order_problems(messages)]


def _messages(request: Any) -> list[Mapping[str, Any]]:
    if isinstance(request, ReceivedRequest):
        request = request.json
    if isinstance(request, Call):
        request = request.messages
    if isinstance(request, Request):
        return list(request.messages)
    if isinstance(request, Mapping):
        body = cast("Mapping[str, Any]", request)
        return list(Request.from_body(body, "responses" if "input" in body else "chat").messages)
    if isinstance(request, Sequence) and all(isinstance(m, ChatMessage) for m in request):  # pyright: ignore[reportUnknownVariableType] # checked here
        sent = cast("Sequence[ChatMessage]", request)
        return list(request_of(sent, {}, stream=True, dialect="chat").messages)
    raise TypeError(
        f"check_history takes a request, a call, a JSON body or messages, not {request!r}"
    )
