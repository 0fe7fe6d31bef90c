"""What a class of LLMs is made of, which wrapping one relies on."""

from __future__ import annotations

import copy
import gc
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, ClassVar, cast

import pytest
from llama_index.core.llms import LLM, MockLLM
from llama_index.llms.openai import OpenAIResponses
from llama_index_instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR
from pydantic import BaseModel, ConfigDict, TypeAdapter


class Sub(MockLLM):
    """An ordinary subclass, with an override."""

    def chat(self, messages: Any, **kwargs: Any) -> Any:
        """As it was."""
        return super().chat(messages, **kwargs)


class Checked(MockLLM):
    """Validates what is assigned to it."""

    model_config = ConfigDict(validate_assignment=True)


class Hooked(MockLLM):
    """Counts its subclasses."""

    hooks: ClassVar[list[str]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.hooks.append("python")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        cls.hooks.append("pydantic")


def test_slots_of_a_model() -> None:
    """All state of an LLM is in `__dict__` and pydantic's three slots."""
    slots = {name for cls in LLM.__mro__ for name in getattr(cls, "__slots__", ())}
    assert slots == {
        "__dict__",
        "__pydantic_extra__",
        "__pydantic_fields_set__",
        "__pydantic_private__",
    }


def test_descriptors_of_the_slots() -> None:
    """`BaseModel` has a descriptor for each of them, by which it can be read past the class."""
    found = {name: vars(BaseModel)[name] for name in cast(list[str], BaseModel.__slots__)}
    assert isinstance(found.pop("__dict__"), GetSetDescriptorType)
    assert len(found) == 3
    assert all(isinstance(slot, MemberDescriptorType) for slot in found.values())


def test_validated_assignment_replaces_the_dict() -> None:
    """An LLM that validates assignments gets another `__dict__` with each: it cannot be shared."""
    llm = Checked(max_tokens=None)
    before = vars(llm)
    llm.max_tokens = 3
    assert vars(llm) is not before


def test_plain_assignment_keeps_the_dict() -> None:
    """Any other LLM keeps its `__dict__`."""
    llm = MockLLM()
    before = vars(llm)
    llm.max_tokens = 3
    assert vars(llm) is before


def test_init_replaces_the_dict() -> None:
    """An LLM that is initialised again gets another `__dict__`, too."""
    llm = MockLLM()
    before = vars(llm)
    cast(Any, llm).__init__(max_tokens=3)
    assert vars(llm) is not before


def test_overrides_are_decorated() -> None:
    """Core decorates what an ordinary subclass overrides: a delegating one would span twice."""
    assert hasattr(vars(Sub)["chat"], DISPATCHER_SPAN_DECORATED_ATTR)


def test_subclassing_runs_hooks() -> None:
    """An ordinary subclass runs the hooks of the user's class."""
    type("Another", (Hooked,), {"__module__": __name__})
    assert Hooked.hooks == ["python", "pydantic"]


def test_equality_compares_classes() -> None:
    """An instance of a subclass never equals one of the class, whatever it holds."""
    llm = MockLLM()
    sub = Sub(max_tokens=None)
    vars(sub).update(vars(llm))
    assert dict(sub) == dict(llm)
    assert sub != llm


@pytest.mark.parametrize("asked", [LLM, MockLLM])
def test_instances_are_kept(asked: type) -> None:
    """Validation keeps an instance of a subclass as it is."""
    llm = Sub(max_tokens=None)
    assert TypeAdapter[Any](asked).validate_python(llm) is llm


def test_copies_skip_init() -> None:
    """Pydantic copies by `type(llm).__new__`, without arguments and without `__init__`."""
    made: list[tuple[Any, ...]] = []

    class Noted(MockLLM):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            made.append(args)
            return super().__new__(cls)

        def __init__(self, name: str) -> None:
            super().__init__()

    copy.copy(Noted("x"))
    assert made == [("x",), ()]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_responses_cannot_be_copied_deeply() -> None:
    """An `OpenAIResponses` holds its HTTP client, so no deep copy of it can be made."""
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.deepcopy(OpenAIResponses(api_key="x"))
    gc.collect()  # the half-made client complains when it goes: let it do so here
