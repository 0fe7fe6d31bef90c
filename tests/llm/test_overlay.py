"""A wrapped LLM is what it was, and shares all it has with what it wraps."""

from __future__ import annotations

import gc
import inspect
import typing
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import pytest
from llama_index.core.llms import LLM, MockLLM
from pydantic import BaseModel, ValidationError

from llama_index_streaming_ext.llm.overlay import inner_of, options_of
from tests.support.llm.wrapped_llms import (
    CHATS,
    HI,
    MAKERS,
    Checked,
    Echo,
    Face,
    Frozen,
    Mine,
    Past,
    class_of,
    wrapped,
)
from tests.support.looks import check_all


@pytest.fixture(params=MAKERS)
def llm(request: pytest.FixtureRequest) -> LLM:
    """One LLM of each kind."""
    return MAKERS[request.param]()


def mine() -> tuple[Any, Any]:
    """A wrapper and its inner, loosely typed."""
    inner = Mine(api_key="x")
    return wrapped(inner), inner


def checked() -> tuple[Any, Any]:
    """The same, of the class that validates assignments."""
    inner = Checked()
    return wrapped(inner), inner


# -- it is what it was ----------------------------------------------------------------------


def test_isinstance(llm: LLM) -> None:
    """It is an instance of the inner's class, and of the face."""
    w = wrapped(llm)
    assert isinstance(w, class_of(llm))
    assert isinstance(w, Face)


SHOWN: list[Callable[[Any], Any]] = [
    lambda w: class_of(w).__name__,
    lambda w: class_of(w).__qualname__,
    lambda w: class_of(w).__module__,
    lambda w: class_of(w).__doc__,
    repr,
    str,
    list,
    lambda w: w.class_name(),
    lambda w: w.metadata,
    lambda w: w.to_dict(),
    lambda w: w.model_dump(),
    lambda w: w.model_dump(mode="json"),
    lambda w: w.to_json(),
    lambda w: getattr(w, "to_payload", w.to_dict)(),  # the oldest core has no payload
    lambda w: w.model_fields_set,
    lambda w: inspect.signature(class_of(w)),
    lambda w: typing.get_type_hints(class_of(w)),
    lambda w: class_of(w).model_fields,
    lambda w: class_of(w).model_config,
    lambda w: class_of(w).__pydantic_extra__,
]


def test_looks(llm: LLM) -> None:
    """It shows what the inner shows, and its class goes by the name of the inner's class."""

    def check(shown: Callable[[Any], Any]) -> None:
        assert shown(wrapped(llm)) == shown(llm)

    check_all([(f"SHOWN[{n}]", partial(check, shown)) for n, shown in enumerate(SHOWN)])


def test_equal(llm: LLM) -> None:
    """It equals its inner, from either side, and other wrappers of it."""
    w = wrapped(llm)
    assert w == llm
    assert llm == w
    assert (w != llm, llm != w) == (False, False)
    assert w == wrapped(llm, "other")


def test_not_equal() -> None:
    """It does not equal what its inner does not equal."""
    w, other = wrapped(MockLLM(max_tokens=1)), MockLLM(max_tokens=2)
    assert w != other
    assert other != w
    assert w != wrapped(other)
    assert w != 1


def test_hash() -> None:
    """It hashes as its inner."""
    assert hash(wrapped(Frozen())) == hash(Frozen())


def test_not_hashable() -> None:
    """It cannot be hashed where the inner cannot."""
    w = wrapped(MockLLM())
    with pytest.raises(TypeError, match="unhashable type: 'MockLLM'"):
        hash(w)
    assert not isinstance(w, Hashable)


# -- one state ------------------------------------------------------------------------------

SLOTS: list[str] = sorted(cast(Any, BaseModel).__slots__)
NAMES = ["extra", "_private", "_slot", "_shadowed", "doubled", "callback_manager"]


def test_set_on_inner() -> None:
    """What is set on the inner is read on the wrapper."""

    def check(name: str) -> None:
        w, inner = mine()
        setattr(inner, name, 6)
        assert getattr(w, name) == 6

    check_all([(name, partial(check, name)) for name in NAMES])


def test_set_on_wrapper() -> None:
    """What is set on the wrapper is read on the inner."""

    def check(name: str) -> None:
        w, inner = mine()
        setattr(w, name, 6)
        assert getattr(inner, name) == 6

    check_all([(name, partial(check, name)) for name in NAMES])


def test_set_past_pydantic() -> None:
    """Set by `object.__setattr__`, it is shared, too."""

    def check(name: str) -> None:
        w, inner = mine()
        object.__setattr__(w, name, 6)
        assert object.__getattribute__(inner, name) == 6

    check_all([(name, partial(check, name)) for name in NAMES[1:4]])


def test_deleted() -> None:
    """What is deleted on the wrapper is gone from the inner."""

    def check(name: str) -> None:
        w, inner = mine()
        setattr(inner, name, 6)
        delattr(w, name)
        assert getattr(inner, name, "class") == "class"

    check_all([(name, partial(check, name)) for name in NAMES[1:4]])


