"""The command line, but for what its commands do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llama_index_streaming_ext import __version__
from llama_index_streaming_ext.cli import main


def test_no_arguments_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command it says which there are, and that is no failure."""
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version."""
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"llama-index-streaming-ext {__version__}\n"


def test_an_unknown_command_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """It exits with 2, and names the commands there are."""
    with pytest.raises(SystemExit) as exit_:
        main(["dmeo"])
    assert exit_.value.code == 2
    assert "'demo'" in capsys.readouterr().err


def test_the_package_runs_as_a_module() -> None:
    """`python -m llama_index_streaming_ext` is the same command line."""
    command = [sys.executable, "-m", "llama_index_streaming_ext", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"llama-index-streaming-ext {__version__}\n"


def test_the_help_does_not_wait_for_llama_index() -> None:
    """LlamaIndex, which takes seconds to import, is imported by the commands that need it."""
    program = (
        "import sys\n"
        "from llama_index_streaming_ext.cli import main\n"
        "main([])\n"
        "sys.exit(any(name.split('.')[0] == 'llama_index' for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
