"""Objects of our classes as core sees them, and objects of core's as ours.

A class here has core's class as its base and a streaming way of asking before it. A query works on
the object as core knows it: else core's own `query` would come back to ours.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")

_PLAIN = "asks_as_core_does"

_core_class_of: dict[type, type] = {}
_our_class_of: dict[type, type] = {}
_views: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def stands_for(core_class: type) -> Callable[[type[T]], type[T]]:
    """Return a decorator that registers a class of ours under the class of core's it replaces.

    Args:
        core_class: core's class, which is a base of ours.
    """

    def register(cls: type[T]) -> type[T]:
        _core_class_of[cls], _our_class_of[core_class] = core_class, cls
        return cls

    return register


def core_view(ours: Any) -> Any:
    """Return an object that shares the state of one of ours, and that core's methods answer.

    Args:
        ours: an object of a class that has our methods before core's.
    """
    if is_plain(ours):
        return ours
    view = _views.get(ours)
    if view is None:
        view = _views[ours] = _new_view(ours)
    return view


def is_plain(ours: Any) -> bool:
    """Return True if an object is a view of one of ours, which is asked as core asks it."""
    return _PLAIN in ours.__dict__


def as_ours(core_object: T) -> T | None:
    """Return an object of the class of ours that stands for an object's class.

    Args:
        core_object: an engine, a chat engine or an index, whose state the result has.

    Returns:
        None where no class of ours stands for its class.
    """
    if type(core_object) in _core_class_of:
        return core_object
    cls = _our_class_of.get(type(core_object))
    if cls is None:
        return None
    ours = new_object(cls)
    ours.__dict__.update(core_object.__dict__)
    return ours


def new_object(cls: type[Any]) -> Any:
    """Return an object of a class that has no state yet.

    Args:
        cls: the class.
    """
    return cast("Any", object).__new__(cls)


def _new_view(ours: Any) -> Any:
    own_class = cast("type[Any]", type(ours))
    core_class = _core_class_of.get(own_class)
    if core_class is not None:
        view = new_object(core_class)
        view.__dict__ = ours.__dict__
        return view
    # A subclass of a user's, whose own methods must stay: its class, without our way of asking.
    view = new_object(own_class)
    view.__dict__ = {**ours.__dict__, _PLAIN: True}
    return view
