"""Private names of LlamaIndex and of the OpenAI SDK, which only `upstream/` may spell."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import llama_index_streaming_ext as package

ROOT = Path(package.__file__).parent
THEIRS = ("llama_index.core", "workflows", "openai", "llama_index.llms.openai")
# Of every named tuple.
PUBLIC = {"_replace", "_asdict", "_fields", "_make"}
PRIVATE = re.compile(r"_[A-Za-z]\w*")
DEFINED = re.compile(
    r"(?:\bdef |\bclass |\bself\.|\bcls\.)(_[a-zA-Z]\w*)|^ *(_[a-z]\w*) *[:=]", re.M
)


@functools.cache
def theirs() -> set[str]:
    """Return the private names that the libraries define."""
    found: set[str] = set()
    for name in THEIRS:
        spec = find_spec(name)
        for folder in (spec and spec.submodule_search_locations) or ():
            for file in Path(folder).rglob("*.py"):
                for groups in DEFINED.findall(file.read_text(encoding="utf-8")):
                    found.update(groups)
    return found - PUBLIC - {""}


def is_own(node: ast.expr) -> bool:
    """Return True for `self`, `cls` and `super()`."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def defined_here(tree: ast.Module) -> set[str]:
    """Return the private names that a file itself defines, overrides of hooks left out."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if is_own(node.value):
                found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__slots__" for target in node.targets
        ):
            found.update(strings(node.value))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
    methods = {
        method.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return found | (methods - theirs())


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield the strings in a piece of code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def spelled(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the private names that a file reads of something else, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not is_own(node.value):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.lineno, node.arg
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(THEIRS):
            yield from ((node.lineno, name.name) for name in node.names)


def private_names(source: str) -> list[tuple[int, str]]:
    """Return the libraries' private names that a source spells, each with its line."""
    tree = ast.parse(source)
    known = theirs() - defined_here(tree)
    return sorted(
        (line, name) for line, name in spelled(tree) if PRIVATE.fullmatch(name) and name in known
    )


FILES = sorted(
    file.relative_to(ROOT).as_posix()
    for file in ROOT.rglob("*.py")
    if file.relative_to(ROOT).parts[0] != "upstream"
)


@pytest.mark.parametrize("part", sorted({name.partition("/")[0] for name in FILES}))
def test_private_names_stand_in_upstream_only(part: str) -> None:
    """No file outside `upstream/` reads a private name of the libraries, or spells one."""
    files = [name for name in FILES if name.partition("/")[0] == part]
    found = {name: private_names((ROOT / name).read_text(encoding="utf-8")) for name in files}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "engine._retriever",
        "engine._query(bundle)",
        "state_of(engine)['_query_engine']",
        "getattr(engine, '_llm')",
        "update(_query_engine=engine)",
        "from llama_index.core.base.response.schema import _get_client",
        "class Ours:\n    async def _aquery(self): return await self.inner._aquery()",
    ],
)
def test_a_private_name_is_found(source: str) -> None:
    """Reading, importing, or writing a private name as a string are all found."""
    assert len(private_names(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "class Ours:\n    def _query(self): return super()._query()",
        "class Ours:\n    def __init__(self): self._llm = 1\ndef f(ours): return ours._llm",
        "class Ours:\n    __slots__ = ('_llm',)",
        "row._replace(index=1)",
    ],
)
def test_a_name_of_our_own_is_allowed(source: str) -> None:
    """Overrides of hooks and names that the file defines itself are fine."""
    assert private_names(source) == []
