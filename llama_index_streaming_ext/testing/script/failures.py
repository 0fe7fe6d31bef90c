"""Errors as templates: each call raises a fresh one, with no traceback of another."""

from __future__ import annotations

import builtins
import copy
from collections.abc import Callable
from typing import Any, cast

from llama_index_streaming_ext.testing.wire.items import Fail


class Template:
    """Makes errors equal to a given one.

    Args:
        error: the error to make copies of; it is not kept itself.
    """

    def __init__(self, error: BaseException) -> None:
        self._cls: type[BaseException] = type(error)
        self._args: tuple[Any, ...] = error.args
        self._state = dict(vars(error))
        # Built-in errors keep fields outside of `__dict__`, and copy by their arguments.
        self._plain = _made_by_builtins(self._cls)

    def __call__(self) -> BaseException:
        """Make an error."""
        # An __init__ in Python may take other arguments than `args` says: it is passed by.
        error = self._cls(*self._args) if self._plain else self._cls.__new__(self._cls)
        error.args = self._args
        vars(error).update(copy.copy(self._state))
        return error


def _made_by_builtins(cls: type) -> bool:
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return owner.__module__ == builtins.__name__


def failure(error: object) -> Fail:
    """Return the failure that the argument of `fail(...)` stands for.

    Raises:
        TypeError: no error can be made of it.
    """
    if isinstance(error, str):
        return Fail(Template(RuntimeError(error)), error, provider=True)
    if isinstance(error, BaseException):
        return Fail(Template(error), str(error))
    if not callable(error):
        raise TypeError(f"fail() takes an exception, a function that makes one or a str: {error!r}")
    make = cast("Callable[[], BaseException]", error)
    made = make()
    if not isinstance(cast("object", made), BaseException):
        raise TypeError(f"The function given to fail() made {made!r}, which is not an exception.")
    return Fail(make, str(made))
