"""The README's snippets, run one after the other as a reader would."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

README = ROOT / "README.md"


def snippets() -> list[str]:
    """The Python blocks of the README."""
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


async def test_the_snippets_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every Python block of the README runs, in the names that the blocks before it have left."""
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("readme_snippets")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names: dict[str, Any] = vars(module)
    for number, source in enumerate(snippets(), 1):
        code = compile(source, f"README.md, block {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
    assert "It is sunny in Paris." in capsys.readouterr().out
    assert (tmp_path / "crunch.html").exists()


def test_every_heading_with_a_task_has_a_snippet() -> None:
    """The README shows code for each of the tasks it names."""
    assert len(snippets()) >= 9
