"""The registry: one kind for each class of events."""

from __future__ import annotations

from typing import TypeVar

from llama_index_streaming_ext.codec.kinds import KINDS
from llama_index_streaming_ext.codec.values import qualified_name
from llama_index_streaming_ext.events import Event

_E = TypeVar("_E", bound=Event)

_UNREGISTERED = "?"

_classes: dict[str, type[Event]] = {}
_kinds: dict[type[Event], str] = {}


def register_event(cls: type[_E], kind: str) -> type[_E]:
    """Give an event class a kind, so that its records can be read back as that class.

    Call it where the class is defined, in the program that writes and in each that reads. Stored
    records name the kind and not the class, which is then free to be moved or renamed.

    Args:
        cls: a subclass of `Event`. Its own subclasses need kinds of their own.
        kind: a short dotted name, such as `"shop.order_placed"`.

    Returns:
        The class.

    Raises:
        TypeError: `cls` is not a class of events.
        ValueError: the kind is taken by another class, or the class has another kind. Doing the
            same twice is fine, and so is a new class with the qualified name of the old one, as
            when a notebook cell is run again: the new class then takes its place.

    Example:
        >>> class OrderPlaced(Event):
        ...     order_id: str
        >>> _ = register_event(OrderPlaced, "shop.order_placed")
    """
    if not (isinstance(cls, type) and issubclass(cls, Event)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"register_event takes a subclass of Event and then its kind, not {cls!r}: "
            "register_event(OrderPlaced, 'shop.order_placed')"
        )
    if not kind or kind.startswith(_UNREGISTERED):
        raise ValueError(f"'{kind}' is not a kind: use a dotted name, such as 'shop.order_placed'")
    holder = _classes.get(kind)
    if holder is not None and qualified_name(holder) != qualified_name(cls):
        raise ValueError(
            f"The kind '{kind}' is taken by {qualified_name(holder)}: "
            f"choose another for {qualified_name(cls)}"
        )
    if _kinds.get(cls, kind) != kind:
        raise ValueError(
            f"{qualified_name(cls)} already has the kind '{_kinds[cls]}': "
            f"stored records name it, so it cannot become '{kind}'"
        )
    _classes[kind] = cls
    _kinds[cls] = kind
    return cls


def registered_events() -> dict[str, type[Event]]:
    """Return the class of each kind, sorted by kind, in a new dict."""
    return dict(sorted(_classes.items()))


def class_of(kind: str) -> type[Event] | None:
    """Return the class that has a kind, or None if no class has it."""
    return _classes.get(kind)


def is_registered(cls: type[Event]) -> bool:
    """Return True if this very class has a kind."""
    return cls in _kinds


def kind_of(event: Event) -> str:
    """Return the kind of an event; `?module.Class` if its class is not registered."""
    return _kinds.get(type(event)) or _UNREGISTERED + qualified_name(type(event))


for _cls, _kind in KINDS.items():
    register_event(_cls, _kind)
