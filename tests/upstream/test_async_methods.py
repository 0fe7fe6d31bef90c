"""The async methods of core's parts that are sync ones in disguise."""

from __future__ import annotations

import dis
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import llama_index.core as core
import pytest
from llama_index.core.query_engine import CustomQueryEngine

from llama_index_streaming_ext.upstream.async_methods import NEVER_WAIT, SYNC_INSIDE, WORK


@pytest.fixture(scope="module", autouse=True)
def all_of_core() -> None:
    """Import all of core, but for what needs packages that are not here."""
    for module in pkgutil.walk_packages(core.__path__, "llama_index.core."):
        try:
            importlib.import_module(module.name)
        except ImportError:
            continue


def _definers(cls: type, name: str) -> Iterator[type]:
    """Yield the classes of core that define a method, from a base on."""
    if name in vars(cls) and cls.__module__.startswith("llama_index.core."):
        yield cls
    for derived in cls.__subclasses__():
        yield from _definers(derived, name)


def _waits(method: Callable[..., Any]) -> bool:
    names = {step.opname for step in dis.get_instructions(inspect.unwrap(method))}
    return bool(names & {"GET_AWAITABLE", "GET_ANEXT"})


@pytest.mark.parametrize(("base", "name"), WORK, ids=[name for _, name in WORK])
def test_methods_that_never_wait_are_in_the_table(base: type, name: str) -> None:
    """The table has the classes of core whose async method has no `await`, and no others."""
    # Its own default is called in a thread, and its `_aquery` calls that method.
    found = set(_definers(base, name)) - {CustomQueryEngine}
    assert {cls for cls in found if not _waits(vars(cls)[name])} == found & NEVER_WAIT


@pytest.mark.parametrize("cls", sorted(SYNC_INSIDE, key=str), ids=lambda cls: cls.__name__)
def test_engines_that_are_sync_inside(cls: type) -> None:
    """Their async method calls a sync method that asks engines or LLMs."""
    source = inspect.getsource(inspect.unwrap(vars(cls)["_aquery"]))
    calls = ("self._query(", "self._query_multistep(", "self._query_transform.run(")
    assert any(call in source for call in calls)
