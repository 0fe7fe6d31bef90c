"""How an object is looked into and made anew, without running any code of its class.

A shape knows three things: what an object holds, how a new and maybe empty one is made, and how
that one is filled. The new one is filled later, so that objects may hold each other in a circle.
"""

from __future__ import annotations

import inspect
import weakref
from collections import deque
from collections.abc import Sequence
from types import MemberDescriptorType, SimpleNamespace
from typing import Any, Protocol, cast

from llama_index_streaming_ext.query.engine_copy.classes import (
    CONTAINERS,
    CopyRule,
    copy_rule_of,
    from_library,
)
from llama_index_streaming_ext.upstream.pydantic_models import STATE_SLOTS, Quiet, quiet_subclass

_State = dict[str, Any]


class Twins(Protocol):
    """Where an object is asked for what stands in the copy for what it holds."""

    def of(self, held: Any) -> Any:
        """What stands for `held`: a copy, a wrapped LLM, a stand-in, or `held` itself."""
        ...

    def plain(self, held: Any) -> Any:
        """As `of`, but a part's copy even where there is a stand-in for that part."""
        ...


class Shape(Protocol):
    """How the objects of a class are looked into and made anew."""

    def held(self, obj: Any) -> Sequence[Any]:
        """What `obj` holds and its twin may have to hold otherwise."""
        ...

    def shell(self, obj: Any, twins: Twins) -> Any:
        """A new object for `obj`, empty where it can be filled later."""
        ...

    def fill(self, new: Any, obj: Any, twins: Twins) -> None:
        """Fills what `shell` made."""
        ...


class Instance:
    """Objects with attributes: in a `__dict__`, in slots, or pydantic's."""

    def __init__(self, cls: type) -> None:
        self._stand_in: Any = quiet_subclass(cls, _NoFinalizer) if hasattr(cls, "__del__") else None
        self._new: Any = (SimpleNamespace if SimpleNamespace in cls.__mro__ else object).__new__
        self._has_dict = cls.__dictoffset__ != 0
        self._own, self._slots = _slots(cls)
        self._users = [weakref.ref(base) for base in cls.__mro__ if _may_hold_an_llm(base)]

    def held(self, obj: Any) -> list[Any]:
        """The values of all attributes, and those that a user's class has for its instances."""
        found = list(self._state(obj).values())
        found += [slot.__get__(obj) for slot in self._slots if _is_set(slot, obj)]
        for slot in self._own:
            value = slot.__get__(obj) if _is_set(slot, obj) else None
            found += list(cast(_State, value).values()) if isinstance(value, dict) else ()
        return [*found, *self._of_class(obj).values()]

    def shell(self, obj: Any, twins: Twins) -> Any:
        """An instance that no `__init__` has seen."""
        return self._new(self._stand_in or type(obj))

    def fill(self, new: Any, obj: Any, twins: Twins) -> None:
        """Sets the attributes past any setter and validator: they have been through once."""
        for slot in self._slots:
            if _is_set(slot, obj):
                slot.__set__(new, twins.of(slot.__get__(obj)))
        for slot in self._own:
            if _is_set(slot, obj):
                slot.__set__(new, _own_copy(slot.__get__(obj), twins))
        if self._has_dict:
            state = {name: twins.of(value) for name, value in list(self._state(obj).items())}
            self._state(new).update(self._shadows(obj, twins))
            self._state(new).update(state)

    def _state(self, obj: Any) -> dict[str, Any]:
        return object.__getattribute__(obj, "__dict__") if self._has_dict else {}

    def _of_class(self, obj: Any) -> dict[str, Any]:
        """What the user's classes hold for all their instances: `llm = OpenAI()` in the body."""
        if not self._has_dict:
            return {}
        found: dict[str, Any] = {}
        for base in filter(None, (ref() for ref in reversed(self._users))):
            found |= {n: v for n, v in list(vars(base).items()) if _is_class_data(n, v)}
        return {name: value for name, value in found.items() if name not in self._state(obj)}

    def _shadows(self, obj: Any, twins: Twins) -> dict[str, Any]:
        twinned = {name: (value, twins.of(value)) for name, value in self._of_class(obj).items()}
        return {name: new for name, (value, new) in twinned.items() if new is not value}


