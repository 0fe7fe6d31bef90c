"""A turn in the format of the Responses API."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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
from llama_index_streaming_ext.testing.wire.chat import call_id, finish_reason, token_counts
from llama_index_streaming_ext.testing.wire.items import (
    Chunk,
    Disconnect,
    Done,
    Fail,
    Http,
    Truncated,
    WireItem,
)

_Data: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class _Kind:
    """The form of one kind of text: an item with a single part."""

    prefix: str
    item: _Data
    slot: str
    part: _Data
    key: str
    index: str
    part_event: str
    text_event: str
    extra: _Data = field(default_factory=dict[str, Any])


_MESSAGE: _Data = {"type": "message", "status": "in_progress", "content": [], "role": "assistant"}
_KINDS: dict[type, _Kind] = {
    Text: _Kind(
        "msg",
        _MESSAGE,
        "content",
        {"type": "output_text", "annotations": [], "logprobs": [], "text": ""},
        "text",
        "content_index",
        "response.content_part",
        "response.output_text",
        {"logprobs": []},
    ),
    Refusal: _Kind(
        "msg",
        _MESSAGE,
        "content",
        {"type": "refusal", "refusal": ""},
        "refusal",
        "content_index",
        "response.content_part",
        "response.refusal",
    ),
    Thinking: _Kind(
        "rs",
        {"type": "reasoning", "summary": [], "encrypted_content": None},
        "summary",
        {"type": "summary_text", "text": ""},
        "text",
        "summary_index",
        "response.reasoning_summary_part",
        "response.reasoning_summary_text",
    ),
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def responses_items(turn: Turn, request: Request) -> Iterator[WireItem]:
    """Yield the items that the Responses API sends for a scripted turn.

    Args:
        turn: the answer.
        request: the call.
    """
    answer = _Answer(turn, request)
    for part in turn.parts:
        for step in answer.part(part):
            if isinstance(step, Fail) and step.provider:
                yield from answer.end("failed", step.message)
                return
            yield step
            if isinstance(step, Fail | Disconnect | Http | Truncated):
                return
    yield from answer.end(_status(turn))


def responses_full(turn: Turn, request: Request) -> _Data:
    """The body of an answer of the Responses API that is not streamed.

    Args:
        turn: the answer.
        request: the call.
    """
    answer = _Answer(turn, request)
    for part in turn.parts:
        for _ in answer.part(part):
            pass
    return answer.response(_status(turn), usage=True)


def _status(turn: Turn) -> str:
    return "incomplete" if finish_reason(turn) in _INCOMPLETE else "completed"


@dataclass
class _Open:
    """The text item that is being written."""

    type: type
    kind: _Kind
    index: int
    item: _Data
    texts: list[str]

    @property
    def place(self) -> _Data:
        return {
            "item_id": self.item["id"],
            "output_index": self.index,
            self.kind.index: 0,
        }

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def part(self) -> _Data:
        return {**self.kind.part, self.kind.key: self.text}

    def finished(self, status: str) -> _Data:
        done = {**self.item, self.kind.slot: [self.part()]}
        return {**done, "status": status} if "status" in done else done


class _Answer:
    """The events of one answer, and what they add up to."""

    def __init__(self, turn: Turn, request: Request) -> None:
        self._turn = turn
        self._request = request
        self._numbers = itertools.count()
        self._calls = itertools.count(1)
        self._items: list[_Data] = []
        self._open: _Open | None = None
        self._begun = False

    def part(self, part: Part) -> Iterable[WireItem]:
        """Yield the items for one part."""
        if isinstance(part, Text | Refusal | Thinking):
            return self._text(type(part), part.deltas)
        if isinstance(part, ToolCall | Parallel):
            return self._calls_of(part)
        return () if isinstance(part, Usage | Finish) else (part,)

    def end(self, status: str, message: str | None = None) -> Iterator[WireItem]:
        """Yield the items at the end: completed, incomplete or failed."""
        yield from self._begin()
        if status == "completed":
            yield from self._close()
        response = self.response(status, usage=True, message=message)
        yield self._event(f"response.{status}", response=response)
        yield Done("responses")

    def _begin(self) -> Iterator[Chunk]:
        if not self._begun:
            self._begun = True
            for name in ("created", "in_progress"):
                yield self._event(f"response.{name}", response=self.response("in_progress"))

    def _event(self, kind: str, **data: Any) -> Chunk:
        return Chunk({"type": kind, "sequence_number": next(self._numbers), **data}, kind)

    def _text(self, part_type: type, deltas: tuple[str, ...]) -> Iterator[WireItem]:
        yield from self._begin()
        # Parts of one kind in a row are one item, whatever pauses stand between them.
        if self._open is None or self._open.type is not part_type:
            yield from self._close()
            yield from self._start(part_type)
        assert self._open is not None
        kind, place = self._open.kind, self._open.place
        for delta in deltas:
            self._open.texts.append(delta)
            yield self._event(f"{kind.text_event}.delta", **place, delta=delta, **kind.extra)

    def _start(self, part_type: type) -> Iterator[WireItem]:
        kind = _KINDS[part_type]
        index = len(self._items)
        item = {"id": f"{kind.prefix}_fake_{index + 1}", **kind.item}
        self._items.append(item)
        self._open = _Open(part_type, kind, index, item, [])
        yield self._event("response.output_item.added", output_index=index, item=item)
        yield self._event(f"{kind.part_event}.added", **self._open.place, part=kind.part)

    def _close(self) -> Iterator[WireItem]:
        done, self._open = self._open, None
        if done is None:
            return
        kind, item = done.kind, done.finished("completed")
        self._items[done.index] = item
        said = {kind.key: done.text}
        yield self._event(f"{kind.text_event}.done", **done.place, **said, **kind.extra)
        yield self._event(f"{kind.part_event}.done", **done.place, part=done.part())
        yield self._event("response.output_item.done", output_index=done.index, item=item)

    def _calls_of(self, part: ToolCall | Parallel) -> Iterator[WireItem]:
        yield from self._begin()
        yield from self._close()
        if isinstance(part, ToolCall):
            yield from self._call(part, *self._add_call(part))
            return
        # They are numbered before the first is sent, in the order in which they are written.
        lanes = [self._call(call, *self._add_call(call)) for call in part.calls]
        if part.order == "together":
            yield from itertools.chain(*lanes)
            return
        for row in itertools.zip_longest(*lanes):
            yield from (step for step in row if step is not None)

    def _call(self, call: ToolCall, index: int, item: _Data) -> Iterator[WireItem]:
        place: _Data = {"item_id": item["id"], "output_index": index}
        yield self._event("response.output_item.added", output_index=index, item=item)
        for piece in call.fragments:
            if isinstance(piece, str):
                yield self._event("response.function_call_arguments.delta", **place, delta=piece)
            else:
                yield piece
        whole = call.arguments
        done = {**item, "status": "completed", "arguments": whole}
        self._items[index] = done
        yield self._event("response.function_call_arguments.done", **place, arguments=whole)
        yield self._event("response.output_item.done", output_index=index, item=done)

    def _add_call(self, call: ToolCall) -> tuple[int, _Data]:
        index = len(self._items)
        item: _Data = {
            "id": f"fc_fake_{index + 1}",
            "type": "function_call",
            "status": "in_progress",
            "arguments": "",
            "call_id": call_id(call, next(self._calls), self._request),
            "name": call.name,
        }
        self._items.append(item)
        return index, item

    def response(self, status: str, *, usage: bool = False, message: str | None = None) -> _Data:
        """The response object, as far as it got."""
        envelope = self._turn.envelope
        error = None if message is None else {"code": "server_error", "message": message}
        reason = _INCOMPLETE.get(finish_reason(self._turn)) if status == "incomplete" else None
        return {
            "id": envelope.id if envelope.id is not None else "resp_fake",
            "object": "response",
            "created_at": envelope.created,
            "status": status,
            "background": False,
            "error": error,
            "incomplete_details": {"reason": reason} if reason else None,
            "instructions": None,
            "max_output_tokens": None,
            "max_tool_calls": None,
            "model": envelope.model,
            "output": self._output(status) if self._begun and usage else [],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "prompt_cache_key": None,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": None,
            "service_tier": envelope.service_tier,
            "store": True,
            "temperature": 0.1,
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": self._usage() if usage else None,
            "user": None,
            "metadata": {},
        }

    def _output(self, status: str) -> list[_Data]:
        items = list(self._items)
        if self._open is not None:
            ended = "completed" if status == "completed" else "incomplete"
            items[self._open.index] = self._open.finished(ended)
        return items

    def _usage(self) -> _Data:
        prompt, completion = token_counts(self._turn, self._request)
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + completion,
        }
