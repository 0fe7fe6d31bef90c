"""The snippets of the README and the guides, each run as a file that is pasted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_index_streaming_ext.testing import FakeOpenAI, Request, Turn, text, tool_call
from tests.support.paths import EXAMPLES, ROOT

PAGES = [ROOT / "README.md", *sorted((EXAMPLES / "guides").glob("*.md"))]


BLOCK = re.compile(r"(<!-- pytest -->\n)?```python\n(.*?)```", re.DOTALL)


def blocks() -> Iterator[tuple[str, str, bool]]:
    """Yield a name, the source, and whether it is for pytest, of each Python block of all pages."""
    for page in PAGES:
        found = BLOCK.finditer(page.read_text(encoding="utf-8"))
        for number, block in enumerate(found):
            yield f"{page.stem}_{number}", block[2], block[1] is not None


PROGRAMS = {name: source for name, source, is_test in blocks() if not is_test}
TESTS = {name: source for name, source, is_test in blocks() if is_test}


def turn_of(request: Request) -> Turn:
    """Return a call of the first tool, and after its result an answer."""
    if request.tool_names and request.messages[-1]["role"] == "user":
        return Turn(tool_call(request.tool_names[0], city="Paris"))
    return Turn(text("It is", " sunny."))


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A fake of OpenAI's API, by its URL."""
    with FakeOpenAI(turn_of).serve() as url:
        yield url


def run(folder: Path, provider: str, *arguments: str) -> str:
    """Run Python in a folder, with a provider in its environment, and return what it prints."""
    env = {
        **os.environ,
        "OPENAI_API_KEY": "fake-key",
        "OPENAI_API_BASE": provider,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_snippet_runs(name: str, provider: str, tmp_path: Path) -> None:
    """A snippet that is pasted into a file runs without an error."""
    (tmp_path / "snippet.py").write_text(PROGRAMS[name], encoding="utf-8")
    run(tmp_path, provider, "snippet.py")


REAL = 'llm = OpenAI(model="gpt-4o-mini")  # needs OPENAI_API_KEY\n'


@pytest.mark.parametrize("llm", ["real", "fake"])
def test_the_readmes_script_says_the_same_with_the_real_class_and_with_the_fake(
    llm: str, provider: str, tmp_path: Path
) -> None:
    """The first script runs with `OpenAI`, and with the fake after one line of it is swapped."""
    script = PROGRAMS["README_0"]
    (fake,) = re.findall(r"^# (llm = .*\n)", script, re.MULTILINE)
    assert script.count(REAL) == 1
    if llm == "fake":
        script, provider = script.replace(REAL, fake), "http://127.0.0.1:9/v1"
    (tmp_path / "snippet.py").write_text(script, encoding="utf-8")
    said = run(tmp_path, provider, "snippet.py")
    assert said == "[weather {'city': 'Paris'}]\nIt is sunny.\ncompleted, stop\n"


@pytest.mark.parametrize("name", TESTS)
def test_a_snippet_of_tests_passes(name: str, provider: str, tmp_path: Path) -> None:
    """Tests that are pasted into a file pass: when they record a provider, and on the recording."""
    (tmp_path / "test_app.py").write_text(TESTS[name], encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py")
    count = len(re.findall("^async def test_", TESTS[name], re.MULTILINE))
    assert f"{count} passed" in run(tmp_path, provider, *command, "--llm-record=new")
    assert f"{count} passed" in run(tmp_path, "http://127.0.0.1:9/v1", *command)


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all snippets as files."""
    folder = tmp_path_factory.mktemp("pasted")
    for name, source in (PROGRAMS | TESTS).items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return folder


def test_pyright_accepts_every_snippet(pasted: Path) -> None:
    """Pyright's basic mode, its default for users, finds no error in a snippet."""
    config = {"typeCheckingMode": "basic", "pythonVersion": "3.11", "extraPaths": [str(ROOT)]}
    (pasted / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    names = [path.name for path in pasted.glob("*.py")]
    found = check_types(pasted, "pyright", "--outputjson", "--pythonpath", sys.executable)
    summary = json.loads(found[found.index("{") :])["summary"]
    assert summary["filesAnalyzed"] == len(names), found
    assert summary["errorCount"] == summary["warningCount"] == 0, found


def test_mypy_accepts_every_snippet(pasted: Path) -> None:
    """Mypy with its defaults finds no error in a snippet."""
    names = sorted(path.name for path in pasted.glob("*.py"))
    found = check_types(pasted, "mypy", "--follow-imports=silent", *names)
    assert f"no issues found in {len(names)} source files" in found, found


def check_types(folder: Path, *command: str) -> str:
    """Run a type checker in a folder, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_every_task_has_a_snippet() -> None:
    """Each task of a guide, a heading of the second level, has a snippet or a table."""
    for page in PAGES[1:]:
        tasks = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for task in tasks if page.stem != "limits" else ():
            assert "```python" in task or "\n|" in task or task.startswith("The script"), task


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    """Each relative link of a page names a file or folder that exists."""
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "llama_index_streaming_ext"


def find(path: str) -> Path:
    """Return a file or folder that the page names, in the package or in the checkout."""
    inside = PACKAGE / path
    return inside if inside.exists() else ROOT / path


def test_paths_of_the_architecture_exist() -> None:
    """Each path that ARCHITECTURE.md names exists."""
    paths = re.findall(r"`([\w./]+(?:\.(?:py|md|toml)|/))`", ARCHITECTURE)
    assert len(paths) > 50
    assert [path for path in paths if not find(path).exists()] == []


def test_names_of_the_architecture_stand_in_their_files() -> None:
    """Each file that ARCHITECTURE.md gives with a name in brackets defines that name."""
    named = re.findall(r"`([\w./]+\.py)`\s+\(`([\w.]+)`", ARCHITECTURE)
    assert len(named) > 20
    missing: list[tuple[str, str]] = []
    for path, name in named:
        source = find(path).read_text(encoding="utf-8")
        parts = name.split(".")
        if not all(
            re.search(rf"^ *(async def|def|class) {part}\b", source, re.M) for part in parts
        ):
            missing.append((path, name))
    assert missing == []


def test_each_room_and_each_seam_is_in_the_architecture() -> None:
    """ARCHITECTURE.md has each package of the root, and each file of `upstream/` with a canary."""
    rooms = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    assert [room for room in rooms if f"`{room}/`" not in ARCHITECTURE] == []
    seams = {path.name for path in (PACKAGE / "upstream").glob("*.py")} - {"__init__.py"}
    rows = re.findall(r"^\| `upstream/(\w+\.py)` .*`tests/upstream/\w+\.py`", ARCHITECTURE, re.M)
    assert set(rows) == seams


def test_the_readme_is_short() -> None:
    """The README has fewer than 250 lines."""
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) < 250
