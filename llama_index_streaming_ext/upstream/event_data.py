"""Private attributes of events, and of objects in them, that hold data beside the fields.

Canary: `tests/upstream/test_event_data.py`.
"""

from __future__ import annotations

from typing import Any, cast

from workflows.events import Event

DYNAMIC = "_data"
"""The attribute of an event that holds its dynamic attributes (`event.foo = 1`), a dict."""

RESULT = "_result"
"""The attribute of a `StopEvent` that holds its result."""

EXCEPTION = "_exception"
"""The attribute of a `ToolOutput` that holds the exception of its tool."""


def dynamic_attributes(event: Event) -> dict[str, Any]:
    """Return the dict of an event's dynamic attributes; an empty one if it has none."""
    return cast("dict[str, Any]", (event.__pydantic_private__ or {}).get(DYNAMIC) or {})
