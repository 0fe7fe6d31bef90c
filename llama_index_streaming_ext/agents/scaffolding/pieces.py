"""The pieces that a text is split into, and the reading of a text that is still coming."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Literal, NamedTuple

Kind = Literal["answer", "thought", "action", "arguments", "code"]
"""The kind of a piece of text."""

_CONTEXT = 2


class Piece(NamedTuple):
    """A part of a text, and what it is.

    Attributes:
        kind: what it is.
        text: the part; joined to those of its kind it is all that there is of that kind.
    """

    kind: Kind
    text: str


def _kind(piece: Piece) -> Kind:
    return piece.kind


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces, with neighbours of one kind in one piece; an action stays alone."""
    result: list[Piece] = []
    for kind, group in groupby(pieces, key=_kind):
        if kind == "action":
            result.extend(group)
        elif text := "".join(piece.text for piece in group):
            result.append(Piece(kind, text))
    return result


class Trimmer:
    """A text without the whitespace at its ends, given out as far as it is certain.

    Args:
        keep_start: do not drop the whitespace at the start.
    """

    def __init__(self, *, keep_start: bool = False) -> None:
        self._keep = keep_start
        self._started = False
        self._held: list[str] = []

    @property
    def held(self) -> str:
        """The end of the text so far that was not given out."""
        return "".join(self._held)

    @property
    def blank(self) -> bool:
        """True if the text so far is nothing but whitespace."""
        return not self._started and not self.held.strip()

    def hold(self, text: str) -> None:
        """Give `text` out together with what follows it, whatever it is."""
        self._held.append(text)

    def feed(self, text: str) -> str:
        """Add `text` and return the part that is certain now."""
        if not (self._keep or self._started):
            text = text.lstrip()
        body = text.rstrip()
        if not body:
            self.hold(text)
            return ""
        self._started = True
        certain = self.held + body
        self._held = [text[len(body) :]]
        return certain


class Unread:
    """Part of a text that has come and was not read yet.

    Reading goes on from `at`. The two characters before it are kept, for patterns that look back.
    """

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        self.final = False

    def add(self, delta: str) -> None:
        """Let more of the text come."""
        start = max(self.at - _CONTEXT, 0)
        self.text = self.text[start:] + delta
        self.at -= start

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match in what is unread."""
        return pattern.search(self.text, self.at)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The match at the start of what is unread."""
        return pattern.match(self.text, self.at)

    def take(self, end: int | None = None) -> str:
        """Read up to the index `end`, or everything."""
        start, self.at = self.at, len(self.text) if end is None else end
        return self.text[start : self.at]

    def has(self, count: int) -> bool:
        """Return True if so many characters are unread, or no more will come."""
        return self.final or len(self.text) - self.at >= count

    def starts_with(self, text: str) -> bool:
        """Return True if the unread text begins with `text`."""
        return self.text.startswith(text, self.at)

    def skip_but(self, count: int) -> None:
        """Pass everything over but the last `count` characters."""
        self.at = max(self.at, len(self.text) - count)

    def take_before(self, markers: Iterable[str]) -> str:
        """Read everything but the end that may become one of the markers, once more has come."""
        return self.take() if self.final else self.take(self._open_end(tuple(markers)))

    def _open_end(self, markers: tuple[str, ...]) -> int:
        longest = max((len(marker) for marker in markers), default=1) - 1
        for index in range(max(len(self.text) - longest, self.at), len(self.text)):
            if any(marker.startswith(self.text[index:]) for marker in markers):
                return index
        return len(self.text)
