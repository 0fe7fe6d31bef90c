"""The answer of a ReAct agent, told apart from its thoughts and actions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from llama_index_streaming_ext.agents.scaffolding.arguments import ObjectEnd
from llama_index_streaming_ext.agents.scaffolding.pieces import Kind, Piece, Trimmer, Unread, joined

_THOUGHT = "Thought:"
_ANSWER = "Answer:"
_ACTION = "Action:"
_AHEAD = {_THOUGHT: 1, _ANSWER: 0, _ACTION: 2}
"""Number of characters after a marker that decide its meaning."""

_DRESSING = re.compile(r"[\s*_#>]+")
_FENCE = re.compile(r"```[^\n`:]{0,32}\n")
_FENCE_BEGUN = re.compile(r"(?:`{1,3}|```[^\n`:]{0,32})\Z")

_CALL_LABEL = "Action: "
_INPUT_LABEL = "Action Input: "
_CALL = rf"(?<=.\n){_CALL_LABEL}(?=[^\n() ])"
_INPUT = rf"(?<=\n){_INPUT_LABEL}"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


_CALL_HERE = _compiled(_CALL)
_NAME_END = re.compile(r"[\n() ]")
_NEVER = r"(?!)"
_NEXT_IN_ONLY_CALL = {
    "label": _compiled(_INPUT),
    "brace": _compiled(r"\{"),
    "call": _compiled(_NEVER),
}
_NEXT_IN_CALL = {
    "label": _compiled(f"{_INPUT}|{_CALL}"),
    "brace": _compiled(rf"\{{|{_CALL}"),
    "call": _CALL_HERE,
}


class _Section(NamedTuple):
    """A part of the text between markers: what it is, and the markers that end it."""

    kind: Kind
    ends: dict[str, str]


# The parser looks for a marker's first place anywhere in the text, not only at line starts. An
# "Action:" before the first "Answer:" rules out an answer; an answer needs a "Thought:" before it.
_SECTIONS = {
    "open": _Section("answer", {_THOUGHT: "thought", _ANSWER: "refused", _ACTION: "acting"}),
    "thought": _Section("thought", {_ANSWER: "answer", _ACTION: "acting"}),
    "acting": _Section("thought", {_ACTION: "acting"}),
    "refused": _Section("thought", {_THOUGHT: "late thought"}),
    "late thought": _Section("thought", {_ANSWER: "answer"}),
    "answer": _Section("answer", {}),
}
_PATTERNS = {
    name: _compiled("|".join(section.ends) or _NEVER) for name, section in _SECTIONS.items()
}


class ReActSplitter:
    r"""Splits a text, as it comes, into what core's `ReActOutputParser` makes of it in the end.

    Whitespace is held back until something follows it, and so is an end of the text that may be
    the beginning of a marker; everything else is given out at once. How the text is cut makes no
    difference.

    - "answer": the parser's `response`. A text without any marker is an answer as it is.
    - "thought": the parser's `thought`.
    - "action": the name of the tool, in one piece.
    - "arguments": the JSON of the action's input, from its first brace to the one that closes it.

    The markers count wherever they stand, as they do for the parser: after an `Action:`, even
    within a line, there is no answer any more; after `Thought:` and `Answer:` all is the answer.
    Only a line that begins with `Action: ` and a name is an action. Text that the parser refuses,
    and asks the model to write again, is a thought: an `Answer:` that no `Thought:` precedes, an
    `Action:` that no line does. What follows the arguments is nothing to the parser, and dropped.

    A code fence, whitespace and Markdown's `*`, `_`, `#` and `>` may precede the first marker.

    Pieces cannot be taken back, and this is known at the end only:

    - Text before the first marker ("Sure.\nThought: ...") has been given out as an answer. The
      parser drops it, takes it for the thought of an action, or refuses the whole text.
    - The parser gives an action the thought in front of it with all labels, if the text does not
      begin with "Thought: ". Here the thought is without them.
    - A text that begins with "Thought: " calls its first action, any other text its last one.
      There, a further action with an input gives a further "action" piece, which replaces the
      action and the arguments before it.
    - An action whose input has no closing brace is refused, but the name is known by then. If
      there is some brace, the parser guesses; here, all that follows is given out as arguments.

    Example:
        >>> splitter = ReActSplitter()
        >>> splitter.feed("Thought: I know it.\nAnswer: Forty-")
        [Piece(kind='thought', text='I know it.'), Piece(kind='answer', text='Forty-')]
    """

    def __init__(self) -> None:
        self._unread = Unread()
        self._section = "open"
        self._text = Trimmer(keep_start=True)
        self._first_call_counts = False
        self._stage = "label"
        self._name: list[str] = []
        self._object = ObjectEnd()
        self._read: Callable[[], bool] = self._read_dressing
        self._pieces: list[Piece] = []

    def feed(self, delta: str) -> list[Piece]:
        """The pieces that are certain now that `delta` has come."""
        self._unread.add(delta)
        while self._read():
            pass
        pieces, self._pieces = joined(self._pieces), []
        return pieces

    def end(self) -> list[Piece]:
        """Return the pieces that were held back, as no more text will come."""
        self._unread.final = True
        pieces = self.feed("")
        if self._section == "open":
            pieces.append(Piece("answer", self._text.held))
            self._text = Trimmer()
        return joined(pieces)

    def _read_dressing(self) -> bool:
        unread = self._unread
        if found := unread.match(_DRESSING) or unread.match(_FENCE):
            self._text.hold(unread.take(found.end()))
            return True
        if not unread.has(1) or (unread.match(_FENCE_BEGUN) and not unread.final):
            return False
        self._read = self._read_text
        return True

    def _read_text(self) -> bool:
        ends = _SECTIONS[self._section].ends
        found = self._unread.search(_PATTERNS[self._section])
        if not found:
            self._say(self._unread.take_before(ends))
            return False
        self._say(self._unread.take(found.start()))
        marker = found.group()
        if not self._unread.has(len(marker) + _AHEAD[marker]):
            return False
        if marker == _ACTION:
            self._read_action()
        else:
            self._read_marker(marker)
        return True

    def _say(self, text: str) -> None:
        self._pieces.append(Piece(_SECTIONS[self._section].kind, self._text.feed(text)))

    def _read_marker(self, marker: str) -> None:
        following = _SECTIONS[self._section].ends[marker]
        self._unread.take(self._unread.at + len(marker))
        if marker == _THOUGHT:
            self._first_call_counts = self._text.blank and self._unread.starts_with(" ")
        self._enter(following)

    def _enter(self, section: str) -> None:
        if _SECTIONS[section].kind != _SECTIONS[self._section].kind:
            self._text = Trimmer()
        self._section = section

    def _read_action(self) -> None:
        self._enter("acting")
        if call := self._unread.match(_CALL_HERE):
            self._begin_call(call)
        else:
            self._say(self._unread.take(self._unread.at + len(_ACTION)))

    def _begin_call(self, call: re.Match[str]) -> None:
        self._unread.take(call.end())
        self._name = []
        self._read = self._read_name

    def _read_name(self) -> bool:
        found = self._unread.search(_NAME_END)
        self._name.append(self._unread.take(found.start() if found else None))
        if not found:
            return False
        if self._first_call_counts:
            self._give_name()
        self._skip_to("label")
        return True

    def _give_name(self) -> None:
        self._pieces.append(Piece("action", "".join(self._name).strip()))

    def _skip_to(self, stage: str) -> None:
        self._stage = stage
        self._read = self._read_on

    def _read_on(self) -> bool:
        wanted = _NEXT_IN_ONLY_CALL if self._first_call_counts else _NEXT_IN_CALL
        found = self._unread.search(wanted[self._stage])
        if not found:
            self._unread.skip_but(len(_INPUT_LABEL))
            return False
        if found.group() == "{":
            self._begin_arguments(found)
        elif found.group() == _CALL_LABEL:
            self._begin_call(found)
        else:
            self._unread.take(found.end())
            self._skip_to("brace")
        return True

    def _begin_arguments(self, brace: re.Match[str]) -> None:
        if not self._first_call_counts:
            self._give_name()
        self._unread.take(brace.start())
        self._object = ObjectEnd()
        self._read = self._read_arguments

    def _read_arguments(self) -> bool:
        end = self._object.find(self._unread.text, self._unread.at)
        self._pieces.append(Piece("arguments", self._unread.take(end)))
        if end is None:
            return False
        self._skip_to("call")
        return True
