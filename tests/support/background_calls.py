"""Work for the background loop."""

from __future__ import annotations

LONG = 120.0
"""Seconds that something may take on a busy machine."""


async def answer() -> int:
    """A result."""
    return 42
