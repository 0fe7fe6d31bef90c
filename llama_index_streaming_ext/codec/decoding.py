"""The way in: a kind and bytes to the event."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from workflows.context.serializers import JsonSerializer
from workflows.events import UnreconstructedException

from llama_index_streaming_ext.codec.json_text import dumps, loads
from llama_index_streaming_ext.codec.registry import class_of
from llama_index_streaming_ext.codec.restore import Malformed, Reader
from llama_index_streaming_ext.codec.tokens import TOKEN, decode_token, lengthened
from llama_index_streaming_ext.codec.values import Json, qualified_name
from llama_index_streaming_ext.errors import UndecodableRecord
from llama_index_streaming_ext.events import AgentStream, Event, UnknownEvent, WorkflowFailedEvent


def decode(kind: str, data: bytes) -> Event:
    """Return the event that was encoded.

    The event is restored, not made anew: neither its `__init__` nor its own validators run. An
    `AgentStream` that was written without its `response` has `response=""`: the reader of a log
    rebuilds it from the deltas. A `WorkflowFailedEvent` always has the dynamic attributes
    `exception_type`, `exception_message` and `traceback` (str).

    Args:
        kind: the kind that `encode` gave.
        data: the bytes that `encode` gave.

    Returns:
        An instance of the very class that has the kind; an `UnknownEvent` if no class has it.

    Raises:
        UndecodableRecord: the bytes are not JSON, or a field is missing or not of its type. No
            other error is raised, and nothing is imported, whatever the bytes are.

    Example:
        >>> decode("agent.stream", b'{"d":"Hello","a":"Agent"}').delta
        'Hello'
    """
    if kind == TOKEN and (token := decode_token(data)) is not None:
        return token
    if class_of(kind) is None:
        return UnknownEvent(kind=kind, data=data)
    try:
        with _no_imports():
            return _read_event(Reader(_read_event), kind, loads(data))
    except RecursionError as error:
        raise UndecodableRecord(kind, data, "it is nested too deeply") from error
    except Malformed as error:
        raise UndecodableRecord(kind, data, str(error)) from error


def _read_event(reader: Reader, kind: str, payload: Json) -> Event:
    cls = class_of(kind)
    if cls is None:
        reader.stand_ins += 1
        return UnknownEvent(kind=kind, data=dumps(payload))
    if cls is AgentStream and isinstance(payload, dict):
        payload = lengthened(cast("dict[str, Json]", payload))
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
    """Return a context in which upstream's own validators import nothing either.

    No field of an event reaches them (`codec.values`), but a model of the user's may have a field
    that is annotated `SerializableException`. Older versions of upstream have no such switch.
    """
    try:
        return JsonSerializer(allowed_types=()).validation_context
    except (AttributeError, TypeError):
        return nullcontext


_no_imports = _closed_world()
