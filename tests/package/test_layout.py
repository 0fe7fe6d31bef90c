"""The files of the package: no circles, and nothing but packages under the root."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import llama_index_streaming_ext as package

ROOT = Path(package.__file__).parent
FILES = {
    "__init__.py",
    "__init__.pyi",
    "__main__.py",
    "cli.py",
    "errors.py",
    "py.typed",
}


def test_no_file_is_part_of_a_circle_of_imports() -> None:
    """No file imports itself by way of others, imports for type checkers included."""
    graph = grimp.build_graph(package.__name__, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert f"{package.__name__}.run.run" in imports
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_the_root_holds_packages_and_a_few_files() -> None:
    """A file of the root is one that everybody needs to find; all others are in packages."""
    entries = [entry for entry in ROOT.iterdir() if entry.name != "__pycache__"]
    assert {entry.name for entry in entries if entry.is_file()} == FILES
    not_packages = [
        entry.name
        for entry in entries
        if entry.is_dir() and not (entry / "__init__.py").is_file() and any(entry.glob("*.py"))
    ]
    assert not_packages == []
