"""A tool call while a model writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple, Protocol, cast

from llama_index.core.base.llms.types import ToolCallBlock


class Fragment(NamedTuple):
    """A piece of the arguments of a tool call."""

    tool_id: str
    """The id of the call, which its pieces share."""
    tool_name: str
    """The name of the tool."""
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] - a tuple's own is not used
    """The position of the tool call in the LLM call, from 0, in the order of their beginnings."""
    delta: str
    """The addition to the JSON text of the arguments; never empty."""


class TextSoFar:
    """A text that grows by pieces, joined when somebody asks."""

    __slots__ = ("_parts", "add")

    def __init__(self) -> None:
        self._parts: list[str] = []
        # The list's own method: this is what every token costs. Joining keeps the list.
        self.add = self._parts.append

    def __str__(self) -> str:
        parts = self._parts
        if len(parts) > 1:
            parts[:] = ["".join(parts)]
        return parts[0] if parts else ""

    def __bool__(self) -> bool:
        return bool(self._parts)

    def last(self) -> str:
        """The end of it, as far back as the last piece that was added."""
        return self._parts[-1] if self._parts else ""


class ToolCallSoFar:
    """A tool call, of which fragments are made as its arguments come.

    Args:
        index: which call of the LLM call it is.
        tool_id: its id, "" where it is not known yet.
        tool_name: the name of the tool, "" where it is not known yet.
    """

    def __init__(self, index: int, tool_id: str = "", tool_name: str = "") -> None:
        self.index = index
        self.tool_id = tool_id
        self.tool_name = tool_name
        self.arguments = TextSoFar()
        self._held: list[str] = []

    def add(self, delta: str) -> Fragment | None:
        """Take a piece of the arguments.

        Args:
            delta: the piece.

        Returns:
            Its fragment; None where there is nothing to tell, or nobody knows yet of which tool.
        """
        if not delta:
            return None
        self.arguments.add(delta)
        if not self.tool_name:
            self._held.append(delta)
            return None
        if self._held:
            delta = "".join([*self._held, delta])
            self._held.clear()
        return Fragment(self.tool_id, self.tool_name, self.index, delta)

    def end(self) -> Fragment | None:
        """Return the additions that only the end makes certain: no arguments become `{}`."""
        if not self.arguments:
            self._held.append("{}")
            self.arguments.add("{}")
        if not self._held:
            return None
        delta = "".join(self._held)
        self._held.clear()
        return Fragment(self.tool_id, self.tool_name, self.index, delta)

    def block(self) -> ToolCallBlock:
        """The call as LlamaIndex's messages hold it: its arguments are `{}` at first, then text."""
        return ToolCallBlock(
            tool_call_id=self.tool_id,
            tool_name=self.tool_name,
            tool_kwargs=str(self.arguments) or {},
        )


class _HasId(Protocol):
    @property
    def tool_id(self) -> str: ...


def free_id(said: str | None, index: int, others: Iterable[_HasId]) -> str:
    """An id that no other call has.

    Args:
        said: the provider's id. Some send none, and some the tool's name for every call.
        index: which call of the LLM call it is.
        others: the other calls.

    Returns:
        The provider's; `call_<index>` where it sent none; and where another call has that
        already, the same with the index after it.
    """
    wanted = said or f"call_{index}"
    taken = {call.tool_id for call in others}
    while wanted in taken:
        wanted = f"{wanted}_{index}"
    return wanted


def as_json(arguments: Mapping[str, Any]) -> str:
    """Arguments that came as a dict, as text. What JSON cannot say is said as near as it can be."""
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), default=_as_json_can)


def _as_json_can(value: object) -> object:
    """Return a value as JSON has it: some providers give lists and dicts of their own classes."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
        return list(cast("Iterable[Any]", value))
    return str(value)


def parsed(text: str) -> object:
    """Return the value of a JSON text; None if the text is not complete yet."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def is_complete(text: str) -> bool:
    """Return True if a text is an object of JSON, to its closing brace."""
    return text.rstrip().endswith("}") and isinstance(parsed(text), dict)


def told(fragments: Iterable[Fragment | None]) -> Sequence[Fragment]:
    """The fragments, without the places where there was none."""
    return [fragment for fragment in fragments if fragment is not None]
