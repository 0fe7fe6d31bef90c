"""Fields of what a provider said, be it an object of its SDK or a dict."""

from __future__ import annotations

import copy
from typing import Any, cast


def get(said: Any, name: str) -> Any:
    """A field, None where there is none."""
    if isinstance(said, dict):
        return cast("dict[str, Any]", said).get(name)
    return getattr(said, name, None)


def with_fields(said: Any, **fields: Any) -> Any:
    """A shallow copy with other values in some fields."""
    if isinstance(said, dict):
        return {**cast("dict[str, Any]", said), **fields}
    own = copy.copy(said)
    for name, value in fields.items():
        setattr(own, name, value)
    return own
