"""Fetches core's own tests, at one published revision, into a folder outside of this repository.

    python -m tests.upstream.core_tests.fetch [folder]

It needs `git`, and takes the folders it names, nothing else. They are core's: MIT, never committed
here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = "https://github.com/run-llama/llama_index"

RELEASE = "0.14.23"

REVISION = "520aa4ec48c084c7d0fdf93cb22d567046118ad2"
"""The commit `Release 0.14.23 (#22131)` of 2026-06-24."""

CORE = "llama-index-core"
"""The folder of core in its repository; its tests are run from there, as `tests/...`."""

AGENTS = "tests/agent"

FOLDERS = (
    AGENTS,
    "tests/chat_engine",
    "tests/indices",
    "tests/query_engine",
    "tests/response_synthesizers",
    # What the tests above and their conftest.py import.
    "tests/mock_utils",
)

FOLDER_VARIABLE = "LLAMA_INDEX_CORE_TESTS"
"""The environment variable that names the folder, if it is not the default one."""

COMMAND = "python -m tests.upstream.core_tests.fetch"


def folder_of_tests() -> Path:
    """The folder the tests are fetched into if none is named: one of the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    home = Path(cache) if cache else Path.home() / ".cache"
    return home / "llama-index-streaming-ext" / f"core-tests-{RELEASE}"


def is_fetched(folder: Path, tests: Sequence[str] = (AGENTS,)) -> bool:
    """Whether these tests of core's are in a folder."""
    return all((folder / CORE / one).exists() for one in tests)


def fetch(folder: Path, repository: str = REPOSITORY, revision: str = REVISION) -> None:
    """Fetch the tests, and their files only. Fetching again is harmless.

    Args:
        folder: where to; it is made if it is not there.
        repository: the URL of the git repository.
        revision: the full hash of the commit.

    Raises:
        subprocess.CalledProcessError: git failed; it has said why on stderr.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "--quiet")
    _git(folder, "config", "remote.origin.url", repository)
    _git(folder, "sparse-checkout", "set", *(f"{CORE}/{name}" for name in FOLDERS))
    _git(folder, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", revision)
    _git(folder, "checkout", "--quiet", "--detach", revision)


def _git(folder: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(folder), *args], check=True)


def main(argv: list[str] | None = None) -> None:
    """Fetch them from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=folder_of_tests())
    folder: Path = parser.parse_args(argv).folder
    try:
        fetch(folder)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    sys.stdout.write(f"Core's tests at {RELEASE} are in {folder}.\n")


if __name__ == "__main__":
    main()
