"""A pytest plugin: what a test module imports as one of core's agents is one of this package's.

    pytest -p swap tests/agent

Core's own code is left alone: what its modules import of each other stays core's, so that
`AgentWorkflow.from_tools_or_functions` of core still builds core's agents. Only what it imports
while it runs is swapped too: the `ReActAgent` of `LLM.predict_and_call`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

AGENTS = "llama_index.core.agent"
"""The package of core's agents."""

NAMES = ("AgentWorkflow", "CodeActAgent", "FunctionAgent", "ReActAgent")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Swaps before the first conftest.py is imported."""
    swap()


def swap() -> list[str]:
    """Put our classes where tests import core's from.

    Returns:
        The swapped names, in full (`llama_index.core.agent.FunctionAgent`), sorted.
    """
    # Ours are made from core's, so they have to be there first.
    ours = importlib.import_module("llama_index_streaming_ext.agents")
    core = importlib.import_module(f"{AGENTS}.workflow")
    classes = {name: getattr(core, name) for name in NAMES}
    places = [
        (module, name)
        for module in _modules()
        for name, agent in classes.items()
        if vars(module).get(name) is agent and _is_imported_from(module, agent)
    ]
    for module, name in places:
        setattr(module, name, getattr(ours, name))
    return sorted(f"{module.__name__}.{name}" for module, name in places)


def _modules() -> list[ModuleType]:
    """The modules of core's agents, as far as they are imported."""
    found = sorted(sys.modules.items())
    return [module for name, module in found if f"{name}.".startswith(f"{AGENTS}.")]


def _is_imported_from(module: ModuleType, agent: type) -> bool:
    """Whether tests import it from there: from a package, or from where it is defined."""
    return hasattr(module, "__path__") or module.__name__ == agent.__module__
