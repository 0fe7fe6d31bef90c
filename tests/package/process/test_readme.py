"""The snippets of the README and the guides, each run as a file that is pasted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_index_streaming_ext.testing import FakeOpenAI, Turn, text
from tests.support.paths import EXAMPLES, ROOT

PAGES = [ROOT / "README.md", *sorted((EXAMPLES / "guides").glob("*.md"))]


def snippets() -> dict[str, str]:
    """Return the complete Python blocks of all pages, by page and number."""
    return {
        f"{page.stem}_{number}": source
        for page in PAGES
        for number, source in enumerate(
            re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        )
    }


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A fake of OpenAI's API, by its URL."""
    with FakeOpenAI(lambda _: Turn(text("It is", " sunny."))).serve() as url:
        yield url


@pytest.mark.parametrize("name", snippets())
def test_a_snippet_runs(name: str, provider: str, tmp_path: Path) -> None:
    """A snippet that is pasted into a file runs without an error."""
    program = tmp_path / "snippet.py"
    program.write_text(snippets()[name], encoding="utf-8")
    env = {
        **os.environ,
        "OPENAI_API_KEY": "fake-key",
        "OPENAI_API_BASE": provider,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    """Each relative link of a page names a file or folder that exists."""
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_paths_of_the_architecture_exist() -> None:
    """Each path that ARCHITECTURE.md names exists."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = ROOT / "llama_index_streaming_ext"
    for path in re.findall(r"`([\w./]+(?:\.py|/))`", page):
        assert (package / path).exists() or (ROOT / path).exists(), path


def test_the_readme_is_short() -> None:
    """The README has fewer than 250 lines."""
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) < 250
