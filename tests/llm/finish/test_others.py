"""How providers other than OpenAI say that a call has ended."""

from __future__ import annotations

import enum
from types import SimpleNamespace as Obj
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.llms import MockLLM

from llama_index_streaming_ext.llm.finish.reader import Finish, reader_for
from llama_index_streaming_ext.testing import FakeStreamingLLM


class Reason(enum.Enum):
    """Google's finish reasons, as the enumeration that its library has."""

    FINISH_REASON_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
    STOP = "STOP"
    SAFETY = "SAFETY"


class ProtoReason(enum.IntEnum):
    """Google's reasons as protocol buffers have them: the first is 0."""

    FINISH_REASON_UNSPECIFIED = 0
    STOP = 1
    MAX_TOKENS = 2


def read(*shown: Any) -> Finish | None:
    """What a reader for an unknown LLM says of these chunks."""
    reader = reader_for(MockLLM(max_tokens=None))
    for raw in shown:
        reader.see(raw)
    return reader.finish


ANTHROPIC: list[tuple[Any, str | None]] = [
    ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, "stop"),
    ({"type": "message_delta", "delta": Obj(stop_reason="tool_use")}, "tool_calls"),
    (Obj(type="message_delta", delta=Obj(stop_reason="max_tokens")), "length"),
    ({"type": "message", "stop_reason": "refusal"}, "refusal"),
    (Obj(type="message", stop_reason="stop_sequence"), "stop"),
    ({"stop_reason": "pause_turn"}, "pause_turn"),
    ({"stop_reason": "model_context_window_exceeded"}, "length"),
    ({"type": "message_start", "message": {"stop_reason": None}}, None),
    ({"type": "content_block_delta", "delta": Obj(text="Hi")}, None),
    ({"type": "message_stop"}, None),
]


@pytest.mark.parametrize(("raw", "reason"), ANTHROPIC)
def test_anthropic(raw: Any, reason: str | None) -> None:
    """Anthropic's reason is in `stop_reason`, or in that of a `delta`; LlamaIndex mixes the two."""
    assert read(raw) == (None if reason is None else Finish(reason))


GOOGLE: list[tuple[Any, str | None]] = [
    ({"candidates": [{"finish_reason": "STOP"}]}, "stop"),
    (Obj(candidates=[Obj(finish_reason=Reason.STOP)]), "stop"),
    (Obj(candidates=[Obj(finish_reason=Reason.SAFETY)]), "content_filter"),
    (Obj(candidates=[Obj(finish_reason=ProtoReason.MAX_TOKENS)]), "length"),
    (Obj(candidates=[Obj(finish_reason=ProtoReason.FINISH_REASON_UNSPECIFIED)]), None),
    (Obj(candidates=[Obj(finish_reason=Reason.FINISH_REASON_UNSPECIFIED)]), None),
    ({"candidates": [{"finish_reason": "RECITATION"}]}, "content_filter"),
    ({"candidates": [{"finish_reason": "MALFORMED_FUNCTION_CALL"}]}, "malformed_function_call"),
    ({"candidates": [{"finish_reason": None}]}, None),
    ({"candidates": [], "prompt_feedback": {"block_reason": "SAFETY"}}, "content_filter"),
    (Obj(candidates=None, prompt_feedback=Obj(block_reason=Reason.SAFETY)), "content_filter"),
    ({"prompt_feedback": {"block_reason": None}, "candidates": [{}]}, None),
    ({"content": {"parts": []}, "finish_reason": Reason.STOP}, "stop"),
    ({"content": None, "finish_reason": None, "block_reason": Reason.SAFETY}, "content_filter"),
]


@pytest.mark.parametrize(("raw", "reason"), GOOGLE)
def test_google(raw: Any, reason: str | None) -> None:
    """Google's reason is in the first candidate, or LlamaIndex has merged it into the top."""
    assert read(raw) == (None if reason is None else Finish(reason))


def test_google_says_what_it_blocked() -> None:
    """What Google says of a block is kept as the text."""
    feedback = {"block_reason": "OTHER", "block_reason_message": "Blocked."}
    assert read({"prompt_feedback": feedback}) == Finish("content_filter", "Blocked.")


OTHERS: list[tuple[Any, str | None]] = [
    ({"model": "llama3", "message": {"content": "Hi"}, "done": False}, None),
    ({"model": "llama3", "message": {"content": ""}, "done_reason": "length"}, "length"),
    ({"messageStop": {"stopReason": "guardrail_intervened"}}, "content_filter"),
    ({"stopReason": "end_turn"}, "stop"),
    ({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}, "stop"),
    ({"message": "a string", "delta": "a string"}, None),
    ({"error": "model not found"}, "failed"),
    ({"error": None}, None),
    ({"error": {}}, None),
    ("a string", None),
    (7, None),
    ({}, None),
]


@pytest.mark.parametrize(("raw", "reason"), OTHERS)
def test_others(raw: Any, reason: str | None) -> None:
    """Ollama, Bedrock and Cohere are known; what is known to nobody says nothing."""
    end = read(raw)
    assert (end and end.reason) == reason


_NAMES = (
    *("choices", "delta", "message", "finish_reason", "stop_reason", "candidates", "type"),
    *("prompt_feedback", "object", "response", "refusal", "error", "output", "content", "part"),
    *("status", "incomplete_details", "code"),
)
_WORDS = st.sampled_from(
    (
        *("response.completed", "response.failed", "response.incomplete", "incomplete"),
        *("response.refusal.delta", "response.content_part.added", "response"),
        *("stop", "refusal", "error", "message", "failed"),
    )
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | _WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_NAMES) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(_NAMES), _JSON) | _JSON)
def test_a_reader_stands_any_chunk(raw: Any) -> None:
    """No JSON that a server may send makes a reader raise: an odd chunk is no broken call."""
    finish = read(raw)
    assert finish is None or (isinstance(finish.reason, str) and isinstance(finish.text, str))
    for known in (FakeStreamingLLM(), FakeStreamingLLM(dialect="responses")):
        reader_for(known).see(raw)
