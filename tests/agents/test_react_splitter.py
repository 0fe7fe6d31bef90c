"""The splitter of a ReAct agent's text, against core's parser."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llama_index.core.agent.react.output_parser import ReActOutputParser, extract_tool_use
from llama_index.core.agent.react.types import ResponseReasoningStep

from llama_index_streaming_ext.agents.scaffolding import Kind, Piece, ReActSplitter

CUTS = st.lists(st.integers(1, 12), max_size=40)


def split(text: str, cuts: list[int] | None = None) -> list[Piece]:
    """All pieces of a text that comes in chunks of these sizes, and its rest in one."""
    splitter = ReActSplitter()
    pieces: list[Piece] = []
    for size in cuts or []:
        pieces += splitter.feed(text[:size])
        text = text[size:]
    return pieces + splitter.feed(text) + splitter.end()


def by_kind(pieces: list[Piece]) -> list[Piece]:
    """The pieces, those of one kind in a row joined."""
    result: list[Piece] = []
    for piece in pieces:
        if result and result[-1].kind == piece.kind != "action":
            piece = Piece(piece.kind, result.pop().text + piece.text)
        result.append(piece)
    return result


def text_of(kind: Kind, pieces: list[Piece]) -> str:
    """The joined pieces of one kind."""
    return "".join(piece.text for piece in pieces if piece.kind == kind)


def parsed(text: str) -> Any:
    """Return the result of core's parser; nothing if it refuses the text."""
    try:
        return ReActOutputParser().parse(text)
    except (ValueError, AttributeError):
        # AttributeError: an empty thought before an action.
        return None


WORDS = st.sampled_from(
    [
        "I ",
        "know",
        " it",
        "é☃",
        ".",
        "\n",
        "\r\n",
        "  ",
        "{",
        "}",
        '"',
        "'",
        "\\",
        "```",
        "**",
        "\t",
    ]
)
LABELS = st.sampled_from(
    ["Thought:", "Thought: ", "Answer:", "\nAction: s", "Action:", "Action", "\nAction Input: "]
)
BITS = st.one_of(WORDS, LABELS, st.characters())
TEXTS = st.one_of(
    st.lists(BITS, max_size=25).map("".join),
    st.lists(st.one_of(LABELS, st.sampled_from(["```", "\n", "a", "*"])), max_size=9).map("".join),
)
PROSE = st.lists(st.one_of(WORDS, st.text(max_size=4)), max_size=12).map("".join)
JSON = st.dictionaries(
    st.from_regex(r"\w{1,5}", fullmatch=True),
    st.recursive(
        st.one_of(
            st.integers(-999, 999),
            st.booleans(),
            st.none(),
            st.sampled_from(["}", "{", '"', "\\", "Answer: 1", "\nAction: a", "it's", "é☃"]),
            st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=8),
        ),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(st.characters(min_codepoint=35, max_codepoint=90)), inner)
        ),
        max_leaves=6,
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=200)
@given(text=TEXTS, cuts=CUTS)
def test_how_a_text_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    """Any chunks give, joined, the same pieces as the whole text."""
    whole = by_kind(split(text))
    assert by_kind(split(text, cuts)) == whole
    assert by_kind(split(text, [1] * len(text))) == whole


@settings(deadline=None, max_examples=200)
@given(body=TEXTS)
@example(body="a Answer: b\nAction: c\nAction Input: {}")
@example(body="Action: a Answer: b")
def test_after_a_thought_the_answer_is_the_parsers(body: str) -> None:
    """A text that begins with a thought gives the answer of core's parser, and no other."""
    text = f"Thought: {body}"
    step, pieces = parsed(text), split(text)
    if isinstance(step, ResponseReasoningStep):
        assert text_of("answer", pieces) == step.response
        assert text_of("thought", pieces) == step.thought
    else:
        assert not text_of("answer", pieces)


@settings(deadline=None, max_examples=200)
@given(text=TEXTS)
@example(text="  Hello.\n\n")
@example(text="Well. Thought: a\nAnswer: b")
@example(text="```Thought: a Answer: b\n")
@example(text="Answer: a\nThought: b\nAnswer: c")
def test_an_answer_is_never_lost(text: str) -> None:
    """Whatever the text, an answer that core's parser finds ends the joined answers."""
    step = parsed(text)
    if isinstance(step, ResponseReasoningStep):
        assert text_of("answer", split(text)).endswith(step.response)
        if "Thought:" not in text:
            assert by_kind(split(text)) == [Piece("answer", text)][: len(text)]


