"""A turn in the Chat Completions format."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from llama_index_streaming_ext.testing.script.parts import (
    Finish,
    Parallel,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.script.turns import Turn
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Disconnect,
    Done,
    Fail,
    Http,
    Truncated,
    WireItem,
)

Delta: TypeAlias = dict[str, Any]
"""The `delta` of a chunk's only choice."""
_Step: TypeAlias = "Delta | Finish | WireItem"


def chat_items(turn: Turn, request: Request) -> Iterator[WireItem]:
    """Yield the items that Chat Completions sends for a scripted turn.

    Args:
        turn: the answer.
        request: the call.
    """
    answer = _Answer(turn, request)
    first = True
    for step in _finished(turn, answer.steps()):
        if isinstance(step, Fail) and step.provider:
            yield Chunk({"error": error_object(step.message)})
            return
        if not isinstance(step, dict | Finish):
            yield step
            continue
        if first:
            yield from answer.opening(step)
        yield answer.chunk(step, first=first)
        first = False
    if request.include_usage and turn.framing.usage == "alone":
        yield answer.envelope([], usage_object(turn, request))
    yield Done("chat")


def chat_full(turn: Turn, request: Request) -> dict[str, Any]:
    """The body of a Chat Completions answer that is not streamed.

    Args:
        turn: the answer.
        request: the call.
    """
    choice = {
        "index": 0,
        "message": _message(turn, request),
        "logprobs": None,
        "finish_reason": finish_reason(turn),
    }
    head, tail = _head(turn, "chat.completion"), _tail(turn)
    return {**head, "choices": [choice], "usage": usage_object(turn, request), **tail}


def call_id(call: ToolCall, number: int, request: Request) -> str:
    """The id of a tool call.

    Args:
        call: the call.
        number: which call of the turn it is, from 1.
        request: the request that the turn answers.
    """
    return call.id if call.id is not None else f"call_{request.number}_{number}"


def finish_reason(turn: Turn) -> str:
    """Why the model stopped: what the turn says, or what its parts imply."""
    said = [part.reason for part in turn.parts if isinstance(part, Finish)]
    return said[0] if said else "tool_calls" if turn.tool_calls else "stop"


def token_counts(turn: Turn, request: Request) -> tuple[int, int]:
    """The tokens of request and answer: the turn's `usage(...)`, or words and deltas."""
    for part in turn.parts:
        if isinstance(part, Usage):
            return part.prompt, part.completion
    texts = sum(len(p.deltas) for p in turn.parts if isinstance(p, Text | Thinking | Refusal))
    calls = sum(isinstance(piece, str) for call in turn.tool_calls for piece in call.fragments)
    return request.words, texts + calls


def usage_object(turn: Turn, request: Request) -> dict[str, Any]:
    """The usage, in the form of Chat Completions."""
    prompt, completion = token_counts(turn, request)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def error_object(message: str) -> dict[str, Any]:
    """The error object that a provider puts into a stream."""
    return {"message": message, "type": "server_error", "param": None, "code": None}


def joined(turn: Turn, kind: type[Text] | type[Thinking] | type[Refusal]) -> str | None:
    """The text of all parts of one kind, None where there is none."""
    parts = [part for part in turn.parts if isinstance(part, kind)]
    return "".join(d for part in parts for d in part.deltas) if parts else None


