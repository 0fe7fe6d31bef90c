"""A list in which other objects stand for some; what is changed in it, is changed in the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _changing(name: str) -> Callable[..., Any]:
    """A method that changes both: the list that is stood for, and then this one after it."""
    method = getattr(list, name)

    def change(self: SeenList, *args: Any, **kwargs: Any) -> Any:
        result = method(self.there, *map(self.given, args), **kwargs)
        self.follow()
        # Those that change the list in place give it back.
        return self if result is self.there else result

    change.__name__ = change.__qualname__ = name
    return change


class SeenList(list[Any]):
    """What stands for a list.

    Args:
        there: the list.
        seen: gives what is to stand for an object of the list.
        given: gives back what `seen` was given, also in lists of such objects.

    Example:
        >>> there = ["a", "b"]
        >>> seen = SeenList(there, str.upper, str.lower)
        >>> seen.append("C")
        >>> seen, there
        (['A', 'B', 'C'], ['a', 'b', 'c'])
    """

    __slots__ = ("given", "seen", "there")

    def __init__(
        self, there: list[Any], seen: Callable[[Any], Any], given: Callable[[Any], Any]
    ) -> None:
        super().__init__()
        self.there = there
        self.seen = seen
        self.given = given
        self.follow()

    def follow(self) -> None:
        """Have what the list has by now."""
        super().__setitem__(slice(None), list(map(self.seen, self.there)))

    append = _changing("append")
    clear = _changing("clear")
    extend = _changing("extend")
    insert = _changing("insert")
    pop = _changing("pop")
    remove = _changing("remove")
    reverse = _changing("reverse")
    sort = _changing("sort")
    __delitem__ = _changing("__delitem__")
    __iadd__ = _changing("__iadd__")
    __imul__ = _changing("__imul__")
    __setitem__ = _changing("__setitem__")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copied deeply, and pickled, it is the list."""
        return list, (self.there,)

    def __copy__(self) -> list[Any]:
        """A list of its own, of what there is to be seen."""
        return list(self)
