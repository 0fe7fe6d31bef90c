"""Shapes of parts and containers: what they hold, and how they are made anew.

No code of their classes is run. A new object is filled after it was made, so that objects may hold
each other in a circle.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from types import MemberDescriptorType, MethodType
from typing import Any, Protocol, cast

from llama_index_streaming_ext.upstream.pydantic_models import (
    STATE_SLOTS,
    Quiet,
    quiet_subclass,
    slots_of,
)

_State = dict[str, Any]

CopyOf = Callable[[Any], Any]
"""Gives the object that stands in a copy for one that the original holds; maybe the same."""


class Shape(Protocol):
    """The way to read the objects of a class, and to make new ones."""

    def held(self, obj: Any) -> Sequence[Any]:
        """Return what `obj` holds and its copy may have to hold otherwise."""
        ...

    def new(self, obj: Any, copy_of: CopyOf) -> Any:
        """Make a new object for `obj`, empty where it can be filled later."""
        ...

    def fill(self, new: Any, obj: Any, copy_of: CopyOf) -> None:
        """Fill what `new` has made."""
        ...


class PartShape:
    """Objects with attributes: in a `__dict__`, in slots, or pydantic's."""

    def __init__(self, cls: type) -> None:
        self._cls: Any = quiet_subclass(cls, _NoFinalizer) if hasattr(cls, "__del__") else cls
        self._has_dict = cls.__dictoffset__ != 0
        self._slots = {
            slot: name in STATE_SLOTS for name, slot in slots_of(cls).items() if name != "__dict__"
        }

    def held(self, obj: Any) -> list[Any]:
        """Return the values of all attributes."""
        found = list(self._state(obj).values())
        for slot, is_own in self._slots.items():
            value = slot.__get__(obj) if _is_set(slot, obj) else None
            is_state = is_own and isinstance(value, dict)
            found += cast(_State, value).values() if is_state else (value,)
        return found

    def new(self, obj: Any, copy_of: CopyOf) -> Any:
        """Make an instance that no `__init__` has seen."""
        return object.__new__(self._cls)

    def fill(self, new: Any, obj: Any, copy_of: CopyOf) -> None:
        """Set the attributes past any setter and validator: they have been through once."""
        for slot, is_own in self._slots.items():
            if _is_set(slot, obj):
                value = slot.__get__(obj)
                slot.__set__(new, _own_copy(value, copy_of) if is_own else copy_of(value))
        for name, value in list(self._state(obj).items()):
            # `Refine` keeps a method of its own, to make its programs by.
            is_own = type(value) is MethodType and value.__self__ is obj
            self._state(new)[name] = value.__func__.__get__(new) if is_own else copy_of(value)

    def _state(self, obj: Any) -> _State:
        return object.__getattribute__(obj, "__dict__") if self._has_dict else {}


class _Sequence:
    """Lists and tuples. A tuple is made with its elements, as it cannot be changed."""

    def held(self, obj: Any) -> Sequence[Any]:
        return obj

    def new(self, obj: Any, copy_of: CopyOf) -> Any:
        return [] if type(obj) is list else tuple(map(copy_of, obj))

    def fill(self, new: Any, obj: Any, copy_of: CopyOf) -> None:
        if isinstance(obj, list):
            new.extend(map(copy_of, list(cast("list[Any]", obj))))


class _Mapping:
    """Dicts: their values."""

    def held(self, obj: Any) -> Sequence[Any]:
        return list(obj.values())

    def new(self, obj: Any, copy_of: CopyOf) -> Any:
        return {}

    def fill(self, new: Any, obj: Any, copy_of: CopyOf) -> None:
        new.update({key: copy_of(value) for key, value in list(obj.items())})


_of_containers: dict[type, Shape] = {dict: _Mapping(), list: _Sequence(), tuple: _Sequence()}
_known: weakref.WeakKeyDictionary[type, Shape] = weakref.WeakKeyDictionary()


def shape_of(obj: object) -> Shape:
    """Return how a part or a container is looked into and made anew."""
    cls = type(obj)
    shape = _of_containers.get(cls) or _known.get(cls)
    if shape is None:
        shape = _known[cls] = PartShape(cls)
    return shape


def _is_set(slot: MemberDescriptorType, obj: Any) -> bool:
    try:
        slot.__get__(obj)
    except AttributeError:
        return False
    return True


def _own_copy(value: Any, copy_of: CopyOf) -> Any:
    """A model's private attributes are its own, even if none is copied; so is what was set."""
    if isinstance(value, dict):
        return {name: copy_of(held) for name, held in list(cast(_State, value).items())}
    return set(cast("set[str]", value)) if isinstance(value, set) else value


class _NoFinalizer(Quiet):
    """The first base of the class of a copy whose class has a finalizer.

    That closes what the copy shares with the user's object.
    """

    __slots__ = ()

    def __del__(self) -> None:
        """Leave open what the user's object goes on using."""
