"""Folders that tests read from."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""

DATA = ROOT / "tests" / "data"
"""Golden files of the tests."""

EXAMPLES = ROOT / "examples"
"""The example programs."""
