"""Tool calls that have been streamed and have no result yet: they are not streamed again (U34)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager

from llama_index_streaming_ext.events import Event, ToolCall
from llama_index_streaming_ext.run.run import Run

# By the identity of the event: upstream passes the same one each time that a step is run again.
_announced: weakref.WeakKeyDictionary[Run, dict[int, ToolCall]] = weakref.WeakKeyDictionary()


@contextmanager
def announced_once(
    run: Run | None, call: ToolCall
) -> Generator[Callable[[Event], bool], None, None]:
    """A tool is called, perhaps again, because it has waited for an event.

    In a context that was serialised and goes on in a new run, the call is streamed again: the new
    run has a log of its own, and each result in it has its call (L4).

    Args:
        run: the run, None where it is none of ours.
        call: the call.

    Yields:
        Tells whether an event is to be streamed, that is, is not this very call again.
    """
    calls = _announced.setdefault(run, {}) if run is not None else {}

    def is_new(event: Event) -> bool:
        if type(event) is not ToolCall or event.tool_id != call.tool_id:
            return True
        if id(call) in calls:
            return False
        calls[id(call)] = call
        return True

    yield is_new
    # It has a result: the same id may be used for another call.
    calls.pop(id(call), None)
