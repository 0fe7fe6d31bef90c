"""The output of the demo, wrapped and in columns."""

from __future__ import annotations

import re
import shutil


class Screen:
    """Prints what is said under a label, also token by token, wrapped to a page."""

    _MARGIN = 14

    def __init__(self) -> None:
        self._width = max(40, min(80, shutil.get_terminal_size().columns))
        self._label = ""
        self._column = 0

    def say(self, line: str) -> None:
        """Print a line as it is."""
        self._end()
        print(line, flush=True)

    def title(self, title: str) -> None:
        """Begin a part of the demo."""
        self.say(f"\n{title}\n")

    def line(self, label: str, said: str) -> None:
        """Print something whole."""
        self._end()
        self.stream(label, said)
        self._end()

    def stream(self, label: str, delta: str) -> None:
        """Print the next piece of what is said under a label."""
        for piece in re.findall(r"\n|[^\S\n]*\S+|[^\S\n]+", delta):
            if label != self._label:
                self._end()
                print(f"   {label:{self._MARGIN - 3}}", end="")
                self._label, self._column = label, self._MARGIN
            self._put(piece)

    def _put(self, piece: str) -> None:
        if piece == "\n" or (piece[0] == " " and self._column + len(piece) > self._width):
            piece = piece.lstrip()
            print("\n" + " " * self._MARGIN, end="")
            self._column = self._MARGIN
        print(piece, end="", flush=True)
        self._column += len(piece)

    def _end(self) -> None:
        if self._label:
            print(flush=True)
        self._label = ""
