"""The code that a CodeAct agent is to run, told apart from what it says."""

from __future__ import annotations

from llama_index_streaming_ext.agents.scaffolding.pieces import Piece, Trimmer, Unread, joined

_OPEN = "<execute>"
_CLOSE = "</execute>"
_BETWEEN = "\n\n"


class CodeActSplitter:
    r"""Splits a text, as it comes, into what is said and the code in `<execute>...</execute>`.

    The joined pieces of kind "code" are the code that core's agent runs: each block without the
    whitespace at its ends, "\n\n" between blocks. Those of kind "answer" are the text outside of
    the blocks, with all its whitespace. The tags of a block are never given out. What is no tag
    to core is none here: `</execute>` outside of a block is text, `<execute>` within one is code.

    A block that is never closed is not run by core. That shows at the end only, so its text has
    been given out as code, after the code of the blocks before it.

    Example:
        >>> splitter = CodeActSplitter()
        >>> splitter.feed("Let us see. <execute>print(1)</exe")
        [Piece(kind='answer', text='Let us see. '), Piece(kind='code', text='print(1)')]
    """

    def __init__(self) -> None:
        self._unread = Unread()
        self._block: Trimmer | None = None
        self._blocks = 0
        self._separator = ""
        self._pieces: list[Piece] = []

    def feed(self, delta: str) -> list[Piece]:
        """The pieces that are certain now that `delta` has come."""
        self._unread.add(delta)
        while self._read_section():
            pass
        pieces, self._pieces = joined(self._pieces), []
        return pieces

    def end(self) -> list[Piece]:
        """Return the pieces that were held back, as no more text will come."""
        self._unread.final = True
        return self.feed("")

    def _read_section(self) -> bool:
        tag = _OPEN if self._block is None else _CLOSE
        found = self._unread.text.find(tag, self._unread.at)
        if found < 0:
            self._say(self._unread.take_before((tag,)))
            return False
        self._say(self._unread.take(found))
        self._unread.take(found + len(tag))
        self._close() if self._block else self._open()
        return True

    def _open(self) -> None:
        self._block = Trimmer()
        self._separator = _BETWEEN if self._blocks else ""

    def _close(self) -> None:
        self._pieces.append(Piece("code", self._separator))
        self._block = None
        self._blocks += 1

    def _say(self, text: str) -> None:
        if self._block is None:
            self._pieces.append(Piece("answer", text))
        elif code := self._block.feed(text):
            self._pieces.append(Piece("code", self._separator + code))
            self._separator = ""
