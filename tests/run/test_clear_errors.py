"""Mistakes of beginners, and what they are told."""

from __future__ import annotations

from typing import Any, cast

import pytest

from llama_index_streaming_ext import EventStream, register_event, stream_run
from llama_index_streaming_ext.codec import encode
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.flows import Note, Notes


@pytest.mark.parametrize("wrong", [None, Notes, "run"])
def test_stream_run_takes_a_handler(wrong: Any) -> None:
    """The error names an object that is no handler."""
    with pytest.raises(TypeError, match=r"stream_run takes what workflow.run\(...\) returned"):
        stream_run(wrong)


def test_register_event_takes_a_class_of_events_first() -> None:
    """The two arguments the wrong way round, or another class, are named."""
    with pytest.raises(TypeError, match="a subclass of Event and then its kind"):
        register_event(cast("Any", "my.note"), cast("Any", Note))
    with pytest.raises(TypeError, match="a subclass of Event and then its kind"):
        register_event(cast("Any", dict), "my.dict")


def test_encode_takes_an_event() -> None:
    """The error names an object that is no event."""
    with pytest.raises(TypeError, match="encode takes an event, not dict"):
        encode(cast("Any", {}))


def test_read_takes_classes_of_events() -> None:
    """A class's name is not the class."""
    with pytest.raises(TypeError, match="'AgentStream'"):
        EventStream("r").read(types=cast("Any", "AgentStream"))


def test_an_unknown_option_of_the_fake_is_named() -> None:
    """A misspelt option is not silently ignored."""
    with pytest.raises(TypeError, match="Did you mean 'strict'"):
        FakeStreamingLLM("a", stict=False)
