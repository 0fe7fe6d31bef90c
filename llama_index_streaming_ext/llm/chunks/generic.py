"""Chunks of any other class: what its cumulative messages have grown by."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatResponse, TextBlock, ToolCallBlock

from llama_index_streaming_ext.llm.chunks.base import ChunkReader, Piece, piece
from llama_index_streaming_ext.llm.chunks.cumulative import GrowingCall, GrowingCalls
from llama_index_streaming_ext.llm.chunks.repairs import extra_of, own_copy
from llama_index_streaming_ext.llm.chunks.tool_calls import Fragment
from llama_index_streaming_ext.llm.raw import get


class GenericReader(ChunkReader):
    """Reader of the chunks of any LLM, from the tool calls in the blocks of their messages.

    Classes that keep tool calls in `additional_kwargs` only have no fragments.
    """

    def __init__(self) -> None:
        super().__init__()
        self._growing = GrowingCalls()
        self._calls = self._growing.calls

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
        return piece(delta, thinking, self._fragments(chunk))

    def repaired(self, chunk: ChatResponse) -> ChatResponse:
        """The chunk with the ids that its tool calls lack, or share, as the fragments have them."""
        blocks = chunk.message.blocks
        shown = [block for block in blocks if isinstance(block, ToolCallBlock)]
        calls = iter(self._growing.match(shown))
        mended = [_with_id(b, next(calls)) if isinstance(b, ToolCallBlock) else b for b in blocks]
        same = all(a is b for a, b in zip(blocks, mended, strict=True))
        return chunk if same else own_copy(chunk, mended)

    def _fragments(self, chunk: ChatResponse) -> Sequence[Fragment]:
        blocks = chunk.message.blocks
        if not blocks or (len(blocks) == 1 and type(blocks[0]) is TextBlock):
            return ()
        return self._growing.show(blocks)


class AnthropicReader(GenericReader):
    """Reader of the chunks of `Anthropic`, whose raw events have the arguments as text.

    Its messages have them as a dict, of which nobody knows when it is complete.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by_place: dict[object, GrowingCall] = {}

    def read(self, chunk: ChatResponse) -> Piece:
        """Read the next chunk."""
        piece = super().read(chunk)
        raw = chunk.raw
        kind = get(raw, "type")
        if kind == "content_block_start":
            self._started(raw)
        if kind != "content_block_delta":
            return piece
        said = get(raw, "delta")
        if get(said, "type") == "input_json_delta":
            fragment = self._grown(raw, get(said, "partial_json") or "")
            return piece if fragment is None else _with(piece, fragment)
        if get(said, "type") == "thinking_delta" and piece.thinking is None:
            self._thinking.add(get(said, "thinking") or "")
            return piece._replace(thinking=get(said, "thinking"))
        return piece

    def _started(self, raw: object) -> None:
        # The class itself does not show where a block begins; others that speak like it may.
        block = get(raw, "content_block")
        if get(block, "type") == "tool_use":
            shown = ToolCallBlock(tool_call_id=get(block, "id"), tool_name=get(block, "name"))
            self._by_place[get(raw, "index")] = self._growing.match([shown])[0]

    def _grown(self, raw: object, partial_json: str) -> Fragment | None:
        place = get(raw, "index")
        call = self._by_place.get(place) or self._newest()
        if call is None:
            # A tool that the provider's server runs itself.
            return None
        self._by_place[place] = call
        call.told_elsewhere = call.told_elsewhere or bool(partial_json)
        return call.add(partial_json)

    def _newest(self) -> GrowingCall | None:
        newest = self._growing.calls[-1] if self._growing.calls else None
        return None if newest in self._by_place.values() else newest


def _with(piece: Piece, fragment: Fragment) -> Piece:
    return piece._replace(fragments=[*piece.fragments, fragment])


def _with_id(block: ToolCallBlock, call: GrowingCall) -> ToolCallBlock:
    if block.tool_call_id == call.tool_id:
        return block
    return block.model_copy(update={"tool_call_id": call.tool_id})
