"""Chunks of Chat Completions: of OpenAI and of everybody who speaks as they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock

from llama_index_streaming_ext.llm.chunks.base import ChunkReader, Piece
from llama_index_streaming_ext.llm.chunks.repairs import (
    extra_of,
    other_blocks,
    own_copy,
    own_raw,
    unshared,
)
from llama_index_streaming_ext.llm.chunks.tool_calls import (
    Fragment,
    ToolCallSoFar,
    as_json,
    free_id,
    is_complete,
    told,
)
from llama_index_streaming_ext.llm.raw import get, with_fields


class OpenAIChatReader(ChunkReader):
    """Reader of the chunks of `OpenAI` and its kin from what the server sent.

    The class reads the first tool call of a delta only (U72); this reads them all, whatever
    their order, and mends what servers get wrong: see `_CallsOnTheWire`. One loss is out of
    reach: a first chunk that the async class does not yield, with its reasoning (U71).

    Args:
        only_shown: whether tool calls are mended only where the class shows some: other classes
            than OpenAI's may keep them elsewhere.
    """

    def __init__(self, *, only_shown: bool = False) -> None:
        super().__init__()
        self._only_shown = only_shown
        self._wire = _CallsOnTheWire()
        self._calls = self._wire.calls

    @property
    def tool_calls(self) -> list[tuple[str, str, str]]:
        """The tool calls so far: id, name and the text of the arguments."""
        return [(c.shown_id, c.tool_name, str(c.arguments)) for c in self._wire.shown()]

    def read(self, chunk: ChatResponse) -> Piece:
        """Read the next chunk."""
        delta, thinking = chunk.delta, None
        if delta is None:
            delta = self._delta(chunk)
        elif delta:
            self._text.add(delta)
        if extra := extra_of(chunk):
            thinking = extra.get("thinking_delta")
            if thinking:
                self._thinking.add(thinking)
        said = _tool_calls(chunk.raw)
        if not said:
            return Piece(delta, thinking, ())
        if not self._only_shown:
            said = _as_they_came(said, chunk.message)
        return Piece(delta, thinking, self._wire.read(said))

    def repaired(self, chunk: ChatResponse) -> ChatResponse:
        """The chunk with every tool call so far, and with objects of its own."""
        message = chunk.message
        has_list = "tool_calls" in message.additional_kwargs
        has_blocks = any(isinstance(block, ToolCallBlock) for block in message.blocks)
        if not (has_list or has_blocks or (self._calls and not self._only_shown)):
            return chunk
        blocks = message.blocks
        if has_blocks or not self._only_shown:
            shown = [call.block() for call in self._wire.shown()]
            blocks = [*other_blocks(message), *shown]
        extra = unshared(message.additional_kwargs)
        if has_list or not self._only_shown:
            extra["tool_calls"] = [call.as_sent() for call in self._wire.shown()]
        return own_copy(chunk, blocks, message_extra=extra, raw=own_raw(chunk.raw))


def _tool_calls(raw: Any) -> Sequence[Any] | None:
    try:
        # This is what every token costs.
        choices = raw.choices
        return choices[0].delta.tool_calls if choices else None
    except AttributeError:
        choices = get(raw, "choices")
        return get(get(choices[0], "delta"), "tool_calls") if choices else None


def _as_they_came(said: Sequence[Any], message: ChatMessage) -> Sequence[Any]:
    """The tool calls of a delta as they were when the class yielded it.

    U73: the class adds what comes later to the first of them, where that began a call. Where
    chunks are read late (an LLM in a thread may be ahead), its block says what it was.
    """
    first = said[0]
    sums: Sequence[Any] = message.additional_kwargs.get("tool_calls") or ()
    function = get(first, "function")
    if function is None or not any(call is first for call in sums):
        return said
    shown = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if not shown:
        return said
    was = shown[-1]
    function = with_fields(function, name=was.tool_name, arguments=was.tool_kwargs)
    return [with_fields(first, id=was.tool_call_id, function=function), *said[1:]]


class _CallOnTheWire(ToolCallSoFar):
    """A tool call, and how the server spoke of it."""

    def __init__(self, index: int, said: Any, others: Sequence[ToolCallSoFar]) -> None:
        super().__init__(index)
        self.sent_id = ""
        self._said = said
        self._function: Any = None
        self._others = others

    @property
    def is_function(self) -> bool:
        """True if it has ever had a function, without which it is no call."""
        return self._function is not None

    def hear(self, said: Any) -> Fragment | None:
        """Take the next piece of it."""
        function = get(said, "function")
        if self._function is None:
            self._function = function
        self.sent_id = self.sent_id or get(said, "id") or ""
        self._named(get(function, "name") or "")
        arguments = _arguments(function)
        if arguments and not self.tool_id:
            self.tool_id = self.shown_id
        return self.add(arguments)

    def end(self) -> Fragment | None:
        """Return the additions that only the end makes certain."""
        self.tool_id = self.shown_id
        return super().end() if self.is_function else None

    def block(self) -> ToolCallBlock:
        """The call as LlamaIndex's messages hold it."""
        block = super().block()
        block.tool_call_id = self.shown_id
        return block

    def as_sent(self) -> Any:
        """The call as `additional_kwargs["tool_calls"]` holds it: as the server's own objects."""
        function = with_fields(self._function, name=self.tool_name, arguments=str(self.arguments))
        return with_fields(
            self._said, id=self.shown_id, index=self.index, type="function", function=function
        )

    @property
    def shown_id(self) -> str:
        """The id that it has, or will have if no better one comes before its arguments."""
        if self.tool_id:
            return self.tool_id
        others = (call for call in self._others if call is not self)
        return free_id(self.sent_id, self.index, others)

    def _named(self, name: str) -> None:
        # Names come whole, again with every piece, in pieces, or longer each time.
        if self.arguments:
            self.tool_name = self.tool_name or name
        elif name.startswith(self.tool_name):
            self.tool_name = name
        elif name:
            self.tool_name += name


