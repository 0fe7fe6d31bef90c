"""An event, to a record's kind and bytes, and back.

The kind is a short dotted name from an explicit registry; the bytes are compact JSON, one object
with the event's fields by name (how values are written: `codec.values`). A dynamic attribute
(`event.foo = 1`) is under `_data`, the result of a `StopEvent` under `_result`.

`AgentStream` is one token of thousands, so its keys are short, and `response` and `raw` are left
out: `response` is the sum of the deltas, and the reader of a log rebuilds it.

What is not written, because upstream says that it is not data: fields marked `exclude=True`
(`AgentOutput.raw`), and private attributes of users' classes (they come back with their defaults).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from json.encoder import encode_basestring as _quote
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from workflows.context.serializers import JsonSerializer
from workflows.events import UnreconstructedException

from llama_index_streaming_ext.codec.kinds import KINDS
from llama_index_streaming_ext.codec.restore import Malformed, Reader, new_model
from llama_index_streaming_ext.codec.values import Json, Unserialisable, Writer, qualified_name
from llama_index_streaming_ext.errors import UndecodableRecord, UnregisteredEvent
from llama_index_streaming_ext.events import AgentStream, Event, UnknownEvent, WorkflowFailedEvent

__all__ = [
    "Unserialisable",
    "decode",
    "encode",
    "register_event",
    "registered_events",
    "unserialisable",
]

_E = TypeVar("_E", bound=Event)

_UNREGISTERED = "?"
_TOKEN = "agent.stream"
# AgentStream's fields have short names, and these values of them are left out.
_EMPTY = {"delta": "", "response": "", "current_agent_name": "", "tool_calls": list[Any]()}
_SHORT = {
    "delta": "d",
    "response": "r",
    "current_agent_name": "a",
    "tool_calls": "c",
    "thinking_delta": "t",
}

_LONG = {short: name for name, short in _SHORT.items()}

_classes: dict[str, type[Event]] = {}
_kinds: dict[type[Event], str] = {}


# --- the registry --------------------------------------------------------------------------------


def register_event(cls: type[_E], kind: str) -> type[_E]:
    """Give an event class a kind, so that records of it can be read back as that class.

    Call it where the class is defined, in the program that writes and in each that reads. Stored
    records name the kind and not the class, which is then free to be moved or renamed.

    Args:
        cls: a subclass of `Event`. Its own subclasses need kinds of their own.
        kind: a short dotted name, such as `"shop.order_placed"`.

    Returns:
        The class.

    Raises:
        TypeError: `cls` is no class of events.
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
        raise ValueError(f"'{kind}' is no kind: use a dotted name, such as 'shop.order_placed'")
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
    """Give the class of each kind, sorted by kind; a copy."""
    return dict(sorted(_classes.items()))


for _cls, _kind in KINDS.items():
    register_event(_cls, _kind)


# --- writing -------------------------------------------------------------------------------------


def encode(event: Event, *, keep_response: bool = False, strict: bool = False) -> tuple[str, bytes]:
    """Give the kind and the bytes of an event. The same event gives the same bytes.

    It does not raise for what an event holds: a value that has no JSON form (U36) is replaced by
    a marker, which comes back as `Unserialisable`.

    Args:
        event: any event. One whose very class is not registered gets the kind `?module.Class`, and
            comes back as an `UnknownEvent`; an `UnknownEvent` gives its own kind and bytes.
        keep_response: keep the `response` of an `AgentStream`, as it came. `raw` is never kept.
        strict: raise for a class that is not registered.

    Returns:
        The kind and compact JSON in UTF-8.

    Raises:
        TypeError: it is no event.
        UnregisteredEvent: the class has no kind, and `strict` is set.
    """
    if type(event) is AgentStream and not keep_response:
        token = _encode_token(event)
        if token is not None:
            return _TOKEN, token
    if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"encode takes an event, not {type(event).__name__}: {event!r:.80}")
    if type(event) is UnknownEvent:
        return event.kind, event.data
    if strict and type(event) not in _kinds:
        raise UnregisteredEvent(type(event))
    return _kind_of(event), _dumps(_payload(Writer(event, _nested), event, keep_response))


def _kind_of(event: Event) -> str:
    return _kinds.get(type(event)) or _UNREGISTERED + qualified_name(type(event))


def _encode_token(event: AgentStream) -> bytes | None:
    """Give the bytes of an event that is text and nothing else, quickly; None for any other."""
    state = event.__dict__
    delta, agent = state.get("delta"), state.get("current_agent_name")
    if (
        type(delta) is not str
        or type(agent) is not str
        or not (delta and agent)
        or state.get("tool_calls")
        or state.get("thinking_delta") is not None
        or (event.__pydantic_private__ or {}).get("_data")
    ):
        return None
    try:
        return f'{{"d":{_quote(delta)},"a":{_quote(agent)}}}'.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def _payload(writer: Writer, event: Event, keep_response: bool = True) -> dict[str, Json]:
    written = writer.model_fields(event)
    if type(event) is not AgentStream:
        return written
    if not keep_response:
        written.pop("response", None)
    return {_SHORT.get(n, n): value for n, value in written.items() if value != _EMPTY.get(n)}


