"""`python -m llama_index_streaming_ext demo`: what it shows, and how it ends."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from llama_index_streaming_ext.cli import main
from llama_index_streaming_ext.testing import FakeOpenAI, Turn, http, text, tool_call

DEMO = [sys.executable, "-m", "llama_index_streaming_ext", "demo"]
NOWHERE = "http://127.0.0.1:1/v1"


@pytest.fixture(scope="module")
def shown() -> str:
    """What the demo prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["demo", "--fast"]) == 0
    return out.getvalue()


def said_by(reader: str, shown: str) -> str:
    """The last that is said of a reader."""
    return re.findall(rf"   reader {reader}   (.*)", shown)[-1]


@pytest.fixture(scope="module")
def elsewhere() -> subprocess.CompletedProcess[str]:
    """The demo in a process of its own, where the environment is against it."""
    env = {
        "OPENAI_API_KEY": "bogus",
        "OPENAI_API_BASE": NOWHERE,
        "OPENAI_BASE_URL": NOWHERE,
        **{f"{scheme}_proxy": "http://127.0.0.1:1" for scheme in ("http", "https", "all")},
        **{f"{scheme}_PROXY": "http://127.0.0.1:1" for scheme in ("HTTP", "HTTPS", "ALL")},
        "no_proxy": "",
        "NO_PROXY": "",
        "PYTHONIOENCODING": "ascii",
    }
    return subprocess.run(
        [*DEMO, "--fast"],
        env={**os.environ, **env},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


# What it shows


def test_things_come_in_their_order(shown: str) -> None:
    """The workflow with its tokens, the agent with its tool, then the outcomes."""
    order = [
        "Step one is happening",
        "Call me Ishmael.",
        "Step three is happening",
        "Workflow complete.",
        "What is the weather in San Francisco?",
        "I will look up the weather.",
        "weather(city='San Francisco')",
        "San Francisco: partly cloudy",
        "The current weather in San Francisco",
        "How the runs ended",
    ]
    places = [shown.index(thing) for thing in order]
    assert places == sorted(places)


def test_the_second_reader_sees_what_the_first_one_sees(shown: str) -> None:
    """Two readers at once get the same events, each of them all."""
    assert said_by("B", shown).endswith("the same")


def test_the_late_reader_sees_what_was_before_it(shown: str) -> None:
    """A reader that joins while the tool works gets the same events from the first one on."""
    assert int(re.findall(r"joined after event (\d+)", shown)[0]) > 0
    assert said_by("C", shown).endswith("the same")


@pytest.mark.parametrize("name", ["workflow", "agent"])
def test_the_outcomes_are_said(name: str, shown: str) -> None:
    """Each run has its status, its length, the time to its first token, and its speed."""
    row = rf"   {name} +completed +[1-9]\d* +(?:-|\d+/\d+) +\d+\.\d\d s +\d+\.\d"
    assert re.search(row, shown)


def test_the_usage_is_what_the_provider_said(shown: str) -> None:
    """An agent's usage is known; that of an LLM which a step calls is the step's own affair."""
    assert re.search(r"agent +completed +\d+ +[1-9]\d*/[1-9]\d* ", shown)
    assert re.search(r"workflow +completed +\d+ +- ", shown)


def test_the_page_is_not_wider_than_a_terminal(shown: str) -> None:
    """What streams is wrapped at 80 columns."""
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_no_thread_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    """The fake provider's thread ends with the demo."""
    before = set(threading.enumerate())
    main(["demo", "--fast"])
    assert set(threading.enumerate()) <= before


# Where it runs


def test_the_environment_does_not_lead_it_astray(
    elsewhere: subprocess.CompletedProcess[str],
) -> None:
    """Without --live neither a key, nor a base URL, nor a proxy of the environment is used."""
    assert (elsewhere.returncode, elsewhere.stderr) == (0, "")
    assert len(re.findall("  completed  ", elsewhere.stdout)) == 3


def test_a_terminal_may_know_ascii_only(elsewhere: subprocess.CompletedProcess[str]) -> None:
    """What it has no character for is a question mark."""
    assert (elsewhere.returncode, elsewhere.stderr) == (0, "")
    assert "13.9?C" in elsewhere.stdout


def test_who_reads_the_output_may_stop() -> None:
    """As with `| head -1`: the demo stops, and says nothing more."""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(120) == 141


# Ctrl-C


@pytest.mark.parametrize(
    ("moment", "presses"),
    [("llama-index-streaming-ext", 2), ("Ishmael", 1), ("Ishmael", 2), ("tool call", 1)],
)
def test_ctrl_c_ends_it_at_any_time(moment: str, presses: int) -> None:
    """One line, exit code 130; also while it imports, while it streams, while a tool works."""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = b""
        while moment.encode() not in seen:
            printed = os.read(process.stdout.fileno(), 4096)
            assert printed, seen
            seen += printed
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert said == b"\nInterrupted.\n"
    assert process.returncode == 130


# What it needs


@pytest.mark.parametrize("module", ["h11", "llama_index.llms.openai"])
def test_a_missing_extra_is_named(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line to install it with, and exit code 1."""
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["demo", "--fast"]) == 1
    assert "pip install 'llama-index-streaming-ext[cli]'" in capsys.readouterr().err


def test_live_needs_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one it is a wrong use, and the variable to set is named."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["demo", "--live"]) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err


def test_live_calls_the_provider_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runs are the same, and each of their calls goes to OPENAI_API_BASE."""
    provider = FakeOpenAI(
        [
            Turn(text("Call me", " Ahab.")),
            Turn(tool_call("weather", city="Oslo")),
            Turn(text("It", " rains.")),
        ]
    )
    with provider.serve() as url:
        monkeypatch.setenv("OPENAI_API_KEY", "my-key")
        monkeypatch.setenv("OPENAI_API_BASE", url)
        assert main(["demo", "--live", "--fast"]) == 0
    assert "weather(city='Oslo')" in capsys.readouterr().out
    assert provider.left == []


def test_what_the_provider_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that fails is an outcome as well: its error is shown, and the exit code is 1."""
    wrong_key = Turn(http(401, message="no such key"))
    with FakeOpenAI([wrong_key], repeat_last=True).serve() as url:
        monkeypatch.setenv("OPENAI_API_KEY", "my-key")
        monkeypatch.setenv("OPENAI_API_BASE", url)
        assert main(["demo", "--live", "--fast"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"workflow +failed +0 +- +- +-", out)
    assert "AuthenticationError: Error code: 401" in out
