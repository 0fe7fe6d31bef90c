"""How functions, bound methods, partials and cells are looked into and made anew.

`Refine._program_factory` holds a bound method, and users hand lambdas over an LLM to a tool.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from llama_index_streaming_ext.query.engine_copy.classes import SPANNED_METHOD, from_library
from llama_index_streaming_ext.query.engine_copy.shapes import Shape, Twins

_DETAILS = (
    *("__module__", "__name__", "__qualname__", "__doc__", "__type_params__"),
    # From Python 3.14 on annotations are computed when asked for, by a function that is shared.
    "__annotate__" if hasattr(types.FunctionType, "__annotate__") else "__annotations__",
)


class Function:
    """Functions that hold objects: in their closure, as defaults, or as attributes."""

    def held(self, obj: types.FunctionType) -> list[Any]:
        """The cells, the defaults and the attributes."""
        if from_library(obj.__module__):
            return []
        named = {**(obj.__kwdefaults__ or {}), **vars(obj)}
        return [*(obj.__closure__ or ()), *(obj.__defaults__ or ()), *named.values()]

    def shell(self, obj: types.FunctionType, twins: Twins) -> types.FunctionType:
        """The same code over the twins of its cells, which are filled later."""
        cells = tuple(map(twins.of, obj.__closure__ or ()))
        return types.FunctionType(obj.__code__, obj.__globals__, obj.__name__, None, cells)

    def fill(self, new: types.FunctionType, obj: types.FunctionType, twins: Twins) -> None:
        """Sets all else, the defaults and attributes by their twins."""
        for name in _DETAILS:
            if hasattr(obj, name):
                setattr(new, name, getattr(obj, name))
        if obj.__defaults__:
            new.__defaults__ = tuple(map(twins.of, obj.__defaults__))
        if obj.__kwdefaults__:
            new.__kwdefaults__ = {n: twins.of(v) for n, v in obj.__kwdefaults__.items()}
        vars(new).update({name: twins.of(value) for name, value in vars(obj).items()})


class Cell:
    """The variables that a function shares with what is around it."""

    def held(self, obj: types.CellType) -> list[Any]:
        """The value, if the variable has one yet."""
        try:
            return [obj.cell_contents]
        except ValueError:
            return []

    def shell(self, obj: types.CellType, twins: Twins) -> types.CellType:
        """A variable without value."""
        return types.CellType()

    def fill(self, new: types.CellType, obj: types.CellType, twins: Twins) -> None:
        """Gives it the twin of the value."""
        for value in self.held(obj):
            new.cell_contents = twins.of(value)


class Partial:
    """Functions with some of their arguments."""

    def held(self, obj: functools.partial[Any]) -> list[Any]:
        """The function and the arguments."""
        return [obj.func, *obj.args, *obj.keywords.values()]

    def shell(self, obj: functools.partial[Any], twins: Twins) -> functools.partial[Any]:
        """It cannot be changed, so it is made with what it holds."""
        named = {name: twins.of(value) for name, value in obj.keywords.items()}
        return functools.partial(twins.of(obj.func), *map(twins.of, obj.args), **named)

    def fill(self, new: functools.partial[Any], obj: functools.partial[Any], twins: Twins) -> None:
        """Sets its attributes, if it has any."""
        vars(new).update(vars(obj))


class Method:
    """Bound methods, be they plain, built-in, or what a span makes of one."""

    def held(self, obj: Any) -> list[Any]:
        """What the method is bound to."""
        return [getattr(obj, "__self__", None)]

    def shell(self, obj: Any, twins: Twins) -> Any:
        """The method of the same name of what stands for that.

        A method that is private to a part is not asked of what stands in for the part.
        """
        name: str = obj.__name__
        owner: object = obj.__self__
        new: object = twins.plain(owner) if name.startswith("_") else twins.of(owner)
        if not hasattr(type(new), name):
            new = twins.plain(owner)
        # By type(): what a span makes says that it is a MethodType.
        if type(obj) is not types.MethodType or _is_by_name(obj, owner, new):
            return getattr(new, name)
        return types.MethodType(obj.__func__, new)

    def fill(self, new: Any, obj: Any, twins: Twins) -> None:
        """There is nothing to fill."""


def _is_by_name(method: types.MethodType, owner: object, new: object) -> bool:
    """Whether `new` has a method of its own in place of `method`: a wrapped LLM has.

    Not if somebody bound another function to the owner, under whatever name.
    """
    name, cls = method.__name__, type(new)
    if cls is type(owner) or not hasattr(cls, name):
        return False
    return getattr(type(owner), name, None) is method.__func__


_SHAPES: dict[type, Shape] = {
    types.FunctionType: Function(),
    types.CellType: Cell(),
    functools.partial: Partial(),
    types.MethodType: Method(),
    types.BuiltinMethodType: Method(),
    SPANNED_METHOD: Method(),
}


def shape_of_callable(obj: Any) -> Shape:
    """How a function, a method, a partial or a cell is looked into and made anew."""
    return _SHAPES[type(obj)]
