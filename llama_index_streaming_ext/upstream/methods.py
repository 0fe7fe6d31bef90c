"""Definitions of classes: which class defines a method, and whether that class is core's own.

Code of the package may rely on what core does in a method only as long as no subclass overrides
it. These functions answer that; nothing is called or changed.
"""

from __future__ import annotations

import inspect
from typing import Any, cast

_CORE = "llama_index.core."


def is_core_module(module: str) -> bool:
    """Return True if a module, given by its dotted name, belongs to llama_index.core."""
    return f"{module}.".startswith(_CORE)


def definition_of(cls: type, name: str) -> Any:
    """Return an attribute as its class defines it, unbound; None if no class defines it."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def defining_class(cls: type, name: str) -> type | None:
    """Return the class that defines an attribute: `cls` or the nearest of its bases."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def is_cores_own(cls: type, *names: str) -> bool:
    """Return True if all of these methods of a class are core's, overridden by no subclass.

    Both must be core's: the class that defines the method, since core's decorators give users'
    functions a module of core; and the function itself, since somebody may have patched it.

    Args:
        cls: any class.
        *names: the names of methods.
    """
    return all(_is_cores(cls, name) for name in names)


def _is_cores(cls: type, name: str) -> bool:
    home = defining_class(cls, name)
    if home is None or not is_core_module(home.__module__):
        return False
    return is_core_module(str(getattr(vars(home)[name], "__module__", home.__module__)))


def undecorated(cls: type, name: str) -> Any:
    """Return the function behind a method, without its decorators; None if there is none.

    Core decorates the methods of every subclass anew, so the same function has many wrappers.
    """
    found: Any = inspect.getattr_static(cls, name, None)
    # Core's callback decorators set __wrapped__ to True on what they decorate.
    while callable(found) and callable(inner := getattr(found, "__wrapped__", None)):
        found = cast("Any", inner)
    return found


def share_method(cls: type, other: type, name: str) -> bool:
    """Return True if two classes have the same function as a method, decorated or not."""
    function = undecorated(cls, name)
    return function is not None and function is undecorated(other, name)


def qualified_name(cls: type) -> str:
    """Return the dotted name of a class, its module first."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_named(cls: type, package: str, name: str) -> bool:
    """Return True if a class has this name and its module is in `package`.

    It needs no import, so it works for libraries that are not installed.
    """
    return cls.__name__ == name and is_within(cls, package)


def is_within(cls: type, package: str) -> bool:
    """Return True if the module of a class is `package` or lies in it."""
    return f"{cls.__module__}.".startswith(f"{package}.")


def inherits_named(cls: type, package: str, name: str) -> bool:
    """Return True if a class or one of its bases has this name and is from `package`."""
    return any(is_named(base, package, name) for base in cls.__mro__)
