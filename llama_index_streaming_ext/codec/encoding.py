"""The way out: an event to its kind and bytes."""

from __future__ import annotations

from llama_index_streaming_ext.codec.json_text import dumps, loads
from llama_index_streaming_ext.codec.registry import is_registered, kind_of
from llama_index_streaming_ext.codec.tokens import TOKEN, encode_token, shortened
from llama_index_streaming_ext.codec.values import Json, Writer
from llama_index_streaming_ext.errors import UnregisteredEvent
from llama_index_streaming_ext.events import AgentStream, Event, UnknownEvent


def encode(event: Event, *, keep_response: bool = False, strict: bool = False) -> tuple[str, bytes]:
    """Return the kind and the bytes of an event. The same event gives the same bytes.

    No value makes it fail: a value that has no JSON form is replaced by a marker, which comes
    back as `Unserialisable`.

    Args:
        event: any event. An event whose very class is not registered gets the kind
            `?module.Class` and comes back as an `UnknownEvent`; an `UnknownEvent` gives its own
            kind and bytes.
        keep_response: keep the `response` of an `AgentStream`, as it came. `raw` is never kept.
        strict: raise an error if the class is not registered.

    Returns:
        The kind, and compact JSON in UTF-8.

    Raises:
        TypeError: `event` is not an event.
        UnregisteredEvent: the class has no kind, and `strict` is set.

    Example:
        >>> encode(ToolProgress(tool_id="call_1", tool_name="search", message="page 2"))[0]
        'tool.progress'
    """
    if type(event) is AgentStream and not keep_response:
        token = encode_token(event)
        if token is not None:
            return TOKEN, token
    if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"encode takes an event, not {type(event).__name__}: {event!r:.80}")
    if type(event) is UnknownEvent:
        return event.kind, event.data
    if strict and not is_registered(type(event)):
        raise UnregisteredEvent(type(event))
    return kind_of(event), dumps(_payload(Writer(event, _nested), event, keep_response))


def _payload(writer: Writer, event: Event, keep_response: bool = True) -> dict[str, Json]:
    written = writer.model_fields(event)
    if type(event) is not AgentStream:
        return written
    if not keep_response:
        written.pop("response", None)
    return shortened(written)


def _nested(writer: Writer, event: Event) -> Json:
    # A nested AgentStream keeps its response: no record before it has the deltas to rebuild it.
    if type(event) is UnknownEvent:
        return [event.kind, loads(event.data)]
    return [kind_of(event), _payload(writer, event)]
