"""Conversion of an event to a record's kind and bytes, and back.

The kind is a short dotted name from an explicit registry; the bytes are compact JSON, one object
with the event's fields by name (`codec.values` says how each value is written). A dynamic
attribute (`event.foo = 1`) is under `_data`, the result of a `StopEvent` under `_result`.

`AgentStream` is one token of thousands, so its keys are short, and `response` and `raw` are left
out: `response` is the sum of the deltas, and the reader of a log rebuilds it.

Two things are not written, because upstream says that they are no data: fields marked
`exclude=True` (`AgentOutput.raw`), and private attributes of users' classes (they come back with
their defaults).
"""

from __future__ import annotations

from llama_index_streaming_ext.codec.decoding import decode
from llama_index_streaming_ext.codec.encoding import encode
from llama_index_streaming_ext.codec.losses import unserialisable
from llama_index_streaming_ext.codec.registry import register_event, registered_events
from llama_index_streaming_ext.codec.values import Unserialisable

__all__ = [
    "Unserialisable",
    "decode",
    "encode",
    "register_event",
    "registered_events",
    "unserialisable",
]
