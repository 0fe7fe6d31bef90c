"""Count the lines of code of the package: no blank lines, no comments, no docstrings.

Run it with `python -m tests.support.code_lines [FOLDER]`.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def code_lines(source: str) -> int:
    """Return how many lines of a module hold code.

    Args:
        source: the text of the module.
    """
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - set(_docstring_lines(ast.parse(source))))


def _docstring_lines(tree: ast.AST) -> Iterator[int]:
    """Yield the lines of strings that stand alone as a statement."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def main(package: Path) -> None:
    """Print the lines of code of each room of a package, and the sums."""
    rooms: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        rooms[room] = rooms.get(room, 0) + code_lines(path.read_text(encoding="utf-8"))
    for room, lines in rooms.items():
        print(f"{lines:6,}  {room}")
    print(f"{sum(rooms.values()):6,}  in all")
    print(f"{sum(rooms.values()) - rooms.get('testing', 0):6,}  outside of testing")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "llama_index_streaming_ext")
