"""Pydantic's part in a model's class and state, and how to make a subclass without it.

Subclasses of users' classes are made at run time for LLMs that share another LLM's state, and for
copies. Such a class must not be noticed: no schema is built and no hook of the user's class runs.
"""

from __future__ import annotations

import inspect
from abc import ABCMeta
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, cast

from pydantic import BaseModel

# Canary of all three: tests/upstream/test_pydantic_models.py
MODEL_DICT = cast(GetSetDescriptorType, vars(BaseModel)["__dict__"])
"""The descriptor of every model's `__dict__`, whatever its class shows instead."""

STATE_SLOTS = ("__pydantic_private__", "__pydantic_extra__", "__pydantic_fields_set__")
"""The slots in which a model keeps its state besides `__dict__`."""


class Quiet:
    """First base of a class that is made unnoticed: the hooks of the other bases do not run."""

    __slots__ = ()

    def __init_subclass__(cls, **_: Any) -> None:
        """Call no `super()`: users' hooks register classes or ask for arguments.

        Core's hook would decorate the methods with spans a second time.
        """


def quiet_subclass(cls: type, *mixins: type, slots: tuple[str, ...] = (), **namespace: Any) -> type:
    """Make a subclass that looks like its base class and that no metaclass or hook notices.

    Fields, validators, serialisers and the signature are found on `cls`.

    Args:
        cls: the class to derive from: a pydantic model or any other.
        mixins: the bases that come before `cls`; the first derives from `Quiet`.
        slots: the slots of the new class.
        namespace: what else its body holds.
    """
    body = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__slots__": slots,
        **namespace,
    }
    make = ABCMeta.__new__ if issubclass(type(cls), ABCMeta) else type.__new__
    return make(type(cls), cls.__name__, (*mixins, cls), body)


def slots_of(cls: type) -> dict[str, MemberDescriptorType]:
    """Return the slots of a class and its bases by name, pydantic's own among them."""
    return {
        name: slot
        for base in reversed(cls.__mro__)
        for name, slot in vars(base).items()
        if inspect.ismemberdescriptor(slot)
    }
