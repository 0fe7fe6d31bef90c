"""Events and tool outputs keep data in private attributes."""

from __future__ import annotations

from llama_index.core.tools import ToolOutput
from workflows.events import Event, StopEvent

from llama_index_streaming_ext.upstream.event_data import (
    DYNAMIC,
    EXCEPTION,
    RESULT,
    dynamic_attributes,
    set_dynamic_attributes,
)


def test_an_event_keeps_dynamic_attributes_in_data() -> None:
    """`event.foo = 1` is in the dict of the private attribute `_data`."""
    event = Event()
    assert dynamic_attributes(event) == {}
    event.foo = 1
    assert dynamic_attributes(event) == {"foo": 1}
    assert getattr(event, DYNAMIC) == {"foo": 1}


def test_a_copy_of_an_event_shares_its_dynamic_attributes() -> None:
    """A copy of an event shares its dynamic attributes until it is given its own."""
    event = Event(foo=1)
    copy = event.model_copy()
    assert dynamic_attributes(copy) is dynamic_attributes(event)
    set_dynamic_attributes(copy, {"foo": 2})
    assert (event.foo, copy.foo) == (1, 2)


def test_a_stop_event_keeps_its_result() -> None:
    """The result of a `StopEvent` is in the private attribute `_result`."""
    assert getattr(StopEvent(result=2), RESULT) == 2


def test_a_tool_output_keeps_its_exception() -> None:
    """The exception of a `ToolOutput` is in the private attribute `_exception`."""
    error = ValueError("no")
    output = ToolOutput(
        content="no", tool_name="t", raw_input={}, raw_output=error, exception=error
    )
    assert getattr(output, EXCEPTION) is error
