"""Tool calls, text and reasoning, read from the chunks of classes that nobody knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import TextBlock

from llama_index_streaming_ext.llm.chunks.reader import Fragment
from tests.support.llm.reading_chunks import Data, call, read_shown, shown


def test_growing_text_is_told_as_it_grows() -> None:
    """Of any class's growing arguments each chunk tells what it adds."""
    done = read_shown(shown(call({})), shown(call('{"x"')), shown(call('{"x": 1}')))
    assert [fragment.delta for fragment in done.fragments] == ['{"x"', ": 1}"]


def test_a_dict_waits_for_the_end() -> None:
    """A dict, which may grow, is told when the call is certain to be complete."""
    one, two = call({"x": 1}), call({"y": {}}, "b")
    done = read_shown(shown(call({})), shown(one), shown(one, call({}, "b")), shown(one, two))
    assert [list(piece.fragments) for piece in done.pieces] == [
        [],
        [],
        [Fragment("a", "weather", 0, '{"x":1}')],
        [],
    ]
    assert done.parsed() == {"a": {"x": 1}, "b": {"y": {}}}


def test_complete_text_waits_for_the_end() -> None:
    """Text that is complete JSON in every chunk, as partial parsers make it, is told once."""
    done = read_shown(shown(call('{"x": "a"}')), shown(call('{"x": "ab"}')))
    assert done.fragments == [Fragment("a", "weather", 0, '{"x": "ab"}')]


def test_an_empty_object_is_a_beginning() -> None:
    """Text that is `{}` at first, as a placeholder, holds nothing up."""
    done = read_shown(shown(call("{}")), shown(call('{"x"')), shown(call('{"x": 1}')))
    assert [fragment.delta for fragment in done.fragments] == ['{"x"', ": 1}"]


def test_rewritten_text_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments that change where they were told are logged once; the deltas go no further."""
    done = read_shown(shown(call('{"x"')), shown(call('{"y": 1')), shown(call('{"y": 12}')))
    assert done.joined() == {"a": '{"x"'}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_dict_in_the_end_is_no_change(caplog: pytest.LogCaptureFixture) -> None:
    """A class that shows text while it streams, and a dict at last, has rewritten nothing."""
    read_shown(shown(call('{"x"')), shown(call('{"x": 1}')), shown(call({"x": 1})))
    assert caplog.records == []


def test_shown_calls_without_id_get_one() -> None:
    """Calls that a class shows without id are told apart by their place."""
    done = read_shown(shown(call({"x": 1}, None), call({"x": 2}, None)))
    assert done.parsed() == {"call_0": {"x": 1}, "call_1": {"x": 2}}


def test_messages_need_not_be_cumulative() -> None:
    """Calls that are shown in one chunk only are read."""
    done = read_shown(shown(call({"x": 1}, "a")), shown(call({"x": 2}, "b")), shown())
    assert done.parsed() == {"a": {"x": 1}, "b": {"x": 2}}


def test_without_delta_the_growth_is_the_delta() -> None:
    """Where chunks have the whole text only, what it has grown by is the delta."""
    chunks = [shown(TextBlock(text=said), delta=None) for said in ("It", "It is", "It is")]
    assert [piece.delta for piece in read_shown(*chunks).pieces] == ["It", " is", ""]


def test_without_delta_nothing_is_invented() -> None:
    """A text that is not what was read, and more, adds nothing."""
    done = read_shown(shown(delta="It is"), shown(TextBlock(text="That"), delta=None))
    assert done.reader.text == "It is"


def test_reasoning_of_any_class_is_read() -> None:
    """`thinking_delta` is where classes put reasoning."""
    done = read_shown(shown(additional_kwargs={"thinking_delta": "Hm"}))
    assert done.pieces[0].thinking == done.reader.thinking == "Hm"


def anthropic(kind: str, index: int, **delta: Any) -> Data:
    """A raw event as Anthropic's class shows it: a dict of the SDK's objects."""
    return {"type": kind, "index": index, "delta": SimpleNamespace(**delta)}


def piece_of(index: int, partial_json: str) -> Data:
    """A raw event with a piece of arguments."""
    kind = "content_block_delta"
    return anthropic(kind, index, type="input_json_delta", partial_json=partial_json)


def test_anthropic_arguments_come_as_they_are_written() -> None:
    """Anthropic's raw events have the text of the arguments; its messages only a dict."""
    one = call({"x": 1}, "b")
    done = read_shown(
        shown(raw=anthropic("content_block_delta", 0, type="text_delta", text="")),
        shown(call({}), raw=piece_of(1, "")),
        shown(call({"x": None}), raw=piece_of(1, '{"x"')),
        shown(call({"x": 1}), raw=piece_of(1, ": 1}")),
        shown(call({"x": 1}), raw={"type": "content_block_stop"}),
        shown(call({"x": 1}), one, raw=piece_of(2, '{"x": 1}')),
        shown(call({"x": 1}), one, call({}, "c"), raw=piece_of(3, "")),
    )
    assert [fragment.delta for fragment in done.fragments] == ['{"x"', ": 1}", '{"x": 1}', "{}"]
    assert done.parsed() == {"a": {"x": 1}, "b": {"x": 1}, "c": {}}


def test_anthropic_blocks_may_begin_in_the_open() -> None:
    """Where the event that begins a block is shown, it names the call."""
    block = {"type": "tool_use", "id": "a", "name": "weather"}
    begun = {"type": "content_block_start", "index": 0, "content_block": block}
    done = read_shown(shown(raw=begun), shown(raw=piece_of(0, "{}")))
    assert done.fragments == [Fragment("a", "weather", 0, "{}")]


def test_anthropic_tools_of_the_server_are_not_told() -> None:
    """Arguments of tools that the provider runs itself belong to no call."""
    assert read_shown(shown(raw=piece_of(0, '{"query"'))).fragments == []


def test_anthropic_reasoning_is_read() -> None:
    """Anthropic's reasoning is in its raw events only."""
    raw = anthropic("content_block_delta", 0, type="thinking_delta", thinking="Hm")
    assert read_shown(shown(raw=raw)).reader.thinking == "Hm"
