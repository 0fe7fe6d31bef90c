"""The pytest plugin. `fixtures.py` has the bodies of its fixtures, imported when one is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

RESULT = pytest.StashKey[str]()
"""The result of the test: "passed", "failed" or "skipped"; not set before it has run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--llm-record`."""
    parser.getgroup("llm", "recordings of LLMs").addoption(
        "--llm-record",
        choices=("none", "new", "all"),
        default="none",
        help="cassettes of llm_cassette: replay (none), record the missing (new), record all",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    marker = "llm_cassette(path=None): the file of llm_cassette, relative to the test's folder"
    config.addinivalue_line("markers", marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how a test went: fixtures are silent about one that has failed already."""
    report = yield
    if report.when == "call":
        item.stash[RESULT] = report.outcome
    return report


def _fixture(name: str, doc: str) -> Any:
    def body(request: pytest.FixtureRequest) -> Generator[Any]:
        yield from getattr(importlib.import_module(f"{__package__}.fixtures"), name)(request)

    body.__doc__ = doc
    return pytest.fixture(name=name)(body)


fake_llm = _fixture(
    "fake_llm", "Make fake LLMs: `fake_llm(script, **kwargs)` returns a FakeStreamingLLM."
)
fake_openai = _fixture(
    "fake_openai", "Make fakes of OpenAI: `fake_openai(script, **kwargs)` returns a FakeOpenAI."
)
virtual_clock = _fixture(
    "virtual_clock", "Virtual time: nobody waits for sleeps and timeouts. A `VirtualClock`."
)
llm_cassette = _fixture(
    "llm_cassette", "Replay or record an LLM: `llm_cassette(real_llm)` returns the LLM to use."
)
no_llm_network = _fixture("no_llm_network", "Refuse connections to other machines.")
