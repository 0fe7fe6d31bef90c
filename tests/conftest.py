"""What all tests share."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# Checks in helpers say what they have compared, as those of tests do.
pytest.register_assert_rewrite("tests.support")

from tests.support.ready_python import ReadyPython, ready_python  # noqa: E402

pytest_plugins = ["pytester"]

UNIT_ROOMS = {"codec", "draw", "events", "llm", "log", "package", "stream", "testing", "threads"}
"""Folders of `tests/` whose tests need no run: each is a unit test."""

FOLDER_MARKERS = ("process", "matrix", "upstream")
"""A folder of one of these names, anywhere below `tests/`, marks its tests with its name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--all`, which runs the tests of every marker."""
    parser.addoption("--all", action="store_true", help="run every test, whatever its marker")


def pytest_configure(config: pytest.Config) -> None:
    """Let `--all` lift the selection that `pyproject.toml` makes."""
    if config.getoption("--all"):
        config.option.markexpr = ""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by the folder that it lies in."""
    folders = item.path.relative_to(Path(__file__).parent).parts[:-1]
    named = [name for name in FOLDER_MARKERS if name in folders]
    unit = bool(folders) and folders[0] in UNIT_ROOMS
    item.add_marker(named[0] if named else "unit" if unit else "integration")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Also where a shell has told its background jobs, and so their children, to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def no_loop_is_made_unasked() -> None:
    """Keep `asyncio.get_event_loop()` from making a loop that nobody closes.

    Core's `asyncio_run` calls it. In a main thread that has never set a loop, Pythons before 3.14
    make one; after the first `asyncio.run`, or this, the function raises instead.
    """
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session", autouse=True)
def no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test speaks TLS, and to read all certificates is most of what a client costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


@pytest.fixture(scope="session")
def python() -> Iterator[ReadyPython]:
    """What runs programs, each in a process of its own, whose environment is empty."""
    measured = {name: at for name, at in os.environ.items() if name.startswith("COVERAGE_")}
    with ready_python(env=measured) as python:
        yield python


def pytest_collection_finish() -> None:
    """What is imported stays: a test that collects garbage need not go through it again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """At the end pytest collects all garbage, and tells of what complains."""
    gc.unfreeze()
