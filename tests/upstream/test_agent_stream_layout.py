"""How an `AgentStream` is laid out, which the log relies on to make them cheaply."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from llama_index_streaming_ext import AgentStream
from llama_index_streaming_ext.stream.compaction import Compactor

FIELDS: list[dict[str, Any]] = [
    {},
    {"thinking_delta": "so"},
    {"raw": {"n": 1}},
    {"tool_calls": [{"tool_id": "1", "tool_name": "w", "tool_kwargs": {"a": 1}}]},
    {"score": 0.5},
]
cases = pytest.mark.parametrize("fields", FIELDS, ids=["plain", "thinking", "raw", "tools", "data"])


def real(fields: dict[str, Any]) -> AgentStream:
    """An instance as core makes it."""
    given: dict[str, Any] = {"tool_calls": [], "raw": None, "thinking_delta": None, **fields}
    return AgentStream(delta="a", response="a", current_agent_name="agent", **given)


def rebuilt(fields: dict[str, Any]) -> AgentStream:
    """The instance that comes out of the log."""
    event = Compactor(keep_raw=True).token(real(fields), 0.0).event()
    assert type(event) is AgentStream
    return event


@cases
@pytest.mark.parametrize(
    "slot", ["__dict__", "__pydantic_private__", "__pydantic_extra__", "__pydantic_fields_set__"]
)
def test_layout(fields: dict[str, Any], slot: str) -> None:
    """Each of pydantic's slots of an instance holds what the log puts there, in that order."""
    ours, theirs = getattr(rebuilt(fields), slot), getattr(real(fields), slot)
    assert ours == theirs
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)  # pyright: ignore[reportUnknownArgumentType] # any slot


def test_no_other_slots() -> None:
    """An instance has no slot that the log does not know."""
    slots = {name for cls in AgentStream.__mro__ for name in getattr(cls, "__slots__", ())}
    assert slots == {
        "__dict__",
        "__pydantic_extra__",
        "__pydantic_fields_set__",
        "__pydantic_private__",
    }


def test_private_attributes() -> None:
    """An event has one private attribute, which holds its dynamic ones."""
    assert list(AgentStream.__private_attributes__) == ["_data"]


def test_nothing_runs_when_one_is_made() -> None:
    """The class has no validators and no hook that the log would have to run."""
    decorators = AgentStream.__pydantic_decorators__
    assert not decorators.field_validators
    assert not decorators.model_validators
    assert list(AgentStream.__private_attributes__) == ["_data"]


@cases
def test_equal(fields: dict[str, Any]) -> None:
    """The two are equal, in both directions."""
    assert rebuilt(fields) == real(fields)
    assert real(fields) == rebuilt(fields)


@cases
def test_dumps(fields: dict[str, Any]) -> None:
    """They dump to the same values and to the same JSON."""
    assert rebuilt(fields).model_dump() == real(fields).model_dump()
    assert json.loads(rebuilt(fields).model_dump_json()) == json.loads(
        real(fields).model_dump_json()
    )


@cases
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, AgentStream.model_copy])
def test_copies(fields: dict[str, Any], copied: Any) -> None:
    """A copy of one out of the log equals the real one."""
    assert copied(rebuilt(fields)) == real(fields)


@cases
def test_pickle(fields: dict[str, Any]) -> None:
    """One out of the log can be pickled."""
    assert pickle.loads(pickle.dumps(rebuilt(fields))) == real(fields)


@cases
def test_attributes_can_be_set(fields: dict[str, Any]) -> None:
    """Fields and dynamic attributes of one out of the log can be set."""
    event = rebuilt(fields)
    event.delta, event.late = "b", 1
    assert (event.delta, event.get("late")) == ("b", 1)
