"""Advice around the methods of one object, and of no other object of its class.

Where the object is the query's own, its method is shadowed by a `Shadow`, an attribute of that
name. Where it may be the user's, whoever holds it gets a `Face` of it instead. Either way what is
put around a method is an `Around`, which is told how to ask for what the method does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from llama_index_streaming_ext.query.engine_copy.shapes import shape_of
from llama_index_streaming_ext.upstream.state import state_of

Advice = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called instead of a method, with the method and the arguments; async where that is."""

Enclose = Callable[
    [tuple[Any, ...], dict[str, Any]], AbstractContextManager[Callable[[Any], Any] | None]
]
"""Gives the context of a call from its arguments; that may give a function for the answer."""

_T = TypeVar("_T")


def enclosing(enclose: Enclose) -> tuple[Advice, Advice]:
    """Return the advice, sync and async, that makes a call within a context.

    Args:
        enclose: gives the context manager of each call. If that yields a function, the function
            is called with the answer, within the context, and the caller gets what it returns.
    """

    def advice(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with enclose(args, kwargs) as given:
            answer = method(*args, **kwargs)
            return answer if given is None else given(answer)

    async def async_advice(
        method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        with enclose(args, kwargs) as given:
            answer = await method(*args, **kwargs)
            return answer if given is None else given(answer)

    return advice, async_advice


class MethodHook:
    """A method of one object, with something around it.

    Args:
        owner: the object.
        name: the name of the method.
        around: what is put around it.
        by: who put it there.
    """

    __slots__ = ("_around", "_inner", "_name", "_owner", "by")

    def __init__(self, owner: object, name: str, around: Advice, by: object) -> None:
        self._owner = owner
        self._name = name
        self._around = around
        self._inner: Any = state_of(owner).get(name)
        self.by = by

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the method does, with what is around it."""
        return self._around(self._method(), args, kwargs)

    def of(self, owner: object) -> MethodHook:
        """The same around the method of another object."""
        shadow = MethodHook(owner, self._name, self._around, self.by)
        inner = self._inner
        shadow._inner = inner.of(owner) if isinstance(inner, MethodHook) else inner
        return shadow

    def is_by(self, by: object) -> bool:
        """Return True if this hook, or one that it wraps, was made by `by`."""
        return self.by is by or (isinstance(self._inner, MethodHook) and self._inner.is_by(by))

    def _method(self) -> Callable[..., Any]:
        if self._inner is not None:
            return self._inner
        # Past the attributes of the owner, where this is found.
        cls = type(self._owner)
        for base in cls.__mro__:
            if self._name in vars(base):
                return vars(base)[self._name].__get__(self._owner, cls)
        # What stands for something else has its methods by this only.
        delegated: Any = getattr(cls, "__getattr__")  # noqa: B009 # pyright knows of none
        return delegated(self._owner, self._name)


def hook_method(owner: object, name: str, around: Advice, *, by: object) -> None:
    """Put something around a method of one object, which must be the query's own.

    It is done once for every `by`. Pydantic's objects are written to past their setters.
    """
    before = state_of(owner).get(name)
    if not (isinstance(before, MethodHook) and before.is_by(by)):
        state_of(owner)[name] = MethodHook(owner, name, around, by)


class ObjectProxy:
    """A proxy of an object, with advice around some of its methods.

    `isinstance` takes it for the object. What is set on it is set on the object.
    """

    __slots__ = ("_face_by", "_face_hooks", "_face_part")

    def __init__(self, part: object, hooks: Mapping[str, Advice], *, by: object) -> None:
        object.__setattr__(self, "_face_part", part)
        object.__setattr__(self, "_face_hooks", hooks)
        object.__setattr__(self, "_face_by", by)

    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] -- no setter
        return part_of(self).__class__

    def __getattr__(self, name: str) -> Any:
        found = getattr(part_of(self), name)
        around = hooks_of(self).get(name)
        return found if around is None else _Hooked(found, around)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(part_of(self), name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the object."""
        return part_of(self)(*args, **kwargs)


class _Hooked:
    """A method of a part, as its face has it."""

    def __init__(self, method: Callable[..., Any], around: Advice) -> None:
        self._method = method
        self._around = around

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._around(self._method, args, kwargs)


def is_face(obj: object, by: object = None) -> bool:
    """Return True if an object is a proxy, made by `by` if that is given."""
    return type(obj) is ObjectProxy and (
        by is None or object.__getattribute__(obj, "_face_by") is by
    )


def part_of(face: object) -> Any:
    """Return the object that a proxy stands for."""
    return object.__getattribute__(face, "_face_part")


def hooks_of(face: object) -> Mapping[str, Advice]:
    """Return the advice of a proxy by the names of the methods."""
    return object.__getattribute__(face, "_face_hooks")


def with_part(face: object, part: object) -> Any:
    """The same face of another object."""
    return ObjectProxy(part, hooks_of(face), by=object.__getattribute__(face, "_face_by"))


def twin(obj: _T) -> _T:
    """A shallow copy of an object: it can be set otherwise, and shadows are those of its methods.

    No code of its class is run.
    """
    if is_face(obj):
        return with_part(obj, twin(part_of(obj)))
    shape = shape_of(obj)
    new = shape.new(obj, _itself)
    shape.fill(new, obj, _itself)
    for name, held in list(state_of(new).items()):
        if isinstance(held, MethodHook):
            state_of(new)[name] = held.of(new)
    return new


def _itself(held: Any) -> Any:
    return held
