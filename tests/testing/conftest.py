"""What tests of the testing kit share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from llama_index_streaming_ext.testing import VirtualClock


@pytest.fixture
def clock() -> Generator[VirtualClock]:
    """A virtual clock."""
    with VirtualClock() as clock:
        yield clock