def _nested(writer: Writer, event: Event) -> Json:
    # A nested AgentStream keeps its response: no record before it has the deltas to rebuild it.
    if type(event) is UnknownEvent:
        return [event.kind, _loads(event.data)]
    return [_kind_of(event), _payload(writer, event)]


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_to_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def _dumps(data: Json) -> bytes:
    try:
        return _to_json(data).encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON has it as an escape, UTF-8 has not
        return _to_ascii(data).encode()


# --- reading -------------------------------------------------------------------------------------


def decode(kind: str, data: bytes) -> Event:
    """Give the event that was encoded.

    The event is restored, not made anew: neither its `__init__` nor its own validators run. An
    `AgentStream` that was written without its `response` has `response=""`: the reader of a log
    rebuilds it from the deltas. A `WorkflowFailedEvent` always has the dynamic attributes
    `exception_type`, `exception_message` and `traceback` (str).

    Args:
        kind: the kind that `encode` gave.
        data: the bytes that `encode` gave.

    Returns:
        An instance of the very class that has the kind; an `UnknownEvent` where none has.

    Raises:
        UndecodableRecord: the bytes are not JSON, or a field is missing or not of its type. Nothing
            else is raised, and nothing imported, whatever the bytes are.
    """
    if kind == _TOKEN and (token := _decode_token(data)) is not None:
        return token
    if kind not in _classes:
        return UnknownEvent(kind=kind, data=data)
    try:
        with _no_imports():
            return _read_event(Reader(_read_event), kind, _loads(data))
    except RecursionError as error:
        raise UndecodableRecord(kind, data, "it is nested too deeply") from error
    except Malformed as error:
        raise UndecodableRecord(kind, data, str(error)) from error


def _decode_token(data: bytes) -> AgentStream | None:
    """Give the event of `_encode_token`, quickly; None for any other bytes."""
    try:
        payload: Any = _scan(data.decode())
        delta, agent = payload["d"], payload["a"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if len(payload) != 2 or type(delta) is not str or type(agent) is not str:
        return None
    state: dict[str, Any] = {
        "delta": delta,
        "response": "",
        "current_agent_name": agent,
        "tool_calls": [],
        "raw": None,
        "thinking_delta": None,
    }
    if state.keys() != AgentStream.__pydantic_fields__.keys():
        return None  # a version of core that this function does not know
    return new_model(AgentStream, state, {"_data": {}})


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_scan = json.JSONDecoder(parse_constant=_refuse).decode


def _loads(data: bytes) -> Json:
    try:
        return _scan(data.decode())
    except ValueError as error:  # also UnicodeDecodeError, and a number with too many digits
        raise Malformed(f"it is no JSON ({error})") from error


def _read_event(reader: Reader, kind: str, payload: Json) -> Event:
    cls = _classes.get(kind)
    if cls is None:
        reader.stand_ins += 1
        return UnknownEvent(kind=kind, data=_dumps(payload))
    if cls is AgentStream and isinstance(payload, dict):
        members = cast("dict[str, Json]", payload)
        payload = _EMPTY | {_LONG.get(name, name): value for name, value in members.items()}
    event = reader.model(cls, payload)
    if isinstance(event, WorkflowFailedEvent):
        _name_failure(event)
    return event


def _name_failure(event: WorkflowFailedEvent) -> None:
    error = event.exception
    name = qualified_name(type(error))
    if isinstance(error, UnreconstructedException):
        name = error.original_type or name
    for attribute, value in (
        ("exception_type", name),
        ("exception_message", str(error)),
        ("traceback", ""),
    ):
        if attribute not in event:
            event[attribute] = value


def _closed_world() -> Callable[[], AbstractContextManager[None]]:
    """Give a context in which upstream's own validators import nothing either.

    No field of an event reaches them (`codec.values`), but a model of the user's may have a field
    that is annotated `SerializableException`. Older versions of upstream have no such switch.
    """
    try:
        return JsonSerializer(allowed_types=()).validation_context
    except (AttributeError, TypeError):
        return nullcontext


_no_imports = _closed_world()


def unserialisable(event: Event) -> dict[str, Unserialisable]:
    """Tell which values of a decoded event are not what they were, because JSON has none of them.

    Args:
        event: an event that `decode` gave.

    Returns:
        The stand-in by the path to it, such as `{"tool_output.raw_output": Unserialisable(...)}`;
        empty where everything was written. The result of a `StopEvent` is at `result`, dynamic
        attributes are at their names, the members of a list at their index.
    """
    return {".".join(path): lost for path, lost in _walk(event, ())}


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Unserialisable]]:
    if isinstance(value, Unserialisable):
        yield path, value
        return
    for name, member in _members(value):
        yield from _walk(member, (*path, name))


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        private = dict(value.__pydantic_private__ or {})
        dynamic = cast("dict[str, Any]", private.pop("_data", {}))
        named = value.__dict__ | dynamic | {name[1:]: held for name, held in private.items()}
        return named.items()
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        # a key may be lost as well as a value
        return [(str(key), part) for pair in pairs for key, part in ((pair[0], pair[0]), pair)]
    if isinstance(value, list | tuple | set | frozenset):
        return ((str(at), member) for at, member in enumerate(cast("list[Any]", value)))
    return ()
