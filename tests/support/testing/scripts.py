"""Turns at random, for properties of the fakes."""

from __future__ import annotations

import itertools
import json
from typing import get_args

from hypothesis import strategies as st

from llama_index_streaming_ext.testing import (
    Framing,
    Turn,
    fail,
    finish,
    parallel,
    refusal,
    text,
    thinking,
    tool_call,
    usage,
    wait,
)
from llama_index_streaming_ext.testing.script.parts import Part, Reason, ToolCall

DELTAS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=4)
ARGUMENTS = st.dictionaries(
    st.text(max_size=5), st.integers() | st.text(max_size=8) | st.none(), max_size=3
)


@st.composite
def calls(draw: st.DrawFn) -> ToolCall:
    """A tool call, whole or cut off, with an id or without."""
    arguments = json.dumps(draw(ARGUMENTS), ensure_ascii=draw(st.booleans()))
    cuts = draw(st.lists(st.integers(0, len(arguments)), max_size=4))
    bounds = sorted({0, *cuts, draw(st.sampled_from([len(arguments), len(arguments) // 2]))})
    pieces = [arguments[a:b] for a, b in itertools.pairwise(bounds)]
    call_id = draw(st.sampled_from([None, "call_a", "call_b"]))
    return tool_call(draw(st.sampled_from(["weather", "add"])), id=call_id, fragments=pieces)


@st.composite
def mixed_calls(draw: st.DrawFn) -> Part:
    """Several tool calls whose pieces are mixed."""
    made = draw(st.lists(calls(), min_size=1, max_size=3))
    return parallel(*made, order=draw(st.sampled_from(["interleaved", "together"])))


FRAMINGS = st.builds(
    Framing,
    role=st.sampled_from(["openai", "alone", "first", "every", "never"]),
    calls=st.sampled_from(["head", "first", "whole"]),
    finish=st.sampled_from(["alone", "last"]),
    usage=st.sampled_from(["alone", "finish"]),
    reasoning=st.sampled_from(["reasoning_content", "reasoning"]),
)
PARTS = st.one_of(
    DELTAS.map(lambda deltas: text(*deltas)),
    DELTAS.map(lambda deltas: thinking(*deltas)),
    DELTAS.map(lambda deltas: refusal(*deltas)),
    calls(),
    mixed_calls(),
    st.just(wait(0)),
)
ENDS = st.one_of(
    st.just(()),
    st.sampled_from(get_args(Reason)).map(lambda reason: (finish(reason),)),
    st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda counts: (usage(*counts),)),
    st.just((fail("The provider broke."),)),
)


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    """A turn that a provider could answer with."""
    parts = draw(st.lists(PARTS, max_size=4))
    return Turn(*parts, *draw(ENDS), framing=draw(FRAMINGS))