class _Answer:
    """The chunks of one answer."""

    def __init__(self, turn: Turn, request: Request) -> None:
        self._turn = turn
        self._request = request
        self._framing = turn.framing
        self._thinks = any(isinstance(part, Thinking) for part in turn.parts)
        self._head = _head(turn, "chat.completion.chunk") | _tail(turn)
        self._calls = itertools.count()

    def steps(self) -> Iterator[_Step]:
        """The deltas, and what happens between them; the role is not in them yet."""
        for part in self._turn.parts:
            yield from self._part(part)

    def _part(self, part: Part) -> Iterable[_Step]:
        if isinstance(part, Text):
            return (self._with_reasoning({"content": d}) for d in part.deltas)
        if isinstance(part, Thinking):
            return ({"content": None, self._framing.reasoning: d} for d in part.deltas)
        if isinstance(part, Refusal):
            return ({"refusal": d} for d in part.deltas)
        if isinstance(part, ToolCall):
            return self._call(part, next(self._calls))
        if isinstance(part, Parallel):
            return self._parallel(part)
        return () if isinstance(part, Usage) else (part,)

    def _with_reasoning(self, delta: Delta) -> Delta:
        return {**delta, self._framing.reasoning: None} if self._thinks else delta

    def _parallel(self, part: Parallel) -> Iterable[_Step]:
        numbered = [(call, next(self._calls)) for call in part.calls]
        if part.order == "together":
            yield from (p for call in part.calls for p in call.fragments if not isinstance(p, str))
            yield {"tool_calls": [self._begun(c, i, c.arguments) for c, i in numbered]}
            return
        lanes = [self._call(call, index) for call, index in numbered]
        for row in itertools.zip_longest(*lanes):
            yield from (step for step in row if step is not None)

    def _call(self, call: ToolCall, index: int) -> Iterator[_Step]:
        if self._framing.calls == "whole":
            yield from (piece for piece in call.fragments if not isinstance(piece, str))
            yield {"tool_calls": [self._begun(call, index, call.arguments)]}
            return
        begun = False
        if self._framing.calls == "head":
            yield {"tool_calls": [self._begun(call, index, "")]}
            begun = True
        for piece in call.fragments:
            if not isinstance(piece, str):
                yield piece
            elif begun:
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            else:
                yield {"tool_calls": [self._begun(call, index, piece)]}
                begun = True

    def _begun(self, call: ToolCall, index: int, arguments: str) -> dict[str, Any]:
        return {
            "index": index,
            "id": call_id(call, index + 1, self._request),
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }

    def opening(self, step: Delta | Finish) -> Iterator[WireItem]:
        """The chunk that has nothing but the role, where there is one."""
        if self._framing.role == "alone" or (self._framing.role == "openai" and not self._lone()):
            yield self.envelope([_choice(_role_delta(step, self._framing.reasoning))])

    def _lone(self) -> bool:
        """OpenAI sends the role with the head of a call, if that is all there is."""
        parts = [part for part in self._turn.parts if not isinstance(part, Usage | Finish)]
        return len(parts) == 1 and isinstance(parts[0], ToolCall)

    def chunk(self, step: Delta | Finish, *, first: bool) -> Chunk:
        """The chunk of one delta."""
        if isinstance(step, Finish):
            delta = {"content": "", self._framing.reasoning: None} if self._thinks else {}
            reason = step.reason
        else:
            delta = dict(step)
            reason = delta.pop(_FINISH, None)
        choice = _choice(self._with_role(delta, first=first), reason)
        if reason and self._request.include_usage and self._framing.usage == "finish":
            return self.envelope([choice], usage_object(self._turn, self._request))
        return self.envelope([choice])

    def _with_role(self, delta: Delta, *, first: bool) -> Delta:
        role = self._framing.role
        if first and role == "openai" and self._lone():
            return {"role": "assistant", "content": None, **delta, "refusal": None}
        if role == "every" or (first and role == "first"):
            content = {"content": None} if delta else {}
            return {"role": "assistant", **content, **delta}
        return delta

    def envelope(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> Chunk:
        """A chunk with these choices."""
        data = {**self._head, "choices": choices}
        if self._request.include_usage:
            data["usage"] = usage
        return Chunk(data)


_FINISH = "finish_reason"
"""The key under which the last delta holds the finish reason until it is a chunk."""


def _finished(turn: Turn, steps: Iterator[_Step]) -> Iterator[_Step]:
    """End the answer, if nothing ends it before, and put the finish reason where it belongs."""
    said = any(isinstance(part, Finish) for part in turn.parts)
    end = () if said else (Finish(finish_reason(turn)),)  # pyright: ignore[reportArgumentType]
    held: _Step | None = None
    for step in itertools.chain(steps, end):
        if isinstance(step, Finish) and turn.framing.finish == "last" and isinstance(held, dict):
            step = {**held, _FINISH: step.reason}
        elif held is not None:
            yield held
        held = step
        if not isinstance(step, dict):
            yield step
            held = None
        if isinstance(step, Fail | Disconnect | Http | Truncated):
            return
    if held is not None:
        yield held


def _role_delta(step: Delta | Finish, reasoning: str) -> Delta:
    """OpenAI's first delta: the field that comes next is there, and empty."""
    said = step if isinstance(step, dict) else {}
    if said.get(reasoning) is not None:
        return {"role": "assistant", "content": None, reasoning: ""}
    if "refusal" in said:
        return {"role": "assistant", "content": None, "refusal": ""}
    content = None if "tool_calls" in said else ""
    return {"role": "assistant", "content": content, "refusal": None}


def _choice(delta: Delta, reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _head(turn: Turn, kind: str) -> dict[str, Any]:
    envelope = turn.envelope
    return {
        "id": envelope.id if envelope.id is not None else "chatcmpl-fake",
        "object": kind,
        "created": envelope.created,
        "model": envelope.model,
    }


def _tail(turn: Turn) -> dict[str, Any]:
    envelope = turn.envelope
    return {
        "service_tier": envelope.service_tier,
        "system_fingerprint": envelope.system_fingerprint,
    }


def _message(turn: Turn, request: Request) -> dict[str, Any]:
    refused, calls = joined(turn, Refusal), turn.tool_calls
    content = joined(turn, Text)
    if content is None and refused is None and not calls:
        content = ""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content,
        "refusal": refused,
        "annotations": [],
    }
    if (thought := joined(turn, Thinking)) is not None:
        message[turn.framing.reasoning] = thought
    if calls:
        message["tool_calls"] = [_whole(call, i, request) for i, call in enumerate(calls, 1)]
    return message


def _whole(call: ToolCall, number: int, request: Request) -> dict[str, Any]:
    return {
        "id": call_id(call, number, request),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
