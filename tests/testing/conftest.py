"""What tests of the testing kit share."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from llama_index_streaming_ext.testing import VirtualClock, no_network
from tests.support.testing.plugin_runs import ASYNCIO, IMPORTS, OFFLINE


@pytest.fixture
def clock() -> Generator[VirtualClock]:
    """A virtual clock."""
    with VirtualClock() as clock:
        yield clock


@pytest.fixture
def run(pytester: pytest.Pytester) -> Any:
    """A function that runs tests with the plugin, in this process."""

    def run(source: str, *args: str, mode: str = "auto") -> pytest.RunResult:
        pytester.makeini(ASYNCIO.format(mode))
        pytester.makepyfile(IMPORTS + source)
        return pytester.runpytest_inprocess(*OFFLINE, *args)

    return run


@pytest.fixture
def network_blocked() -> Generator[None]:
    """The network is blocked while the test runs."""
    with no_network():
        yield
