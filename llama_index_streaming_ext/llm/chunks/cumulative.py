"""Tool calls as the blocks of cumulative messages show them: what has been added since?"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ToolCallBlock

from llama_index_streaming_ext.llm.chunks.tool_calls import (
    Fragment,
    ToolCallSoFar,
    as_json,
    free_id,
    is_complete,
    parsed,
    told,
)

_logger = logging.getLogger("llama_index_streaming_ext")

# How much of a text that grew is compared with what it was: all of it would cost O(n) per piece.
_TAIL = 64


class GrowingCall(ToolCallSoFar):
    """A tool call of which each chunk shows all that is written so far.

    A text that grows is told as it grows. What may still change as a whole is held until the call
    is certain to be complete: a dict, and a text that was complete JSON when it was first seen.

    Args:
        index: which call of the LLM call it is.
        block: how it was first shown.
        others: the calls before it.
    """

    def __init__(self, index: int, block: ToolCallBlock, others: Sequence[ToolCallSoFar]) -> None:
        self.shown_id = block.tool_call_id
        super().__init__(index, free_id(self.shown_id, index, others), block.tool_name)
        self.told_elsewhere = False
        """True if the fragments come from the raw chunks."""
        self._seen: str | Mapping[str, Any] = ""
        self._held_whole = False
        self._tail = ""
        self._length = 0
        self._rewritten = False

    def is_shown_by(self, block: ToolCallBlock) -> bool:
        """Return True if a block at the same place is this call, further on."""
        same_id = self.shown_id is None or block.tool_call_id in (None, self.shown_id)
        return same_id and block.tool_name.startswith(self.tool_name)

    def show(self, block: ToolCallBlock) -> Fragment | None:
        """Take how it is shown now."""
        self.shown_id = self.shown_id or block.tool_call_id
        self.tool_name = block.tool_name
        self._seen = now = block.tool_kwargs
        if self.told_elsewhere:
            return None
        if isinstance(now, dict):
            # An empty one is how the OpenAI classes begin, before their text.
            self._held_whole = self._held_whole or bool(now)
            return None
        if self._length:
            return self._grown(now)
        return self._first(now)

    def complete(self) -> Fragment | None:
        """Say that it changes no more."""
        if self.told_elsewhere or self._length or not self._seen:
            return None
        return self._tell(self._seen if isinstance(self._seen, str) else as_json(self._seen))

    def end(self) -> Fragment | None:
        """Return the additions that only the end makes certain."""
        last = self.complete()
        if not self.told_elsewhere and not self._is_as_told():
            self._warn()
        return last or super().end()

    def _first(self, now: str) -> Fragment | None:
        if now.strip() in ("", "{}"):
            return None
        self._held_whole = self._held_whole or is_complete(now)
        return None if self._held_whole else self._tell(now)

    def _tell(self, now: str) -> Fragment | None:
        delta = now[self._length :]
        self._length = len(now)
        self._tail = now[-_TAIL:]
        return self.add(delta)

    def _is_as_told(self) -> bool:
        told_text = str(self.arguments)
        if not self._seen or self._seen == told_text:
            return True
        # Some classes show a dict at the end, or write the same JSON in another way.
        if isinstance(self._seen, str):
            return parsed(told_text) == parsed(self._seen)
        return parsed(told_text) == self._seen or told_text == as_json(self._seen)

    def _grown(self, whole: str) -> Fragment | None:
        start = max(self._length - _TAIL, 0)
        if whole[start : self._length] != self._tail:
            self._warn()
        if self._rewritten or len(whole) == self._length:
            return None
        return self._tell(whole)

    def _warn(self) -> None:
        if not self._rewritten:
            self._rewritten = True
            _logger.warning(
                "The LLM has rewritten the arguments of tool call %s, of which %d characters were"
                " streamed already; readers of the stream have those.",
                self.tool_id,
                self._length,
            )


class GrowingCalls:
    """The tool calls of one answer."""

    def __init__(self) -> None:
        self.calls: list[GrowingCall] = []
        """Those so far, in the order in which they began."""

    def show(self, blocks: Sequence[object]) -> Sequence[Fragment]:
        """Take the blocks of the next chunk."""
        shown = [block for block in blocks if isinstance(block, ToolCallBlock)]
        return told(self._shown(shown)) if shown else ()

    def match(self, blocks: Sequence[ToolCallBlock]) -> list[GrowingCall]:
        """The calls that blocks show; those that are new are added."""
        found: list[GrowingCall] = []
        for place, block in enumerate(blocks):
            call = self._known(place, block, found) or self._begun(block)
            found.append(call)
        return found

    def _shown(self, blocks: Sequence[ToolCallBlock]) -> list[Fragment | None]:
        before = len(self.calls)
        pairs = list(zip(self.match(blocks), blocks, strict=True))
        fragments = [call.show(block) for call, block in pairs]
        if len(self.calls) > before:
            # Where a call begins, those before it are complete.
            fragments += [call.complete() for call in self.calls[:-1]]
        return fragments

    def _known(
        self, place: int, block: ToolCallBlock, taken: Sequence[GrowingCall]
    ) -> GrowingCall | None:
        here = self.calls[place] if place < len(self.calls) else None
        if here is not None and here not in taken and here.is_shown_by(block):
            return here
        for call in self.calls:
            if block.tool_call_id and call.shown_id == block.tool_call_id and call not in taken:
                return call
        return None

    def _begun(self, block: ToolCallBlock) -> GrowingCall:
        call = GrowingCall(len(self.calls), block, self.calls)
        self.calls.append(call)
        return call
