"""The values of a decoded event that JSON could not hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from pydantic import BaseModel

from llama_index_streaming_ext.codec.values import Unserialisable
from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.upstream.event_data import DYNAMIC


def unserialisable(event: Event) -> dict[str, Unserialisable]:
    """Return the values of a decoded event that were lost, because they had no JSON form.

    Args:
        event: an event that `decode` gave.

    Returns:
        The stand-in by the path to it, such as `{"tool_output.raw_output": Unserialisable(...)}`;
        empty if everything was written. The result of a `StopEvent` is at `result`, dynamic
        attributes are at their names, the members of a list at their index.
    """
    return {".".join(path): lost for path, lost in _walk(event, ())}


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Unserialisable]]:
    if isinstance(value, Unserialisable):
        yield path, value
        return
    for name, member in _members(value):
        yield from _walk(member, (*path, name))


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        private = dict(value.__pydantic_private__ or {})
        dynamic = cast("dict[str, Any]", private.pop(DYNAMIC, {}))
        named = value.__dict__ | dynamic | {name[1:]: held for name, held in private.items()}
        return named.items()
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        # a key may be lost as well as a value
        return [(str(key), part) for pair in pairs for key, part in ((pair[0], pair[0]), pair)]
    if isinstance(value, list | tuple | set | frozenset):
        return ((str(at), member) for at, member in enumerate(cast("list[Any]", value)))
    return ()
