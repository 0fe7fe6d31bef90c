"""The package as a whole: what importing it costs, and which names it has."""

from __future__ import annotations

from types import ModuleType

import pytest
from llama_index.core.agent import workflow as core_agents
from workflows import events as core_events

import llama_index_streaming_ext as package
from llama_index_streaming_ext import errors

CORE_AGENT_EVENTS = [
    "AgentInput",
    "AgentOutput",
    "AgentSetup",
    "AgentStream",
    "AgentStreamStructuredOutput",
    "ToolCall",
    "ToolCallResult",
]
CORE_WORKFLOW_EVENTS = [
    "Event",
    "HumanResponseEvent",
    "InputRequiredEvent",
    "StartEvent",
    "StopEvent",
    "WorkflowCancelledEvent",
    "WorkflowFailedEvent",
    "WorkflowTimedOutEvent",
]


def test_the_names_are_sorted() -> None:
    """`__all__` is sorted, so that a diff of it is readable."""
    assert list(package.__all__) == sorted(package.__all__)


def test_every_name_can_be_imported() -> None:
    """Every public name is there, and is what `dir()` says."""
    missing = [name for name in package.__all__ if getattr(package, name, None) is None]
    assert (missing, set(package.__all__) - set(dir(package))) == ([], set())


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that the package does not have fails as in every module."""
    with pytest.raises(AttributeError, match="no attribute 'AgentStreem'"):
        package.AgentStreem  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def others_than(core: ModuleType, names: list[str]) -> list[str]:
    """Return the names that are not the same object in the package and in a module of core's."""
    return [name for name in names if getattr(package, name) is not getattr(core, name)]


def test_agent_events_are_cores_own() -> None:
    """The agent events are core's classes, by identity."""
    others = [
        name
        for name in CORE_AGENT_EVENTS
        if getattr(package, name) is not getattr(core_agents, name)
    ]
    assert others == []


def test_workflow_events_are_cores_own() -> None:
    """The workflow events are core's classes, by identity."""
    others = [
        name
        for name in CORE_WORKFLOW_EVENTS
        if getattr(package, name) is not getattr(core_events, name)
    ]
    assert others == []


def test_every_error_is_a_streaming_error() -> None:
    """One `except StreamingError` catches all that the package raises on its own account."""
    leaves = [value for value in vars(errors).values() if isinstance(value, type)]
    assert leaves
    assert all(issubclass(leaf, errors.StreamingError) for leaf in leaves)


def test_the_tree_of_errors_is_complete() -> None:
    """The tree in the docstring of `errors` names every class."""
    assert errors.__doc__ is not None
    for name, value in vars(errors).items():
        if isinstance(value, type):
            assert name in errors.__doc__


def test_a_missing_dependency_says_its_pip_line() -> None:
    """An optional dependency that is missing says how to get it."""
    error = errors.MissingDependency("Redis support", "redis")
    assert str(error).endswith("pip install 'llama-index-streaming-ext[redis]'")
    assert isinstance(error, ImportError)
