"""The parts that a provider's chunks, or its whole answer, add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from llama_index_streaming_ext.testing.script.failures import failure
from llama_index_streaming_ext.testing.script.parts import (
    Finish,
    Part,
    Reason,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from llama_index_streaming_ext.testing.wire.items import Dialect, Fail

_Data: TypeAlias = Mapping[str, Any]
_Kind: TypeAlias = type[Text] | type[Thinking] | type[Refusal]
_INCOMPLETE: dict[str, Reason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}


@dataclass
class _Run:
    """Deltas of one kind in a row."""

    kind: _Kind
    deltas: list[str]

    def part(self) -> Part:
        return self.kind(tuple(self.deltas))


@dataclass
class _Call:
    """A tool call, with the pieces of its arguments so far."""

    name: str
    id: str | None
    pieces: list[str] = field(default_factory=list[str])

    def part(self) -> Part:
        return ToolCall(self.name, tuple(self.pieces), self.id)


class _Collector:
    """Collects pieces: what belongs together becomes one part, where it began."""

    def __init__(self) -> None:
        self._made: list[_Run | _Call] = []
        self._calls: dict[object, _Call] = {}
        self._end: list[Part] = []

    def text(self, kind: _Kind, delta: object) -> None:
        if not isinstance(delta, str) or not delta:
            return
        last = self._made[-1] if self._made else None
        if isinstance(last, _Run) and last.kind is kind:
            last.deltas.append(delta)
        else:
            self._made.append(_Run(kind, [delta]))

    def call(self, key: object, said: _Data) -> None:
        """Begin the call of that key, if it is new."""
        if key not in self._calls:
            call = _Call(said.get("name") or "", said.get("id") or said.get("call_id"))
            self._calls[key] = call
            self._made.append(call)

    def arguments(self, key: object, piece: object) -> None:
        if isinstance(piece, str) and piece and key in self._calls:
            self._calls[key].pieces.append(piece)

    def end(self, *parts: Part) -> None:
        self._end.extend(parts)

    def parts(self) -> list[Part]:
        return [made.part() for made in self._made] + self._end


def parts_of_chat(chunks: Iterable[_Data]) -> list[Part]:
    """The parts of a stream of Chat Completions.

    Args:
        chunks: the payloads of its events.
    """
    collected = _Collector()
    for chunk in chunks:
        if error := chunk.get("error"):
            collected.end(_provider_error(error))
            break
        for choice in _list(chunk, "choices")[:1]:
            _chat_message(collected, _object(choice, "delta"))
            collected.end(*_finish(choice.get("finish_reason")))
        collected.end(*_usage(chunk.get("usage"), "prompt_tokens", "completion_tokens"))
    return collected.parts()


def parts_of_responses(events: Iterable[_Data]) -> list[Part]:
    """The parts of a stream of the Responses API.

    Args:
        events: the payloads of its events.
    """
    collected = _Collector()
    for event in events:
        if read := _EVENTS.get(str(event.get("type"))):
            read(collected, event)
    return collected.parts()


def parts_of_full(full: _Data, dialect: Dialect) -> list[Part]:
    """The parts of an answer that was not streamed.

    Args:
        full: the JSON body.
        dialect: the wire format.
    """
    collected = _Collector()
    if dialect == "responses":
        for item in _list(full, "output"):
            _responses_item(collected, item)
        _responses_end(collected, {"response": full})
        return collected.parts()
    for choice in _list(full, "choices")[:1]:
        _chat_message(collected, _object(choice, "message"))
        collected.end(*_finish(choice.get("finish_reason")))
    collected.end(*_usage(full.get("usage"), "prompt_tokens", "completion_tokens"))
    return collected.parts()


def _chat_message(collected: _Collector, said: _Data) -> None:
    collected.text(Thinking, said.get("reasoning_content") or said.get("reasoning"))
    collected.text(Text, said.get("content"))
    collected.text(Refusal, said.get("refusal"))
    for position, call in enumerate(_list(said, "tool_calls")):
        key, function = call.get("index", position), _object(call, "function")
        collected.call(key, {**function, "id": call.get("id")})
        collected.arguments(key, function.get("arguments"))


def _responses_item(collected: _Collector, item: _Data) -> None:
    for part in _list(item, "content"):
        collected.text(Refusal if part.get("type") == "refusal" else Text, _said(part))
    for part in _list(item, "summary"):
        collected.text(Thinking, _said(part))
    if item.get("type") == "function_call":
        collected.call(item.get("id"), {**item, "id": item.get("call_id")})
        collected.arguments(item.get("id"), item.get("arguments"))


def _said(part: _Data) -> object:
    return part.get("text", part.get("refusal"))


def _responses_call(collected: _Collector, event: _Data) -> None:
    item = _object(event, "item")
    if item.get("type") == "function_call":
        _responses_item(collected, item)


def _responses_end(collected: _Collector, event: _Data) -> None:
    response = _object(event, "response")
    why = _object(response, "incomplete_details").get("reason")
    collected.end(*_finish(_INCOMPLETE.get(str(why))))
    collected.end(*_usage(response.get("usage"), "input_tokens", "output_tokens"))
    if error := response.get("error"):
        collected.end(_provider_error(error))


def _delta_of(kind: _Kind) -> Callable[[_Collector, _Data], None]:
    return lambda collected, event: collected.text(kind, event.get("delta"))


_EVENTS: dict[str, Callable[[_Collector, _Data], None]] = {
    "response.output_text.delta": _delta_of(Text),
    "response.refusal.delta": _delta_of(Refusal),
    "response.reasoning_summary_text.delta": _delta_of(Thinking),
    "response.reasoning_text.delta": _delta_of(Thinking),
    "response.output_item.added": _responses_call,
    "response.function_call_arguments.delta": lambda collected, event: collected.arguments(
        event.get("item_id"), event.get("delta")
    ),
    "response.completed": _responses_end,
    "response.incomplete": _responses_end,
    "response.failed": _responses_end,
    "error": lambda collected, event: collected.end(_provider_error(event)),
}


def _object(said: _Data, name: str) -> _Data:
    """A field that may be missing or null."""
    return cast("_Data | None", said.get(name)) or {}


def _list(said: _Data, name: str) -> list[_Data]:
    """A field that may be missing or null."""
    return cast("list[_Data] | None", said.get(name)) or []


def _finish(reason: Any) -> Iterator[Part]:
    if reason:
        yield Finish("tool_calls" if reason == "function_call" else reason)


def _usage(said: _Data | None, prompt: str, completion: str) -> Iterator[Part]:
    if said:
        yield Usage(said.get(prompt) or 0, said.get(completion) or 0)


def _provider_error(error: Any) -> Fail:
    message = cast("_Data", error).get("message") if isinstance(error, Mapping) else None
    return failure(message or "An error occurred during streaming")
