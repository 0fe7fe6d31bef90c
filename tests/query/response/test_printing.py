"""Answers are printed as upstream prints them, and drawn in a terminal that can be drawn on."""

from __future__ import annotations

import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from typing import Any

import pytest

from llama_index_streaming_ext.errors import MissingDependency
from llama_index_streaming_ext.query.response.sync import AsyncLiveResponse, LiveResponse
from tests.support.query.scripted_run import PATIENCE, ScriptedRun, failed_run, finished_run


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    encoding = "utf-8"

    def __init__(self, until: str) -> None:
        super().__init__()
        self.seen = threading.Event()
        self._until = until

    def isatty(self) -> bool:
        """It is one."""
        return True

    def write(self, text: str) -> int:
        """Write, and tell when what is waited for was written."""
        written = super().write(text)
        if self._until in self.getvalue():
            self.seen.set()
        return written


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal that can be drawn on, whatever these tests are run in."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal(until="⠋")


# Plainly


def test_the_tokens_are_printed_without_a_newline(capsys: pytest.CaptureFixture[str]) -> None:
    """The first print_response_stream() prints the tokens and no newline, as upstream."""
    LiveResponse(finished_run("a", "b")).print_response_stream()
    assert capsys.readouterr().out == "ab"


def test_the_second_time_it_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The second print_response_stream() prints the text and a newline, as upstream."""
    response = LiveResponse(finished_run("a", "b"))
    response.print_response_stream()
    response.print_response_stream()
    assert capsys.readouterr().out == "abab\n"


def test_after_str_it_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """After str() the text is printed with a newline, as upstream."""
    response = LiveResponse(finished_run("a", "b"))
    str(response)
    response.print_response_stream()
    assert capsys.readouterr().out == "ab\n"


def test_what_was_read_is_printed_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole answer is printed after some of it was read (U55)."""
    response = LiveResponse(finished_run("a", "b"))
    next(response.response_gen)
    response.print_response_stream()
    assert capsys.readouterr().out == "ab"


def test_a_text_that_was_assigned_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A text assigned to response_txt is printed as a line."""
    response = LiveResponse(finished_run("a"))
    response.response_txt = "better"
    response.print_response_stream()
    assert capsys.readouterr().out == "better\n"


def test_a_failure_is_raised_after_what_was_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of a failed answer is printed, and the failure is raised, each time."""
    response = LiveResponse(failed_run("a", "b"))
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            response.print_response_stream()
        assert capsys.readouterr().out == "ab"


async def test_a_task_prints_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The async print_response_stream() ends the line, each time, as upstream."""
    response = AsyncLiveResponse(finished_run("a", "b"))
    await response.print_response_stream()
    await response.print_response_stream()
    assert capsys.readouterr().out == "ab\nab\n"


async def test_a_failure_is_raised_in_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    """The async one raises the failure after what was printed, too."""
    with pytest.raises(ValueError, match="broken"):
        await AsyncLiveResponse(failed_run("a")).print_response_stream()
    assert capsys.readouterr().out == "a"


# In a terminal


def test_markdown_is_drawn(terminal: Terminal) -> None:
    """In a terminal the answer is drawn as markdown: no asterisks are left."""
    with redirect_stdout(terminal):
        LiveResponse(finished_run("some **bold", "** words")).print_response_stream(rich=True)
    assert "\x1b[1mbold\x1b[0m" in terminal.getvalue()
    assert "**" not in terminal.getvalue()


def test_sources_come_after_the_answer(terminal: Terminal) -> None:
    """The sources stand under the answer."""
    with redirect_stdout(terminal):
        LiveResponse(finished_run("hello")).print_response_stream(rich=True)
    shown = terminal.getvalue()
    assert shown.rindex("hello") < shown.index("Sources") < shown.index("A fact.")


def test_without_sources_there_is_no_heading(terminal: Terminal) -> None:
    """An answer without sources has nothing under it."""
    run = finished_run("hello")
    run.sources = []
    with redirect_stdout(terminal):
        LiveResponse(run).print_response_stream(rich=True)
    assert "Sources" not in terminal.getvalue()


def test_sources_are_no_markup(terminal: Terminal) -> None:
    """Brackets in a source are printed as they are."""
    run = finished_run("hello")
    run.sources[0].node.set_content("[red]not a colour[/red]")  # pyright: ignore[reportUnknownMemberType] # core's loose types
    with redirect_stdout(terminal):
        LiveResponse(run).print_response_stream(rich=True)
    assert "[red]not a colour[/red]" in terminal.getvalue()


def test_a_spinner_turns_until_the_first_token(terminal: Terminal) -> None:
    """Before the first token a spinner is drawn."""
    run = ScriptedRun()
    with ThreadPoolExecutor(1) as pool, redirect_stdout(terminal):
        printing = pool.submit(LiveResponse(run).print_response_stream, rich=True)
        turned = terminal.seen.wait(PATIENCE)
        run.finish()
        printing.result(PATIENCE)
    assert turned


def test_a_failure_leaves_the_text_on_the_screen(terminal: Terminal) -> None:
    """The text of a failed answer stays drawn, without sources, and the failure is raised."""
    with pytest.raises(ValueError, match="broken"), redirect_stdout(terminal):
        LiveResponse(failed_run("hello")).print_response_stream(rich=True)
    assert "hello" in terminal.getvalue()
    assert "Sources" not in terminal.getvalue()


def test_the_cursor_comes_back(terminal: Terminal) -> None:
    """The terminal's cursor is hidden while the answer is drawn, and shown after a failure."""
    with pytest.raises(ValueError, match="broken"), redirect_stdout(terminal):
        LiveResponse(failed_run("hello")).print_response_stream(rich=True)
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().index("\x1b[?25l")


def test_an_assigned_text_is_drawn(terminal: Terminal) -> None:
    """A text assigned to response_txt is drawn."""
    response = LiveResponse(finished_run("a"))
    response.response_txt = "# Better"
    with redirect_stdout(terminal):
        response.print_response_stream(rich=True)
    assert "Better" in terminal.getvalue()


async def test_a_task_draws(terminal: Terminal) -> None:
    """The async response draws the same."""
    with redirect_stdout(terminal):
        await AsyncLiveResponse(finished_run("some **bold** words")).print_response_stream(
            rich=True
        )
    assert "\x1b[1mbold\x1b[0m" in terminal.getvalue()
    assert "Sources" in terminal.getvalue()


# Where it cannot be drawn


def test_a_file_is_printed_to_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is printed as without `rich` if the output is no terminal."""
    LiveResponse(finished_run("some **bold**")).print_response_stream(rich=True)
    assert capsys.readouterr().out == "some **bold**"


def test_a_dumb_terminal_is_printed_to_plainly(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is printed as without `rich` on a terminal that cannot move its cursor."""
    monkeypatch.setenv("TERM", "dumb")
    with redirect_stdout(terminal):
        LiveResponse(finished_run("hello")).print_response_stream(rich=True)
    assert terminal.getvalue() == "hello"


def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `rich` as good as not installed."""
    modules: dict[str, Any] = sys.modules
    for name in [name for name in modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(modules, "rich", None)


def test_without_rich_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra to install if rich is missing."""
    without_rich(monkeypatch)
    with pytest.raises(MissingDependency, match=r"pip install 'llama-index-streaming-ext\[cli\]'"):
        LiveResponse(finished_run("a")).print_response_stream(rich=True)


def test_plain_printing_needs_no_rich(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plain printing works where rich is not installed."""
    without_rich(monkeypatch)
    LiveResponse(finished_run("a")).print_response_stream()
    assert capsys.readouterr().out == "a"
