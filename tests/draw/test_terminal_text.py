"""No text that is printed can give orders to the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext.draw.terminal_text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 38 m\tand more\n", "plain text, 38 m\tand more\n"),
        ("\x1b]52;c;ZXZpbA==\x07", "␛]52;c;ZXZpbA==␇"),
        ("\x1b[2J", "␛[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("one\r\ntwo", "one\ntwo"),
        ("over\rwritten", "over␍written"),
        ("rub\x7fout", "rub␡out"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    """Each control character is shown by a printable one; tabs and line ends stay."""
    assert visible(text) == shown


@given(st.text())
def test_nothing_is_left_to_obey(text: str) -> None:
    """Whatever the text, the result has no control character but tab and line end."""
    assert all(char in "\t\n" or not _is_control(char) for char in visible(text))


@given(st.text())
def test_visible_text_stays_as_it_is(text: str) -> None:
    """Making text visible twice changes nothing more."""
    assert visible(visible(text)) == visible(text)


def _is_control(char: str) -> bool:
    return ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F
