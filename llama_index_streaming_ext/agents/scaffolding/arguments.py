"""Finding the end of the arguments of an action."""

from __future__ import annotations

_STRUCTURE = "{[,:"


class ObjectEnd:
    """Finds the brace that closes a JSON object, in a text that comes in parts.

    Strings may be in single quotes too, as models write them and as core's parser reads them; an
    apostrophe elsewhere (`{a: it's}`) opens none.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""
        self._escaped = False
        self._last = "{"

    def find(self, text: str, start: int) -> int | None:
        """The index after the closing brace, in a text that goes on with `text[start:]`."""
        for index in range(start, len(text)):
            if self._quote:
                self._read_in_string(text[index])
            elif self._closes(text[index]):
                return index + 1
        return None

    def _read_in_string(self, char: str) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == self._quote:
            self._quote = ""

    def _closes(self, char: str) -> bool:
        if char == '"' or (char == "'" and self._last in _STRUCTURE):
            self._quote = char
        self._depth += (char == "{") - (char == "}")
        if not char.isspace():
            self._last = char
        return self._depth == 0
