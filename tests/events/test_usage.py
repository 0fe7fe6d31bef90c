"""What raw chunks of providers say about tokens used."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llama_index_streaming_ext.events.usage import Usage, says_the_end, usage_of

OPENAI_CHAT: dict[str, Any] = {
    "object": "chat.completion.chunk",
    "choices": [],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}
OPENAI_RESPONSES: dict[str, Any] = {
    "type": "response.completed",
    "response": {"usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}},
}
ANTHROPIC: dict[str, Any] = {"type": "message", "usage": {"input_tokens": 11, "output_tokens": 7}}
GEMINI: dict[str, Any] = {
    "candidates": [{"finish_reason": "STOP"}],
    "usage_metadata": {"prompt_token_count": 11, "candidates_token_count": 7},
}


@pytest.mark.parametrize(
    "raw",
    [OPENAI_CHAT, OPENAI_RESPONSES, OPENAI_RESPONSES["response"], ANTHROPIC, GEMINI],
    ids=["openai chat", "openai responses", "openai response", "anthropic", "gemini"],
)
def test_usage_of_a_provider(raw: dict[str, Any]) -> None:
    """Each provider's counts are found under its own names."""
    assert usage_of(raw) == Usage(input_tokens=11, output_tokens=7, calls=1)


def test_usage_in_an_object() -> None:
    """A provider's own objects are read as dicts are, also inside of one."""
    counts = SimpleNamespace(input_tokens=11, output_tokens=7)
    said = Usage(11, 7, calls=1)
    assert usage_of({"usage": counts}) == usage_of(SimpleNamespace(usage=counts)) == said


def test_usage_of_anthropics_first_event() -> None:
    """The first event of an Anthropic stream says the input tokens, in its message."""
    raw = {"type": "message_start", "message": {"usage": {"input_tokens": 11, "output_tokens": 1}}}
    assert usage_of(raw) == Usage(11, 1, calls=1)


def test_gemini_counts_its_thoughts_beside_the_answer() -> None:
    """Output tokens are those of the answer and of the thoughts."""
    raw = {"usage_metadata": {"candidates_token_count": 7, "thoughts_token_count": 4}}
    assert usage_of(raw) == Usage(0, 11, calls=1)


def test_a_later_count_of_one_call() -> None:
    """What a later chunk of one call says is not added, but is the larger count."""
    assert Usage(11, 1, 1).grown_to(Usage(0, 7, 1)) == Usage(11, 7, 1)


def test_one_count_is_enough() -> None:
    """A count that is not said is zero where the other one is."""
    raw = {"type": "message_delta", "usage": {"output_tokens": 7}}
    assert usage_of(raw) == Usage(0, 7, calls=1)


def test_zero_is_a_count() -> None:
    """A provider that says zero has said something."""
    assert usage_of({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}) == Usage(calls=1)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "usage",
        pytest.param(object(), id="object"),
        {},
        {"usage": None},
        {"usage": {}},
        {"usage": 18},
        {"usage": {"total_tokens": 18}},
        {"usage": {"prompt_tokens": None, "completion_tokens": "7"}},
        {"response": None},
        {"response": {"usage": None}},
        {"choices": [{"delta": {"content": "a"}}], "usage": None},
    ],
    ids=repr,
)
def test_nothing_said(raw: Any) -> None:
    """A chunk that says no counts has no usage."""
    assert usage_of(raw) is None


def test_sum() -> None:
    """The usage of two calls adds up, calls too."""
    assert Usage(1, 2, 1) + Usage(10, 20, 1) == Usage(11, 22, 2)


def test_total() -> None:
    """The total is input and output."""
    assert Usage(11, 7, 1).total_tokens == 18


ENDS: list[dict[str, Any]] = [
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    {"type": "response.failed", "response": {}},
    {"type": "response.incomplete"},
    GEMINI,
    {"stop_reason": "end_turn"},
    {"finish_reason": "STOP"},
]


@pytest.mark.parametrize("raw", ENDS)
def test_the_end(raw: Any) -> None:
    """A finish reason, or a provider's last event, is the end of a call."""
    assert says_the_end(raw)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"choices": [{"delta": {"content": "a"}, "finish_reason": None}]},
        {"choices": None},
        {"choices": ["?"]},
        {"type": "response.output_text.delta"},
        {"candidates": [{"finish_reason": None}]},
    ],
    ids=repr,
)
def test_not_the_end(raw: Any) -> None:
    """A chunk in the middle of a call is not its end."""
    assert not says_the_end(raw)
