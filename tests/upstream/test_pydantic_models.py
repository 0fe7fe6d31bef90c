"""Canaries of pydantic's part in a model: `upstream/pydantic_models.py` relies on them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, PrivateAttr

from llama_index_streaming_ext.upstream.pydantic_models import (
    MODEL_DICT,
    STATE_SLOTS,
    Quiet,
    quiet_subclass,
    slots_of,
)

made: list[str] = []


class Model(BaseModel):
    """A model of a user, whose subclasses are registered."""

    field: int = 1
    _private: int = PrivateAttr(default=2)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the subclass."""
        super().__init_subclass__(**kwargs)
        made.append(cls.__name__)


def test_a_models_fields_are_in_its_dict() -> None:
    """The `__dict__` of every model is found by the descriptor of `BaseModel`."""
    model = Model(field=3)
    assert MODEL_DICT.__get__(model) is model.__dict__
    assert model.__dict__ == {"field": 3}


def test_a_models_other_state_is_in_three_slots() -> None:
    """Besides `__dict__` a model has three slots: private, extra and set fields."""
    assert set(slots_of(Model)) == set(STATE_SLOTS)
    private = slots_of(Model)["__pydantic_private__"]
    assert private.__get__(Model()) == {"_private": 2}


def test_a_quiet_subclass_runs_no_hook() -> None:
    """A quiet subclass is a model with the fields of its base, and runs no hook of it."""
    before = list(made)
    quiet: Any = quiet_subclass(Model, Quiet, slots=("__own__",))
    assert made == before
    assert quiet.model_fields is Model.model_fields
    assert quiet.__pydantic_validator__ is Model.__pydantic_validator__
    assert (quiet.__name__, quiet.__module__) == ("Model", __name__)
    assert set(slots_of(quiet)) == {*STATE_SLOTS, "__own__"}


def test_a_plain_class_has_a_quiet_subclass() -> None:
    """A class that is no model is derived from in the same way."""

    class Plain:
        pass

    assert issubclass(quiet_subclass(Plain, Quiet), Plain)
