"""Text of a model, a tool or a document, made safe to print in a terminal."""

from __future__ import annotations

import re

_OBEYED = re.compile(r"\r\n|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PICTURES = 0x2400
"""The first of Unicode's pictures of control characters."""


def visible(text: str) -> str:
    r"""Return text in which no character is an order to the terminal.

    Escape sequences can move the cursor, set the window's title or write to the clipboard. They
    are shown instead: ESC as `␛`, other control characters by their own pictures, and those above
    `\x7f` as `\x9b`. Tabs and line ends stay.

    Args:
        text: the text; a piece of a stream may end in the middle of an escape sequence.

    Example:
        >>> visible("\x1b[2J is not obeyed")
        '␛[2J is not obeyed'
    """
    return _OBEYED.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    found = match.group()
    if found == "\r\n":
        return "\n"
    if found == "\x7f":
        return "␡"
    code = ord(found)
    return chr(_PICTURES + code) if code < 0x20 else f"\\x{code:02x}"
