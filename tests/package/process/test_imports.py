"""The cost of importing the package."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("foreign", ["llama_index.core", "workflows", "pydantic", "openai"])
def test_importing_the_package_imports_none_of_llama_index(foreign: str) -> None:
    """`import llama_index_streaming_ext` is free: everything is imported when it is used."""
    assert foreign not in modules_after("import llama_index_streaming_ext")
