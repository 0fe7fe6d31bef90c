"""The splitter of a CodeAct agent's text, against core's extraction of code."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.agent.workflow import CodeActAgent
from llama_index.core.llms import MockLLM

from llama_index_streaming_ext.agents.scaffolding import CodeActSplitter, Kind, Piece

BLOCK = re.compile("<execute>.*?</execute>", re.DOTALL)
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["<execute>", "</execute>", "<exec", "</", "<", ">", "x = 1", "\r\n", " "]),
        st.characters(),
    ),
    max_size=20,
).map("".join)


def run_code(code: str) -> str:
    """Runs nothing."""
    return code


AGENT = CodeActAgent(run_code, llm=MockLLM())


def core_code(text: str) -> str:
    """The code that core's agent runs."""
    return AGENT._extract_code_from_response(text) or ""  # pyright: ignore[reportPrivateUsage]  # what core runs is decided there


def split(text: str, cuts: list[int] | None = None) -> list[Piece]:
    """All pieces of a text that comes in chunks of these sizes, and its rest in one."""
    splitter = CodeActSplitter()
    pieces: list[Piece] = []
    for size in cuts or []:
        pieces += splitter.feed(text[:size])
        text = text[size:]
    return pieces + splitter.feed(text) + splitter.end()


def by_kind(pieces: list[Piece]) -> list[Piece]:
    """The pieces, those of one kind in a row joined."""
    result: list[Piece] = []
    for piece in pieces:
        if result and result[-1].kind == piece.kind:
            piece = Piece(piece.kind, result.pop().text + piece.text)
        result.append(piece)
    return result


def text_of(kind: Kind, pieces: list[Piece]) -> str:
    """The joined pieces of one kind."""
    return "".join(piece.text for piece in pieces if piece.kind == kind)


@settings(deadline=None, max_examples=200)
@given(text=TEXTS, cuts=st.lists(st.integers(1, 12), max_size=40))
def test_how_a_text_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    """Any chunks give, joined, the same pieces as the whole text."""
    whole = by_kind(split(text))
    assert by_kind(split(text, cuts)) == whole
    assert by_kind(split(text, [1] * len(text))) == whole


@settings(deadline=None, max_examples=200)
@given(text=TEXTS)
def test_the_code_is_what_core_runs(text: str) -> None:
    """The joined code is core's if every block is closed, and the answer is all the rest."""
    if "<execute>" in BLOCK.sub("", text):
        text += "</execute>"
    outside = BLOCK.sub("", text)
    pieces = split(text)
    assert text_of("code", pieces) == core_code(text)
    assert text_of("answer", pieces) == outside


@pytest.mark.parametrize("blocks", [["a", ""], ["", "a"], ["", ""], [" a\n", "\n", "\n b "]])
def test_empty_blocks_count_as_they_do_for_core(blocks: list[str]) -> None:
    """Blocks are joined by an empty line, also those without code."""
    text = "and".join(f"<execute>{block}</execute>" for block in blocks)
    assert text_of("code", split(text)) == core_code(text)


def test_a_block_that_is_not_closed_is_code_all_the_same() -> None:
    """Core does not run it, but nobody can know that before the end."""
    text = "So: <execute>\nprint(1)\n</exec"
    assert by_kind(split(text)) == [Piece("answer", "So: "), Piece("code", "print(1)\n</exec")]
    assert core_code(text) == ""


def test_a_closing_tag_outside_of_a_block_is_text() -> None:
    """Text that is no tag to core is given out as it is."""
    assert split("a </execute> b") == [Piece("answer", "a </execute> b")]


def test_an_opening_tag_within_a_block_is_code() -> None:
    """Core's block goes on to the first closing tag."""
    assert split("<execute>a<execute>b</execute>") == [Piece("code", "a<execute>b")]


def test_text_and_code_flow_token_by_token() -> None:
    """Only what may be the beginning of a tag is held back, and the whitespace around code."""
    splitter = CodeActSplitter()
    assert splitter.feed("See \n") == [Piece("answer", "See \n")]
    assert splitter.feed("1 <") == [Piece("answer", "1 ")]
    assert splitter.feed(" 2 <execute>\n") == [Piece("answer", "< 2 ")]
    assert splitter.feed("x =\n") == [Piece("code", "x =")]
    assert splitter.feed(" 1 </exe") == [Piece("code", "\n 1")]
    assert splitter.feed("cute>\n") == [Piece("answer", "\n")]
    assert splitter.end() == []


def test_what_is_kept_does_not_grow_with_the_text() -> None:
    """After 20 000 characters a token is read with as little before it as at the start."""
    splitter = CodeActSplitter()
    text = "<execute>a" + "b </exec" * 2_500
    given_out = sum(len(piece.text) for char in text for piece in splitter.feed(char))
    assert given_out == len(text) - len("<execute>") - len(" </exec")
    assert len(pickle.dumps(splitter)) < 2_000
    assert splitter.end() == [Piece("code", " </exec")]
