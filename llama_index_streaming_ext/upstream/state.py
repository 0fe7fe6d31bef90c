"""Private attributes of other libraries' objects, read and written past properties and checks.

A file of this folder declares each attribute once, beside its fact and its canary:

    STREAMING = PrivateAttribute[bool]("_streaming")  # U38; tests/upstream/test_engine_flow.py

and the rest of the package uses it by that name: `STREAMING.of(engine)`.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


def state_of(obj: object) -> dict[str, Any]:
    """Return the attributes of an object, past its properties, setters and pydantic's checks."""
    return obj.__dict__


class PrivateAttribute(Generic[_T]):
    """Private attribute of a class of another library.

    Plain attributes and pydantic's private ones (`PrivateAttr`) are found alike.

    Args:
        name: the attribute's name, as the library spells it.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def of(self, obj: object) -> _T:
        """Return the value that an object has.

        Raises:
            AttributeError: the object has no such attribute.
        """
        try:
            return self._holder(obj)[self.name]
        except KeyError:
            message = f"{type(obj).__name__!r} object has no attribute {self.name!r}"
            raise AttributeError(message, name=self.name, obj=obj) from None

    def set(self, obj: object, value: _T) -> None:
        """Set the value on an object, past its setters."""
        self._holder(obj)[self.name] = value

    def is_on(self, obj: object) -> bool:
        """Return True if an object has the attribute."""
        return self.name in self._holder(obj)

    def _holder(self, obj: object) -> dict[str, Any]:
        state = state_of(obj)
        if self.name in state:
            return state
        private: dict[str, Any] = getattr(obj, "__pydantic_private__", None) or {}
        return private if self.name in private else state
