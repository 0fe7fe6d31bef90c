"""The ends of calls in the two APIs of OpenAI (U70, U74)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llama_index_streaming_ext.llm.finish.reasons import (
    Finish,
    failure,
    field,
    items,
    normalised,
    refused,
)


def chat_finish(raw: Any) -> Finish | None:
    """Read the end of a call from a chunk or an answer of Chat Completions.

    Args:
        raw: a `ChatCompletionChunk`, a `ChatCompletion`, a legacy `Completion`, or one as a dict.
    """
    choices = field(raw, "choices")
    if not choices or not isinstance(choices, list):
        # The SDK raises such an error; other clients show it.
        error = field(raw, "error")
        return failure(error) if error else None
    choice = cast("list[Any]", choices)[0]
    said = field(choice, "delta") or field(choice, "message")
    refusal = field(said, "refusal") if said is not None else None
    word = field(choice, "finish_reason")
    if not word and not refusal:
        return None
    return _chat_end(raw, choice, refusal, normalised(word))


def _chat_end(raw: Any, choice: Any, refusal: Any, reason: str | None) -> Finish | None:
    if refusal and isinstance(refusal, str):
        return refused(refusal, reason)
    if reason == "failed":
        return failure(field(choice, "error") or field(raw, "error"))
    return None if reason is None else Finish(reason)


def responses_finish(raw: Any) -> Finish | None:
    """Read the end of a call from an event or an answer of the Responses API.

    The text of a refusal comes in fragments, and then three times more, whole: in a stream only
    the fragments are read.

    Args:
        raw: a `ResponseStreamEvent`, a `Response`, or one as a dict.
    """
    kind = field(raw, "type")
    if isinstance(kind, str):
        read = _EVENTS.get(kind)
        return None if read is None else read(raw)
    if field(raw, "object") != "response":
        return None
    end = _answer_end(raw, field(raw, "status"))
    refusal = _refusal(raw)
    return end if refusal is None else refused(refusal, end and end.reason)


def _refusal_delta(event: Any) -> Finish:
    delta = field(event, "delta")
    return Finish("refusal", delta if isinstance(delta, str) else "")


def _part(event: Any) -> Finish | None:
    return Finish("refusal") if field(field(event, "part"), "type") == "refusal" else None


def _ended(event: Any) -> Finish | None:
    response = field(event, "response")
    end = _answer_end(response, field(event, "type").removeprefix("response."))
    if _refusal(response) is None:
        return end
    return refused("", end and end.reason)


def _error(event: Any) -> Finish:
    nested = field(event, "error")
    if nested is not None:
        return failure(nested)
    code = field(event, "code")  # not its type, which is that of the event
    return Finish("failed", str(field(event, "message") or ""), None if code is None else str(code))


_EVENTS: dict[str, Callable[[Any], Finish | None]] = {
    "response.refusal.delta": _refusal_delta,
    "response.content_part.added": _part,
    "response.content_part.done": _part,
    "response.completed": _ended,
    "response.incomplete": _ended,
    "response.failed": _ended,
    "error": _error,
}


def _answer_end(response: Any, status: Any) -> Finish | None:
    if status == "completed":
        return Finish("tool_calls" if _calls_tools(response) else "stop")
    if status == "incomplete":
        reason = normalised(field(field(response, "incomplete_details"), "reason"))
        return Finish(reason or "incomplete")
    if status == "failed":
        return failure(field(response, "error"))
    return Finish("cancelled") if status == "cancelled" else None


def _calls_tools(response: Any) -> bool:
    calls = ("function_call", "custom_tool_call")
    return any(field(item, "type") in calls for item in items(response, "output"))


def _refusal(response: Any) -> str | None:
    """The text of the refusals in an answer, None where there is none."""
    parts = [
        field(part, "refusal")
        for item in items(response, "output")
        if field(item, "type") == "message"
        for part in items(item, "content")
        if field(part, "type") == "refusal"
    ]
    return "".join(text for text in parts if isinstance(text, str)) if parts else None
