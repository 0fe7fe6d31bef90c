"""`python -m llama_index_streaming_ext.testing serve`: the fake for other processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from llama_index_streaming_ext.testing.__main__ import main

SCRIPT = """
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text
script = [Turn(text("Hello", "!"))]
"""
BODY: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hi"}]}


def said(url: str) -> str:
    """The answer to one call."""
    answer = httpx.post(f"{url}/chat/completions", json=BODY).json()
    return answer["choices"][0]["message"]["content"]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A file with a script of one turn."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_another_process_is_answered_until_it_is_interrupted(script: Path) -> None:
    """The first line is the base URL; Ctrl-C ends the server cleanly."""
    command = [sys.executable, "-m", "llama_index_streaming_ext.testing", "serve", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert said(process.stdout.readline().strip()) == "Hello!"
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0


def test_options_are_handed_on(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last turn may answer for ever, and the bytes be cut."""
    answers: list[str] = []

    def ask_twice() -> None:
        url = capsys.readouterr().out.strip()
        answers.extend([said(url), said(url)])

    arguments = ["serve", str(script), "--repeat-last", "--split", "byte"]
    assert main(arguments, until=ask_twice) == 0
    assert answers == ["Hello!", "Hello!"]


def test_a_file_may_make_its_own_fake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fake = FakeOpenAI(...)` in the file has all options."""
    path = tmp_path / "own.py"
    path.write_text(SCRIPT + "fake = FakeOpenAI('own')")
    answers: list[str] = []
    main(["serve", str(path)], until=lambda: answers.append(said(capsys.readouterr().out.strip())))
    assert answers == ["own"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("x = 1", "neither `script`"), ("script = [1]", "neither a Turn")],
)
def test_a_file_that_is_no_script(
    content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake is one line on stderr."""
    path = tmp_path / "script.py"
    if content is not None:
        path.write_text(content)
    assert main(["serve", str(path)]) == 1
    assert message in capsys.readouterr().err