def test_one_state(llm: LLM) -> None:
    """Each of pydantic's slots holds the very same object."""

    def check(slot: str) -> None:
        assert getattr(wrapped(llm), slot) is getattr(llm, slot)

    check_all([(slot, partial(check, slot)) for slot in SLOTS])


def test_state_replaced() -> None:
    """A slot that is replaced on the inner is replaced on the wrapper."""

    def check(slot: str) -> None:
        w, inner = mine()
        new = {"extra": 5}
        object.__setattr__(inner, slot, new)
        assert getattr(w, slot) is new

    check_all([(slot, partial(check, slot)) for slot in SLOTS])


def test_state_replaced_on_wrapper() -> None:
    """A slot that is replaced on the wrapper is replaced on the inner."""

    def check(slot: str) -> None:
        w, inner = mine()
        new = {"extra": 5}
        object.__setattr__(w, slot, new)
        assert getattr(inner, slot) is new

    check_all([(slot, partial(check, slot)) for slot in SLOTS])


def test_own_ways_of_setting() -> None:
    """A class that writes past pydantic writes where the inner has its state by then."""
    w = wrapped(inner := Past())
    inner.limit = 2  # a validated assignment: the inner has a new `__dict__`
    w.seen = 1
    assert vars(inner)["seen"] == 1
    inner.limit = 3
    del w.seen
    assert "seen" not in vars(inner)


def test_cached_property() -> None:
    """A cached property is computed once for both."""
    w, inner = mine()
    assert w.cached is inner.cached


def test_no_such_attribute() -> None:
    """An unknown attribute is the error that it is on the inner."""
    w, _ = mine()
    with pytest.raises(AttributeError, match="'Mine' object has no attribute 'nothing'"):
        _ = w.nothing
    with pytest.raises(ValueError, match='"Mine" object has no field "nothing"'):
        w.nothing = 1


def test_validated_on_wrapper() -> None:
    """A validated assignment to the wrapper is one to the inner."""
    w, inner = checked()
    w.limit = "5"
    assert (w.limit, inner.limit) == (5, 5)


def test_validated_on_inner() -> None:
    """A validated assignment to the inner is one to the wrapper."""
    w, inner = checked()
    inner.limit = "5"
    assert w.limit == 5


def test_invalid() -> None:
    """An invalid assignment fails, and changes neither."""
    w, inner = checked()
    with pytest.raises(ValidationError):
        w.limit = -1
    assert (w.limit, inner.limit) == (1, 1)


def test_frozen() -> None:
    """What cannot be changed on the inner cannot be changed on the wrapper."""
    with pytest.raises(ValidationError, match="Instance is frozen"):
        wrapped(Frozen()).system_prompt = "no"


def test_two_wrappers() -> None:
    """Two wrappers of one inner share its state, and have options of their own."""
    inner = Mine(api_key="x")
    one, other = wrapped(inner, "1"), wrapped(inner, "2")
    one.extra = 9
    assert other.extra == 9
    assert (options_of(one), options_of(other)) == ("1", "2")


# -- wrapping -------------------------------------------------------------------------------


def test_unwrapped(llm: LLM) -> None:
    """The inner of a wrapper is the LLM; that of an LLM is itself."""
    assert inner_of(wrapped(llm)) is llm
    assert inner_of(llm) is llm


def test_options_of_plain() -> None:
    """An LLM that is not wrapped has no options."""
    with pytest.raises(TypeError, match="this MockLLM is not wrapped, so it has no options"):
        options_of(MockLLM())


def test_never_two_layers(llm: LLM) -> None:
    """Wrapping a wrapper wraps its inner again, with the new options."""
    again = wrapped(wrapped(llm, "1"), "2")
    assert inner_of(again) is llm
    assert options_of(again) == "2"
    assert class_of(again).__bases__[-1] is class_of(llm)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gpt-4o", "of LlamaIndex, an instance of .*LLM such as OpenAI.* is of type str"),
        (None, "is of type NoneType"),
        (MockLLM, r"not a class of LLMs: pass MockLLM\(...\)"),
    ],
)
def test_not_an_llm(given: Any, said: str) -> None:
    """What is no LLM is refused, and what to pass is said."""
    with pytest.raises(TypeError, match=f"^Face wraps an LLM.*{said}"):
        wrapped(given)


def test_one_class(llm: LLM) -> None:
    """The class is made once, even by many threads at a time."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(wrapped, [llm] * 50))
    assert {class_of(w) for w in made} == {class_of(wrapped(llm))}


def test_classes_are_collected() -> None:
    """A user's class that is dropped is collected, though it was wrapped."""

    class Gone(Echo):
        pass

    gone = weakref.ref(Gone)
    wrapped(Gone()).chat(HI)
    CHATS.clear()
    del Gone
    gc.collect()
    assert gone() is None


def test_keeps_its_inner() -> None:
    """A wrapper keeps its inner alive, and goes as soon as nobody has it."""
    inner = weakref.ref(w := wrapped(Echo()))
    kept = weakref.ref(inner_of(w))
    gc.collect()
    assert kept() is not None
    del w
    assert (inner(), kept()) == (None, None)
