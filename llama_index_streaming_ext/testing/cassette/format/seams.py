"""Secrets that are cut into chunks are found in what the chunks say together.

A line is held back while a string in it ends in what may be the beginning of a secret. Strings
at the same place in the chunks of a call are one text: what is found in it is taken out of the
lines, so that what their strings say together is free of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

from llama_index_streaming_ext.testing.cassette.format.cumulative import MORE
from llama_index_streaming_ext.testing.cassette.format.fields import SCRUBBED
from llama_index_streaming_ext.testing.cassette.format.secrets import (
    CONTEXT,
    LiveKeys,
    may_go_on,
    scrub,
    spans,
)

_Path: TypeAlias = tuple[str | int, ...]


class Seams:
    """Scrubs the lines of one call.

    Args:
        keys: the keys that must not be written.
    """

    def __init__(self, keys: LiveKeys) -> None:
        self._keys = keys
        self._held: list[Any] = []
        self._texts: dict[_Path, _Text] = {}

    def feed(self, line: Any, where: str) -> list[Any]:
        """Take a line, and return those that can be written now, oldest first.

        Args:
            line: the line, a JSON value.
            where: what it is, for the error.

        Raises:
            LiveKeyFound: with this line, a live key would be written.
        """
        number = len(self._held)
        strings = dict(_strings(line))
        for together in _by_name(strings).values():
            self._keys.check(together, where)
        self._held.append(line)
        for path, string in strings.items():
            self._texts.setdefault(path, _Text()).add(number, string)
        waiting = False
        for text in self._texts.values():
            if text.pieces:
                self._keys.check(text.joined, where)
                waiting |= text.may_go_on or self._keys.may_go_on(text.joined)
        return [] if waiting else self.flush()

    def flush(self) -> list[Any]:
        """Return the lines that were held back: nothing will come after them."""
        clean: list[dict[_Path, str]] = [{} for _ in self._held]
        for path, text in self._texts.items():
            for number, string in text.scrubbed():
                clean[number][path] = string
        lines = [_with(line, new) for line, new in zip(self._held, clean, strict=True)]
        self._held = []
        return lines

    def drop(self) -> None:
        """Forget the lines that were held back: they are not to be written."""
        self._held = []
        self._texts = {}


class _Text:
    """The text of the strings at one place, joined.

    Attributes:
        before: the end of what was written already.
        pieces: the number of the line, and the string, of each that is held back.
    """

    def __init__(self) -> None:
        self.before = ""
        self.pieces: list[tuple[int, str]] = []
        self.joined = ""

    def add(self, number: int, string: str) -> None:
        self.pieces.append((number, string))
        self.joined += string

    @property
    def may_go_on(self) -> bool:
        """True if the text ends in a possible beginning of a secret."""
        return may_go_on(self.joined, len(self.before))

    def scrubbed(self) -> Iterator[tuple[int, str]]:
        """The pieces, without secrets; they are done with then."""
        at = len(self.before)
        found = spans(self.joined, at)
        for number, string in self.pieces:
            yield number, _piece(self.joined, at, at + len(string), found)
            at += len(string)
        self.before = self.joined[-CONTEXT:]
        self.joined, self.pieces = self.before, []


def _piece(text: str, begin: int, end: int, found: list[tuple[int, int]]) -> str:
    """A part of a text: of what was found, its beginning says that it is scrubbed."""
    clean, at = "", begin
    for first, last in found:
        if last <= begin or first >= end:
            continue
        clean += text[at : max(first, at)]
        clean += SCRUBBED if first >= begin else ""
        at = min(last, end)
    return clean + text[at:end]


def _by_name(strings: Mapping[_Path, str]) -> dict[object, str]:
    """Return the joined text of the fields of each name: a text may be cut into blocks."""
    found: dict[object, str] = {}
    for path, string in strings.items():
        name = path[-1] if path else None
        found[name] = found.get(name, "") + string
    return found


def _strings(value: Any, path: _Path = ()) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        for name, item in items.items():
            yield from _strings(item, path if _is_more(items) else (*path, name))
    elif isinstance(value, list):
        for i, item in enumerate(cast("list[Any]", value)):
            yield from _strings(item, (*path, i))


def _with(value: Any, new: Mapping[_Path, str], path: _Path = ()) -> Any:
    """A value with other strings, and clean names."""
    if isinstance(value, str):
        return new[path]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        inside = [path if _is_more(items) else (*path, name) for name in items]
        return {
            scrub(name): _with(item, new, at)
            for (name, item), at in zip(items.items(), inside, strict=True)
        }
    if isinstance(value, list):
        return [_with(item, new, (*path, i)) for i, item in enumerate(cast("list[Any]", value))]
    return value


def _is_more(items: Mapping[str, Any]) -> bool:
    return len(items) == 1 and MORE in items
