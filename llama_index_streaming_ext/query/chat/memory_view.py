"""The user's memory, seen so that the LLMs in it are asked as those of the query that uses it.

A memory is written to, by itself too, so a copy of it would forget. What a turn has instead shares
its state: an object of a class derived from the memory's, which reads and writes the attributes of
the memory, but finds other LLMs in them.
"""

from __future__ import annotations

import threading
import weakref
from abc import ABCMeta
from collections.abc import Callable
from functools import partial
from types import GetSetDescriptorType
from typing import Any, TypeVar, cast

from llama_index.core.llms import LLM
from llama_index.core.memory import BaseMemory, BaseMemoryBlock
from pydantic import BaseModel

from llama_index_streaming_ext.query.chat.seen_list import SeenList
from llama_index_streaming_ext.query.engine_copy.classes import CopyRule, copy_rule_of, is_part
from llama_index_streaming_ext.query.engine_copy.copy import copy_of, llms_of
from llama_index_streaming_ext.query.engine_copy.method_hooks import state_of
from llama_index_streaming_ext.query.llms.context_llm import unbound

Seen = Callable[[LLM], LLM]
"""Gives the LLM to be asked instead of one of a memory's."""

_T = TypeVar("_T")

_MEMORY, _SEEN = "__memory__", "__memory_seen__"
_KEPT: tuple[type, ...] = (BaseMemory, BaseMemoryBlock)
"""What is written to during a turn, and by itself."""

_SLOTS = ("__pydantic_private__", "__pydantic_extra__", "__pydantic_fields_set__")

_read, _write = object.__getattribute__, object.__setattr__
_own_dict = cast(GetSetDescriptorType, vars(BaseModel)["__dict__"])

_classes = weakref.WeakKeyDictionary[type, "weakref.ref[type]"]()
_making = threading.Lock()


def with_llms_seen(memory: _T, seen: Seen) -> _T:
    """A memory in which every LLM is `seen(llm)`; `memory` itself if there is none in it.

    Whatever it is told, or sets on itself, `memory` is told, or has. LLMs are found in attributes:
    of the memory, of memories and memory blocks in it, and of their parts.

    Args:
        memory: a memory.
        seen: gives the LLM to be asked instead of one.
    """
    return _view(_given(memory), seen) if _has_llms(memory, set()) else memory


def _has_llms(kept: Any, passed: set[int]) -> bool:
    # A block may know the memory that it is in.
    if id(kept) in passed:
        return False
    passed.add(id(kept))
    private: dict[str, Any] = kept.__pydantic_private__ or {}
    return any(_holds_llms(held, passed) for held in [*state_of(kept).values(), *private.values()])


def _holds_llms(held: Any, passed: set[int]) -> bool:
    if isinstance(held, list | tuple):
        several = cast("list[Any]", held)
        # A look at the classes alone is enough for a list of a thousand messages.
        classes: set[type] = set(map(type, several))
        return any(map(_may_hold_llms, classes)) and any(
            _holds_llms(one, passed) for one in several
        )
    if issubclass(_class(held), _KEPT):
        return _has_llms(held, passed)
    role = copy_rule_of(_class(held))
    return role is CopyRule.LLM or (is_part(role) and bool(llms_of(held)))


def _may_hold_llms(cls: type) -> bool:
    return issubclass(cls, _KEPT) or copy_rule_of(cls) is CopyRule.LLM or is_part(copy_rule_of(cls))


def _class(held: object) -> type:
    return type(held)


def _with_seen(held: Any, seen: Seen) -> Any:
    """What stands for something that a memory has in an attribute."""
    if not _holds_llms(held, set()):
        return held
    if isinstance(held, list | tuple):
        return _all_with_seen(cast("list[Any]", held), seen)
    if issubclass(_class(held), _KEPT):
        return _view(held, seen)
    return seen(held) if copy_rule_of(_class(held)) is CopyRule.LLM else copy_of(held, seen)


def _all_with_seen(several: list[Any], seen: Seen) -> Any:
    each = partial(_with_seen, seen=seen)
    return (
        tuple(map(each, several)) if isinstance(several, tuple) else SeenList(several, each, _given)
    )


def _given(held: Any) -> Any:
    """What a memory has where the turn has `held`, which is not to stay in the memory."""
    if isinstance(held, _View):
        return _read(held, _MEMORY)
    if isinstance(held, SeenList):
        return held.there
    if type(held) not in (list, tuple):
        return unbound(held)
    several = cast("list[Any]", held)
    back = [_given(one) for one in several]
    same = all(one is other for one, other in zip(several, back, strict=True))
    return several if same else type(several)(back)


def _view(kept: Any, seen: Seen) -> Any:
    view = cast(Any, object).__new__(_view_class(_class(kept)))
    _write(view, _MEMORY, kept)
    _write(view, _SEEN, seen)
    _own_dict.__set__(view, _own_dict.__get__(kept))
    for name in _SLOTS:
        # Pydantic's own state of a model stands beside its `__dict__`.
        _write(view, name, getattr(kept, name))
    return view


class _View:
    """What the stand-in of a memory does otherwise."""

    __slots__ = ()

    def __init_subclass__(cls, **_: Any) -> None:
        """Keep creation quiet: users' hooks register classes, or ask for arguments."""

    def __new__(cls, *args: Any, **fields: Any) -> Any:
        """`type(memory)(...)` makes what it would without us."""
        return cls.__bases__[-1](*args, **fields)

    def __getattribute__(self, name: str) -> Any:
        state = _own_dict.__get__(_read(self, _MEMORY))
        if _own_dict.__get__(self) is not state:
            # Pydantic gives an object a new one when it validates an assignment.
            _own_dict.__set__(self, state)
        if name in state:
            return _with_seen(state[name], _read(self, _SEEN))
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(_read(self, _MEMORY), name)
        return _with_seen(found, _read(self, _SEEN))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_read(self, _MEMORY), name, _given(value))

    def __delattr__(self, name: str) -> None:
        delattr(_read(self, _MEMORY), name)

    def __eq__(self, other: object) -> bool:
        return _read(self, _MEMORY) == other

    __hash__ = None  # pyright: ignore[reportAssignmentType] # as pydantic's models

    def __copy__(self) -> Any:
        return _read(self, _MEMORY).__copy__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        return _read(self, _MEMORY).__deepcopy__(memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _read(self, _MEMORY).__reduce_ex__(protocol)


def _view_class(cls: type) -> type:
    """The class of the stand-ins for memories of a class, which is made if there is none."""
    with _making:
        ref = _classes.get(cls)
        made = ref() if ref is not None else None
        if made is None:
            made = _made(cls)
            _classes[cls] = weakref.ref(made)
        return made


def _made(cls: type) -> type:
    """A new class, without pydantic's part in it: it would build a schema, and run hooks."""
    namespace = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__slots__": (_MEMORY, _SEEN),
    }
    return ABCMeta.__new__(type(cls), cls.__name__, (_View, cls), namespace)
