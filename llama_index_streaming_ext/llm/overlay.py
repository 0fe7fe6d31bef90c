"""A wrapped LLM that still is what it was.

`wrap(llm, Face, options)` gives an object of a class `(_Wrapped, Face, type(llm))`, which is made
once per pair and is registered or decorated nowhere. The object has no state of its own but the
inner LLM and the options: all else it reads and writes *on the inner*. So both can be used side
by side, and what is set on one, now or later, is set on the other.
"""

from __future__ import annotations

import copy
import inspect
import threading
import weakref
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, TypeVar, cast

from llama_index.core.llms import LLM

from llama_index_streaming_ext.upstream.pydantic_models import (
    MODEL_DICT,
    Quiet,
    quiet_subclass,
    slots_of,
)

_T = TypeVar("_T")

_INNER, _OPTIONS = "__llm_inner__", "__llm_options__"

_read, _write = object.__getattribute__, object.__setattr__

_classes = weakref.WeakValueDictionary[tuple[int, int], type]()
"""The classes in use, by the ids of the face and of the inner's class.

Ids, so that the key keeps no user's class alive. They stay theirs for as long as there is an entry,
since the entry's class is derived from both.
"""

_making = threading.Lock()


def wrap(inner: LLM, face: type, options: Any) -> LLM:
    """Return an LLM that is `inner` in all but the methods of `face`.

    Args:
        inner: any LLM. One that is wrapped already is unwrapped first: there are never two layers.
        face: a plain class (no pydantic model, `__slots__ = ()`) with the methods that differ.
            They find the LLM to delegate to with `inner_of(self)`. Its `__new__` and `__init__`
            play no part.
        options: what the methods of `face` need to know; `options_of(self)` gives it back. Copies
            of the LLM share it, so it should be immutable. To pickle the LLM, it must pickle.

    Returns:
        The wrapped LLM: an instance of `face` and of the class of `inner`, which compares, hashes,
        prints and serialises as `inner` does.

    Raises:
        TypeError: `inner` is not an LLM.
    """
    if not isinstance(inner, LLM):  # pyright: ignore[reportUnnecessaryIsInstance] # users may err
        raise TypeError(_not_an_llm(inner, face))
    inner = inner_of(inner)
    # Neither __new__ nor __init__ of the inner's class runs again: there is nothing to set up.
    wrapped = cast(LLM, object.__new__(_class_of(face, type(inner))))
    _write(wrapped, _INNER, inner)
    _write(wrapped, _OPTIONS, options)
    MODEL_DICT.__set__(wrapped, MODEL_DICT.__get__(inner))
    return wrapped


def inner_of(llm: _T) -> _T:
    """Return the LLM that `llm` wraps, or `llm` itself if it is not wrapped."""
    return cast(_T, _read(llm, _INNER)) if isinstance(llm, _Wrapped) else llm


def options_of(llm: LLM) -> Any:
    """Return the options that `llm` was wrapped with.

    Raises:
        TypeError: `llm` is not wrapped.
    """
    if not isinstance(llm, _Wrapped):
        raise TypeError(f"this {type(llm).__name__} is not wrapped, so it has no options")
    return _read(llm, _OPTIONS)


