"""Bodies that a provider should not send, and what the real class makes of them."""

from __future__ import annotations

import json

import pytest
from llama_index.core.llms import ChatMessage

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn


def test_a_body_may_end_in_the_middle_of_a_character() -> None:
    """Its chunks are there, and then what the real class raises (U75)."""
    whole = 'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    turn = Turn.from_wire(whole.encode() + whole.replace('"a"', '"').encode()[:-8] + b"\xf0\x9f")
    chunks = FakeStreamingLLM(turn).stream_chat([ChatMessage(content="hi")])
    assert next(chunks).delta == "a"
    with pytest.raises(UnicodeDecodeError):
        next(chunks)


def test_a_retry_field_alone_is_an_event_for_the_sdk() -> None:
    """Openai's SDK takes `retry: 3000` for an event without data, and fails; so does the fake."""
    body = (
        'retry: 3000\n\ndata: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
    )
    with pytest.raises(json.JSONDecodeError):
        list(FakeStreamingLLM(Turn.from_wire(body)).stream_chat([ChatMessage(content="hi")]))


def test_a_lone_error_is_of_the_responses_api() -> None:
    """A stream that begins with an error is not taken for the other dialect."""
    body = 'event: error\ndata: {"type":"error","code":"c","message":"m","sequence_number":1}\n\n'
    turn = Turn.from_wire(body)
    assert turn.recorded is not None
    assert turn.recorded.dialect == "responses"
