"""Events of the Responses API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatResponse,
    ContentBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llama_index_streaming_ext.llm.chunks.base import ChunkReader, Piece
from llama_index_streaming_ext.llm.chunks.repairs import own_copy
from llama_index_streaming_ext.llm.chunks.tool_calls import Fragment, ToolCallSoFar, free_id, told
from llama_index_streaming_ext.llm.raw import get, with_fields

_logger = logging.getLogger("llama_index_streaming_ext")

_THOUGHTS = {
    "response.reasoning_summary_text.delta": "summary_index",
    "response.reasoning_text.delta": "content_index",
}


class OpenAIResponsesReader(ChunkReader):
    """Reads the chunks of `OpenAIResponses`, whose messages are those of one event each (U74)."""

    def __init__(self) -> None:
        super().__init__()
        self._said = _CallsInEvents()
        self._calls = self._said.calls
        self._thought_of: tuple[object, ...] = ()
        self._thinking_blocks: list[ThinkingBlock] = []
        self._thinking_ended = 0

    def read(self, chunk: ChatResponse) -> Piece:
        """Read the next chunk."""
        raw = chunk.raw
        kind = get(raw, "type")
        if kind == "response.output_text.delta":
            return Piece(self._delta(chunk), None, ())
        thinking = self._thought(kind, raw) if kind in _THOUGHTS else None
        if kind == "response.output_item.done":
            thinking = self._thinking_done(chunk)
        return Piece(self._delta(chunk), thinking, self._said.read(kind, raw))

    def repaired(self, chunk: ChatResponse) -> ChatResponse:
        """The chunk with everything so far; the last one has it already, and keeps its blocks."""
        if get(chunk.raw, "type") == "response.completed":
            return self._completed(chunk)
        blocks = self._so_far()
        if not blocks:
            return chunk
        shown = (TextBlock, ThinkingBlock, ToolCallBlock)
        others = [block for block in chunk.message.blocks if not isinstance(block, shown)]
        return own_copy(chunk, [*blocks, *others, *self._call_blocks()], raw=_own_raw(chunk.raw))

    def _completed(self, chunk: ChatResponse) -> ChatResponse:
        said = chunk.message.blocks
        # The class puts what the first message says before each further one, as the same blocks.
        blocks = list({id(block): block for block in said}.values())
        if self._text and not any(isinstance(block, TextBlock) for block in blocks):
            blocks = [*self._so_far(), *(b for b in blocks if not isinstance(b, ThinkingBlock))]
        blocks = self._with_one_text(blocks)
        if not any(isinstance(block, ToolCallBlock) for block in blocks):
            blocks += self._call_blocks()
        return chunk if [*map(id, blocks)] == [*map(id, said)] else own_copy(chunk, blocks)

    def _with_one_text(self, blocks: list[ContentBlock]) -> list[ContentBlock]:
        """The text in one block, as it was streamed: core puts line breaks between blocks (L3)."""
        texts = [block for block in blocks if isinstance(block, TextBlock)]
        if len(texts) < 2 or "".join(block.text for block in texts) != self.text:
            return blocks
        whole = TextBlock(text=self.text)
        others = texts[1:]
        return [whole if b is texts[0] else b for b in blocks if not any(b is o for o in others)]

    def _so_far(self) -> list[ContentBlock]:
        if not (self._text or self._thinking or self._thinking_blocks or self._calls):
            return []
        blocks: list[ContentBlock] = [*self._thinking_blocks]
        if pending := self.thinking[self._thinking_ended :].removeprefix("\n"):
            blocks.append(ThinkingBlock(content=pending))
        return [*blocks, TextBlock(text=self.text)]

    def _call_blocks(self) -> list[ToolCallBlock]:
        return [call.block() for call in self._calls]

    def _thought(self, kind: str, raw: Any) -> str:
        # The class joins the parts of what was thought by line breaks.
        part = (get(raw, "output_index"), kind, get(raw, _THOUGHTS[kind]))
        begins, self._thought_of = part != self._thought_of, part
        return self._think(get(raw, "delta") or "", begins=begins)

    def _think(self, said: str, *, begins: bool) -> str:
        if said and begins and self._thinking:
            said = f"\n{said}"
        if said:
            self._thinking.add(said)
        return said

    def _thinking_done(self, chunk: ChatResponse) -> str | None:
        found = [block for block in chunk.message.blocks if isinstance(block, ThinkingBlock)]
        if not found:
            return None
        self._thinking_blocks += found
        index = get(chunk.raw, "output_index")
        streamed = self._thought_of[:1] == (index,)
        whole = "\n".join(block.content for block in found if block.content)
        thinking = None if streamed else self._think(whole, begins=True)
        self._thinking_ended = len(self.thinking)
        self._thought_of = ()
        return thinking or None


def _own_raw(raw: Any) -> Any:
    # The class writes the arguments into the item of the event that began the call (U73).
    if get(raw, "type") != "response.output_item.added":
        return raw
    return with_fields(raw, item=with_fields(get(raw, "item")))


class _CallsInEvents:
    """The tool calls of one response, by their place in its output."""

    def __init__(self) -> None:
        self.calls: list[ToolCallSoFar] = []
        self._by_place: dict[object, ToolCallSoFar] = {}
        self._warned: set[int] = set()
        self._readers: Mapping[str, Callable[[Any], Sequence[Fragment | None]]] = {
            "response.output_item.added": self._added,
            "response.function_call_arguments.delta": self._grown,
            "response.function_call_arguments.done": self._written,
            "response.output_item.done": self._done,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
        }

    def read(self, kind: Any, event: Any) -> Sequence[Fragment]:
        """Take an event."""
        read = self._readers.get(kind)
        return told(read(event)) if read is not None else ()

    def _added(self, event: Any) -> Sequence[Fragment | None]:
        # U73: the class adds later arguments to those in this event, which may be read late.
        item, place = get(event, "item"), get(event, "output_index")
        if get(item, "type") == "function_call" and self._found(item, place) is None:
            self._begun(item, place)
        return ()

    def _done(self, event: Any) -> Sequence[Fragment | None]:
        return [self._item(get(event, "item"), get(event, "output_index"))]

    def _ended(self, event: Any) -> Sequence[Fragment | None]:
        output = get(get(event, "response"), "output") or ()
        return [self._item(item, place) for place, item in enumerate(output)]

    def _item(self, item: Any, place: object) -> Fragment | None:
        if get(item, "type") != "function_call":
            return None
        call = self._found(item, place) or self._begun(item, place)
        return self._is_now(call, get(item, "arguments"))

    def _found(self, item: Any, place: object) -> ToolCallSoFar | None:
        # Not by the place alone: some servers leave items out of the whole output.
        sent_id = get(item, "call_id")
        for call in self.calls:
            if sent_id and call.tool_id == sent_id:
                return call
        return None if sent_id else self._by_place.get(place)

    def _begun(self, item: Any, place: object) -> ToolCallSoFar:
        index = len(self.calls)
        tool_id = free_id(get(item, "call_id"), index, self.calls)
        call = ToolCallSoFar(index, tool_id, get(item, "name") or "")
        self.calls.append(call)
        # Where a server leaves out both, pieces belong to the call that began last.
        for name in (place, get(item, "id"), None):
            self._by_place[name] = call
        return call

    def _place(self, event: Any) -> ToolCallSoFar | None:
        place = get(event, "output_index")
        named = self._by_place.get(get(event, "item_id"))
        return named if place is None else self._by_place.get(place, named)

    def _grown(self, event: Any) -> Sequence[Fragment | None]:
        call = self._place(event)
        return [call.add(get(event, "delta") or "")] if call is not None else ()

    def _written(self, event: Any) -> Sequence[Fragment | None]:
        call = self._place(event)
        return [self._is_now(call, get(event, "arguments"))] if call is not None else ()

    def _is_now(self, call: ToolCallSoFar, whole: str | None) -> Fragment | None:
        written = str(call.arguments)
        if not whole or whole == written:
            return None
        if whole.startswith(written):
            return call.add(whole[len(written) :])
        if call.index not in self._warned:
            self._warned.add(call.index)
            _logger.warning(
                "The arguments of tool call %s were streamed as %d characters and are others now;"
                " readers of the stream have the first.",
                call.tool_id,
                len(written),
            )
        return None