class _Wrapped(Quiet):
    """The behaviour in which every wrapped LLM differs from the class of its inner LLM.

    The methods of the inner's class run with the wrapper as `self`, so that what they call is the
    face. What must not see the wrapper is here.
    """

    __slots__ = ()

    def __init_subclass__(cls, **_: Any) -> None:
        """Refuse subclasses of the class of a wrapped LLM."""
        if cls.__bases__[0] is not _Wrapped:
            wrapped = cast(type, next(b for b in cls.__bases__ if issubclass(b, _Wrapped)))
            raise TypeError(
                f"{wrapped.__name__} is the class of a wrapped LLM and has no subclasses: "
                f"subclass {wrapped.__bases__[-1].__name__} itself and wrap an instance of it."
            )

    def __new__(cls, *args: Any, **fields: Any) -> Any:
        """`type(w)(...)` and `type(w).from_dict(...)` make what `type(llm)` would: a plain LLM."""
        return cls.__bases__[-1](*args, **fields)

    def __init__(self, *args: Any, **fields: Any) -> None:
        """Leave the inner alone: `face(llm)` would have Python initialise what `wrap` returns."""

    def __del__(self) -> None:
        """Leave the inner alone: its `__del__` closes what it goes on using."""

    # -- state ------------------------------------------------------------------------------

    def __getattribute__(self, name: str) -> Any:
        """Read by the usual rules, with the inner's `__dict__` as the wrapper's.

        It is shared for good in most classes, but pydantic gives an object a new one when it
        validates an assignment, and when `__init__` runs again.
        """
        state = MODEL_DICT.__get__(_read(self, _INNER))
        if MODEL_DICT.__get__(self) is not state:
            MODEL_DICT.__set__(self, state)
        if name in state and (method := _of_face(type(self), name)):
            return method.__get__(self)  # it delegates to what somebody patched on the inner
        return super().__getattribute__(name)

    # Not by inheritance: the class may write into the `__dict__` that it had before the last one.
    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_read(self, _INNER), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_read(self, _INNER), name)

    # -- comparison -------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return inner_of(self) == inner_of(other)

    # -- copies -----------------------------------------------------------------------------

    def __copy__(self) -> Any:
        return _again(self, copy.copy(inner_of(self)))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        return _again(self, copy.deepcopy(inner_of(self), memo))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        face = type(self).__bases__[1]
        return wrap, (inner_of(self), face, _read(self, _OPTIONS))

    def copy(self, **how: Any) -> Any:
        """As pydantic's, which is deprecated: it would make an instance without an inner."""
        return _again(self, cast(Any, inner_of(self)).copy(**how))

    # -- pydantic ---------------------------------------------------------------------------

    @classmethod
    def model_construct(cls, *args: Any, **values: Any) -> Any:
        """A plain LLM, as `type(llm)` makes it."""
        return cast(Any, cls.__bases__[-1]).model_construct(*args, **values)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A field annotated `type(w)` takes and makes what one annotated `type(llm)` does."""
        return handler.generate_schema(cls.__bases__[-1])


class _Shared:
    """A slot of the inner's class, read and written on the inner."""

    def __init__(self, slot: MemberDescriptorType | GetSetDescriptorType) -> None:
        self.slot = slot

    def __get__(self, wrapped: Any, owner: type | None = None) -> Any:
        return self.slot if wrapped is None else self.slot.__get__(_read(wrapped, _INNER))

    def __set__(self, wrapped: Any, value: Any) -> None:
        self.slot.__set__(_read(wrapped, _INNER), value)

    def __delete__(self, wrapped: Any) -> None:
        self.slot.__delete__(_read(wrapped, _INNER))


def _hash(wrapped: Any) -> int:
    return hash(inner_of(wrapped))


def _again(wrapped: Any, inner: Any) -> LLM:
    """`inner`, wrapped as `wrapped` is."""
    return wrap(inner, type(wrapped).__bases__[1], options_of(wrapped))


def _of_face(cls: type, name: str) -> Any:
    """The method `name` of the face, unbound; None if it has none of its own."""
    found = (vars(base)[name] for base in cls.__bases__[1].__mro__[:-1] if name in vars(base))
    return next((method for method in found if hasattr(method, "__get__")), None)


def _class_of(face: type, inner_class: type) -> type:
    """Return the class of the wrappers of `inner_class`; make it if there is none."""
    with _making:
        key = id(face), id(inner_class)
        made = _classes.get(key)
        if made is None:
            made = _classes[key] = _made(face, inner_class)
        return made


def _made(face: type, inner_class: type) -> type:
    """Make the class whose instances have the methods of the face and the inner's state."""
    shared = {name: _Shared(slot) for name, slot in slots_of(inner_class).items()}
    hashed = None if inner_class.__hash__ is None else _hash
    body = {"__dict__": _Shared(MODEL_DICT), "__hash__": hashed, **shared}
    return quiet_subclass(inner_class, _Wrapped, face, slots=(_INNER, _OPTIONS), **body)


def _not_an_llm(given: object, face: type) -> str:
    if inspect.isclass(given) and issubclass(given, LLM):
        return f"{face.__name__} wraps an LLM, not a class of LLMs: pass {given.__name__}(...)"
    return (
        f"{face.__name__} wraps an LLM of LlamaIndex, an instance of llama_index.core.llms.LLM "
        f"such as OpenAI(...) or Settings.llm; this is of type {type(given).__name__}"
    )