class Container:
    """Lists, dicts and their like, and what is derived from them.

    Elements are read and put in with the methods of the built-in class.
    """

    def __init__(self, cls: type) -> None:
        self._base: Any = next(base for base in CONTAINERS if issubclass(cls, base))
        self._is_dict = issubclass(self._base, dict)
        self._is_fixed = self._base in (tuple, frozenset)
        self._attributes = None if cls in (dict, list, tuple, set, frozenset) else Instance(cls)

    def held(self, obj: Any) -> list[Any]:
        """The elements; of a dict, the values."""
        own = self._attributes.held(obj) if self._attributes else []
        return [*(self._base.values(obj) if self._is_dict else self._base.__iter__(obj)), *own]

    def shell(self, obj: Any, twins: Twins) -> Any:
        """An empty one; one that cannot be changed is made with its elements."""
        if self._is_fixed:
            return self._base.__new__(type(obj), self._elements(obj, twins))
        return self._base.__new__(type(obj))

    def fill(self, new: Any, obj: Any, twins: Twins) -> None:
        """Puts in the elements."""
        if self._attributes:
            self._attributes.fill(new, obj, twins)
        if self._is_dict:
            for key, value in list(self._base.items(obj)):
                self._base.__setitem__(new, key, twins.of(value))
        elif not self._is_fixed:
            self._base.__init__(new, self._elements(obj, twins), *self._limit(obj))

    def _limit(self, obj: object) -> list[Any]:
        return [cast(deque[Any], obj).maxlen] if isinstance(obj, deque) else []

    def _elements(self, obj: Any, twins: Twins) -> list[Any]:
        return [twins.of(element) for element in list(self._base.__iter__(obj))]


def shape_of(obj: object) -> Shape:
    """How `obj` is looked into and made anew, whatever its role."""
    cls = type(obj)
    shape = _known.get(cls)
    if shape is None:
        container = copy_rule_of(cls) is CopyRule.CONTAINER or issubclass(cls, CONTAINERS)
        shape = _known[cls] = Container(cls) if container else Instance(cls)
    return shape


_known: weakref.WeakKeyDictionary[type, Shape] = weakref.WeakKeyDictionary()


def _slots(cls: type) -> tuple[list[MemberDescriptorType], list[MemberDescriptorType]]:
    """Pydantic's own slots of an instance, and all others."""
    found = [
        (name, slot)
        for base in cls.__mro__
        for name, slot in vars(base).items()
        if inspect.ismemberdescriptor(slot) and name != "__dict__"
    ]
    own = [slot for name, slot in found if name in STATE_SLOTS]
    return own, [slot for name, slot in found if name not in STATE_SLOTS]


def _is_set(slot: MemberDescriptorType, obj: Any) -> bool:
    try:
        slot.__get__(obj)
    except AttributeError:
        return False
    return True


def _own_copy(value: Any, twins: Twins) -> Any:
    """A model's private attributes are its own, even if none is copied; so is what was set."""
    if isinstance(value, dict):
        return {name: twins.of(held) for name, held in list(cast(_State, value).items())}
    return set(cast("set[str]", value)) if isinstance(value, set) else value


def _may_hold_an_llm(base: type) -> bool:
    module = base.__module__
    return not from_library(module) and not module.startswith("llama_index")


def _is_class_data(name: str, value: object) -> bool:
    if name.startswith("__") or hasattr(type(value), "__get__"):
        return False
    return copy_rule_of(type(value)) not in (CopyRule.LEFT, CopyRule.CALLABLE)


class _NoFinalizer(Quiet):
    """What comes first in the class of a copy whose class has a finalizer.

    That closes what the copy shares with the user's object.
    """

    __slots__ = ()

    def __del__(self) -> None:
        """Leave open what the user's object goes on using."""