@settings(deadline=None, max_examples=200)
@given(body=TEXTS)
def test_the_action_of_a_thought_is_the_parsers(body: str) -> None:
    """A text that begins with a thought gives the tool and the thought of core's parser."""
    text = f"Thought: I {body}\nAction: last\nAction Input: {{}}"
    thought, action, _ = extract_tool_use(text)
    pieces = split(text)
    if text_of("arguments", pieces):
        assert [piece.text for piece in pieces if piece.kind == "action"] == [action]
        assert text_of("thought", pieces) == thought
    else:
        assert isinstance(parsed(text), ResponseReasoningStep)


@settings(deadline=None, max_examples=150)
@given(thought=PROSE, kwargs=JSON, indent=st.sampled_from([None, 2]), rest=PROSE, cuts=CUTS)
def test_the_arguments_are_the_parsers(
    thought: str, kwargs: dict[str, Any], indent: int | None, rest: str, cuts: list[int]
) -> None:
    """The arguments are the JSON as it was written, and parse to what the tool is called with."""
    written = json.dumps(kwargs, indent=indent, ensure_ascii=False)
    text = f"Thought: so {thought}\nAction: look_up\nAction Input: {written}"
    pieces = split(text, cuts)
    assert text_of("arguments", pieces) == written
    assert parsed(text).action_input == json.loads(text_of("arguments", pieces))
    assert by_kind(split(text + rest)) == by_kind(pieces)


@settings(deadline=None, max_examples=150)
@given(thought=PROSE, answer=TEXTS, newline=st.sampled_from(["\n", "\r\n", " "]))
def test_a_well_formed_answer_is_the_parsers(thought: str, answer: str, newline: str) -> None:
    """Thought and answer are those of core's parser, whatever the answer mentions."""
    text = f"Thought: {thought}{newline}Answer: {answer}"
    step, pieces = parsed(text), split(text)
    assert text_of("answer", pieces) == step.response == answer.strip()
    assert text_of("thought", pieces) == step.thought


@pytest.mark.parametrize(
    "lead", ["```\n", "```text\r\n", "\n\n", "**", "> ", "## ", "```\n**", " \u3000"]
)
def test_what_dresses_the_first_marker_is_no_answer(lead: str) -> None:
    """A code fence, whitespace and Markdown before the first marker are dropped."""
    text = f"{lead}Thought: a\nAnswer: b\n```"
    assert text_of("answer", split(text, [1] * len(text))) == parsed(text).response


@pytest.mark.parametrize(
    "text", ["```py\nx = 1\n```\n", "**Yes**", "``", "```", "# A\n", " ", "Th"]
)
def test_what_dresses_an_answer_is_part_of_it(text: str) -> None:
    """Without a marker, a code fence, whitespace and Markdown are the answer's own."""
    assert by_kind(split(text, [1] * len(text))) == [Piece("answer", parsed(text).response)]


def test_an_answer_flows_token_by_token() -> None:
    """Every token is given out when it comes, with the whitespace before it."""
    splitter = ReActSplitter()
    given_out = [
        splitter.feed(token) for token in ("Thought: ok\nAnswer:", " It", " is", " 4", ".")
    ]
    assert given_out == [
        [Piece("thought", "ok")],
        *([Piece("answer", text)] for text in ("It", " is", " 4", ".")),
    ]


def test_an_answer_without_markers_flows_from_its_first_letter() -> None:
    """Text that cannot begin a marker is given out at once, also at the start."""
    assert ReActSplitter().feed("H") == [Piece("answer", "H")]


def test_only_the_beginning_of_a_marker_is_held_back() -> None:
    """A thought is held back from where a marker may begin, and no earlier."""
    splitter = ReActSplitter()
    assert splitter.feed("Thought: the A") == [Piece("thought", "the")]
    assert splitter.feed("nsw") == []
    assert splitter.feed("ering machine") == [Piece("thought", " Answering machine")]


def test_an_action_comes_when_its_name_is_complete() -> None:
    """The name of the tool is one piece; the arguments follow as they are written."""
    splitter = ReActSplitter()
    assert splitter.feed("Thought: a\nAction: se") == [Piece("thought", "a")]
    assert splitter.feed("arch") == []
    assert splitter.feed("\r") == []
    assert splitter.feed("\nAct") == [Piece("action", "search")]
    assert splitter.feed('ion Input: {"q": "') == [Piece("arguments", '{"q": "')]
    assert splitter.feed('}"}\nObserv') == [Piece("arguments", '}"}')]
    assert splitter.feed('ation: {"b": 2}\nAction: b\nAction Input: {}') == []
    assert splitter.end() == []


