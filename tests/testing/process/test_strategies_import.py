"""The strategies import hypothesis when they are used."""

from __future__ import annotations

import subprocess
import sys


def test_hypothesis_is_imported_late() -> None:
    """The names can be imported without it."""
    code = (
        "import sys, llama_index_streaming_ext.testing as t;"
        "t.scripts, t.chunkings, t.check_stream, t.record;"
        "sys.exit('hypothesis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
