"""Every example runs offline, without a key, and prints what it is there to show."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import EXAMPLES
from tests.support.ready_python import ReadyPython

SHOWN = {
    "01_streaming_events": [
        "Step one is happening\n",
        "\n Ishmael.\n",
        "Step three is happening\n",
        "Final result Workflow complete.\n",
    ],
    "02_streaming_events_and_drawing": [
        "Step one is happening\n",
        "\n Ishmael.\n",
        "Step three is happening\n",
        "Final result Workflow complete.\n",
    ],
    "03_abnormal_ends": [
        "Workflow timed out after 0.1s\n",
        "timed_out ('work',): WorkflowTimeoutError",
        "Workflow was cancelled\n",
        "cancelled (): ",
        "Step 'work' failed after 1 attempts: no such page\n" * 2,
        "failed (): ValueError('no such page')\n",
    ],
    "04_query_engine": ["The author worked on two things: writing, and programming.\n" * 2],
    "05_agent": [
        "[search is called with {'query': 'weather in San Francisco'}]\n",
        "[search found: weather in San Francisco: partly cloudy, 13.9°C (57.0°F)]\n",
        "The current weather in San Francisco is partly cloudy",
    ],
    "06_many_readers": [
        "100 readers, 1 text: Call me Ishmael.",
        "went on: the same text is True\n",
        ": 'Call me Ishmael.' and 164 characters\n",
    ],
    "07_stop_button": ["Call me Ishmael. Some years ago\n", "cancelled after ", "years ago'\n"],
    "08_threads": [" words\n", "completed: 15 words\n"],
    "09_conversation": ["What is my name?\n", "Agent: You are Ada.\n", "4 messages"],
    "10_drawing": ["review.html: ", "agent.html: "],
    "11_query_stream": [
        "The lighthouse on Gull Rock is 38 metres high. To its lamp it is a climb of 196 steps.\n",
        "0.23  The lighthouse on Gull Rock: ",
        "19 tokens: 'The lighthouse on Gu'...\n",
        "- RetrievalStarted\n- SourcesRetrieved\n- LLMCallStarted\n",
        "The query completed.\n",
        "The lighthouse on Gull... cancelled\n",
    ],
    "12_sub_questions_live": [
        "How high is the tower? The tower is 38 metres high and has 196 steps.\n",
        "It is a climb of 196 steps, without a lift. The Kittiwake takes you there, if the wind is "
        "not above force six.\n6 sources\n",
    ],
    "13_chatbot": [
        "[search_archive {'query': 'tides'}]",
        "searching: 3/3",
        "There is a book about tides on shelf 3.\n(completed, stop)\n",
        "[refusal: I cannot tell you that.]\n(completed, refusal)\n",
    ],
    "14_agent_with_query_tool": [
        "[the library is asked: Who was the last keeper of the lighthouse?]\n",
        "[found on the page 'lighthouse']\n",
        "library: The last keeper of the lighthouse was Jorun Aas.",
        "agent: It was Jorun Aas, who left in 1987.\n",
        "completed, after 3 LLM calls\n",
    ],
}
"""What the output of each example contains, in this order."""


TYPED = {"13_chatbot": "What do you know of the tides?\nTell me the harbour code\n"}
"""What somebody types into an example."""


@dataclass(frozen=True)
class Ran:
    """An example that has run.

    Attributes:
        where: the folder that it ran in, which was empty.
        done: its end, and what it has printed.
    """

    where: Path
    done: subprocess.CompletedProcess[str]


Run = Callable[[str], Ran]


@pytest.fixture(scope="module")
def run(python: ReadyPython, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs an example, once, in a process of its own, whose environment is empty."""

    @functools.cache
    def run(name: str) -> Ran:
        where = tmp_path_factory.mktemp(name)
        return Ran(where, python.run(EXAMPLES / f"{name}.py", where, TYPED.get(name, "")))

    return run


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_what_it_is_there_for(name: str, run: Run) -> None:
    """It ends without a complaint, and what it prints has the essential lines, in order."""
    done = run(name).done
    assert (done.returncode, done.stderr) == (0, "")
    rest = done.stdout
    for line in SHOWN[name]:
        _, found, rest = rest.partition(line)
        assert found, f"{line!r} is not in, or not in its place in:\n{done.stdout}"


def test_every_example_is_run() -> None:
    """No example is left out here."""
    assert sorted(SHOWN) == sorted(path.stem for path in EXAMPLES.glob("[0-9]*.py"))


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("02_streaming_events_and_drawing", ["streaming_workflow.html"]),
        ("10_drawing", ["agent.html", "review.html"]),
    ],
)
def test_pictures_are_all_that_is_written(name: str, pictures: list[str], run: Run) -> None:
    """An example that draws leaves its pictures, and nothing else."""
    assert sorted(path.name for path in run(name).where.iterdir()) == pictures


def test_a_key_stops_the_answer_of_the_chatbot(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a story stops the story, and the chatbot goes on."""
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "13_chatbot.py"],
        cwd=tmp_path,
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Write a story\n")
        process.stdin.flush()
        said = ""
        while "wave 3" not in said:
            said += process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        said += process.communicate("What do you know of the tides?\n", timeout=120)[0]
    assert "[librarian -> writer: a story is wanted]" in said
    assert "wave 399" not in said
    _, stopped, rest = said.partition("(cancelled, ")
    assert stopped
    assert "(completed, stop)" in rest
    assert process.returncode == 0