def test_a_marker_within_a_line_rules_out_an_answer() -> None:
    """`Action:` within a thought is text, but core's parser takes no answer after it."""
    text = "Thought: the Action: none\nAnswer: 4"
    assert parsed(text) is None
    assert split(text) == [Piece("thought", "the Action: none\nAnswer: 4")]


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("Answer: 4", "4"),
        ("Action: s\nAction Input: {}", "Action: s\nAction Input: {}"),
        ("Thought: a\nAction: (s)\nAction Input: {}", "a\nAction: (s)\nAction Input: {}"),
        ("Thought: a\n Action: s\nAction Input: {}", "a\n Action: s\nAction Input: {}"),
        ("Thought: a", "a"),
        ("Thought: a\nAction", "a\nAction"),
        ("Thought: a\nAction: ", "a\nAction:"),
    ],
)
def test_what_the_parser_refuses_is_a_thought(text: str, thought: str) -> None:
    """A text that core asks the model to write again is seen, and never as an answer."""
    assert parsed(text) is None
    assert by_kind(split(text)) == [Piece("thought", thought)]


def test_an_action_without_an_end_of_its_name_is_none() -> None:
    """A name that was cut off by the end is not given out."""
    assert split("Thought: a\nAction: sear") == [Piece("thought", "a")]


def test_text_before_the_first_marker_stays_an_answer() -> None:
    """Text that was given out as an answer cannot be taken back."""
    text = "Sure.\nThought: a\nAnswer: b"
    assert split(text) == [Piece("answer", "Sure."), Piece("thought", "a"), Piece("answer", "b")]
    assert parsed(text).response == "b"


def test_the_last_action_of_a_text_without_a_thought_counts() -> None:
    """Each action comes with its arguments if core's parser calls the last one."""
    one, two = '\nAction: a\nAction Input: {"x": 1}', '\nAction: b()\nAction Input: {"x": 2}'
    pieces = split(f"Sure.{one}{two}")
    assert [piece.text for piece in pieces] == ["Sure.", "a", '{"x": 1}', "b", '{"x": 2}']
    assert (parsed(f"Sure.{one}{two}").action, pieces[3].kind) == ("b", "action")


@pytest.mark.parametrize("between", ["", "\nAction Input: none"])
def test_an_action_without_an_input_gives_way_to_the_next(between: str) -> None:
    """An action comes only with its arguments if the last one counts."""
    text = f'Sure.\nAction: a{between}\nAction: b\nAction Input: {{"x": 2}}\nAction: c\n'
    assert [piece.text for piece in split(text)] == ["Sure.", "b", '{"x": 2}']
    assert parsed(text).action == "b"


def test_strings_in_single_quotes_hide_braces_as_well() -> None:
    """The parser is lenient about JSON, and so is the search for its end."""
    text = "Thought: a\nAction: s\nAction Input: {'a': 'it}s', b: it's} and so on"
    assert text_of("arguments", split(text)) == "{'a': 'it}s', b: it's}"


def test_an_object_that_is_not_closed_is_given_out_to_the_end() -> None:
    """Without its closing brace nobody knows where an object ends."""
    text = 'Thought: a\nAction: s\nAction Input: {"a": {"b": 1}\nso'
    assert text_of("arguments", split(text)) == '{"a": {"b": 1}\nso'


@pytest.mark.parametrize(
    "start", ["", "Thought: ", "Thought: a\nAnswer: ", "Thought: a\nAction: s\nAction Input: {"]
)
def test_what_is_kept_does_not_grow_with_the_text(start: str) -> None:
    """After 20 000 characters a token is read with as little before it as at the start."""
    splitter = ReActSplitter()
    splitter.feed(start)
    given_out = 0
    for char in "ab Th\nAct" * 2_500:
        given_out += sum(len(piece.text) for piece in splitter.feed(char))
    assert given_out >= 22_500 - len("b Th\nAct")
    assert len(pickle.dumps(splitter)) < 2_000


def test_an_end_comes_once() -> None:
    """A second end gives nothing."""
    splitter = ReActSplitter()
    splitter.feed("Hello. Th")
    assert splitter.end() == [Piece("answer", " Th")]
    assert splitter.end() == []
