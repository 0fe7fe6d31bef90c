"""The example of an app that its authors test, run as they would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text, tool_call
from tests.support.paths import EXAMPLES

# LangSmith's plugin takes a second to import, and is none that the app asks for.
PYTEST = [
    *(sys.executable, "-m", "pytest", "-q", "--strict-markers"),
    *("-p", "no:cacheprovider", "-p", "no:langsmith_plugin"),
]
EXAMPLE = EXAMPLES / "testing"
NO_KEY = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the example, outside of this project and its settings."""
    where = tmp_path / "app"
    shutil.copytree(EXAMPLE, where, ignore=shutil.ignore_patterns("__pycache__"))
    (where / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return where


def run(app: Path, *args: str, **env: str) -> str:
    """What pytest prints of the tests of the app, which pass."""
    done = subprocess.run(
        [*PYTEST, *args],
        cwd=app,
        env=NO_KEY | env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_app_is_tested_offline(app: Path) -> None:
    """Its tests pass without a key, and leave nothing."""
    before = sorted(app.rglob("*"))
    assert "6 passed" in run(app, PYTHONDONTWRITEBYTECODE="1")
    assert sorted(app.rglob("*")) == before


def test_its_cassette_is_recorded_anew(app: Path) -> None:
    """A cassette is recorded from the wire, and replayed when the wire is gone."""
    cassette = app / "cassettes" / "paris.jsonl"
    cassette.unlink()
    script = [
        Turn(tool_call("weather", city="Paris")),
        Turn(text("Sunny", ", it is", ".")),
    ]
    with FakeOpenAI(script).serve() as url:
        recording = {"OPENAI_API_BASE": url, "OPENAI_API_KEY": "fake-key"}
        run(app, "-k", "cassette", "--llm-record=new", **recording)
    assert ", it is" in cassette.read_text()
    assert "1 passed" in run(app, "-k", "cassette")