class _CallsOnTheWire:
    """The tool calls of one answer.

    A piece belongs to the call with its `index`. What servers get wrong, and what is made of it:

    * one index for all calls: a piece with another id and a name, or without id and with the
      beginning of arguments, begins a new call once the arguments at that index are complete;
    * no index: a piece belongs to the call with its id; one with another id and a name begins a
      call; others belong to the last one;
    * another id with every piece: the first one stays;
    * no id: `call_<index>`; an id twice: the second has its index after it;
    * a name again, in pieces, or after the arguments: fragments wait for it;
    * arguments as a dict: they are one fragment.
    """

    def __init__(self) -> None:
        self.calls: list[ToolCallSoFar] = []
        self._all: list[_CallOnTheWire] = []
        self._by_index: dict[int, _CallOnTheWire] = {}
        self._by_id: dict[str, _CallOnTheWire] = {}

    def read(self, said: Sequence[Any]) -> Sequence[Fragment]:
        """Take the tool calls of a delta."""
        return told([self._call(piece).hear(piece) for piece in said])

    def shown(self) -> Sequence[_CallOnTheWire]:
        """The calls that are calls."""
        return [call for call in self._all if call.is_function]

    def _call(self, said: Any) -> _CallOnTheWire:
        index, sent_id = get(said, "index"), get(said, "id") or ""
        call = self._known(index, sent_id, get(said, "function")) or self._begun(said)
        if index is not None:
            self._by_index[index] = call
        if sent_id:
            self._by_id.setdefault(sent_id, call)
        return call

    def _begun(self, said: Any) -> _CallOnTheWire:
        call = _CallOnTheWire(len(self._all), said, self.calls)
        self._all.append(call)
        self.calls.append(call)
        return call

    def _known(self, index: int | None, sent_id: str, function: Any) -> _CallOnTheWire | None:
        named = self._by_id.get(sent_id)
        name = get(function, "name") or ""
        here = named if index is None else self._by_index.get(index)
        if index is None and here is None and not (sent_id and name):
            here = self._all[-1] if self._all else None
        if here is None:
            return None if name else named
        another = bool(sent_id) and sent_id != here.sent_id
        if another and named is not None:
            return named
        begins = _begins_with_id if another and here.sent_id else _begins_without
        return None if name and begins(here, name, _arguments(function)) else here


def _begins_with_id(here: _CallOnTheWire, name: str, arguments: str) -> bool:
    return not here.arguments or _is_complete(here)


def _begins_without(here: _CallOnTheWire, name: str, arguments: str) -> bool:
    if not arguments:
        return name != here.tool_name and _is_complete(here)
    return arguments.lstrip().startswith("{") and _is_complete(here)


def _is_complete(call: _CallOnTheWire) -> bool:
    # Parsed only where the last piece closes something, not for every piece.
    ends = call.arguments.last().rstrip().endswith("}")
    return ends and is_complete(str(call.arguments))


def _arguments(function: Any) -> str:
    arguments = get(function, "arguments")
    if arguments and isinstance(arguments, Mapping):
        return as_json(cast("Mapping[str, Any]", arguments))
    return arguments or ""
