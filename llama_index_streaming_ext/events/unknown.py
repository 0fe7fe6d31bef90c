"""Events that this process has no class for."""

from __future__ import annotations

from llama_index_streaming_ext.events.upstream import Event


class UnknownEvent(Event):
    """A record whose kind this process does not know: its payload is kept, untouched.

    It comes out of the codec where a newer version, or a program with event classes of its own,
    wrote the record. Encoding it again gives the same kind and bytes.
    """

    kind: str
    """The kind that the record was written with."""
    data: bytes
    """The payload of the record, as it was written (JSON)."""
