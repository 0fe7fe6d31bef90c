"""The events that the demo's workflow streams."""

from __future__ import annotations

from llama_index_streaming_ext.events import Event


class ProgressEvent(Event):
    """A message of a step that goes on."""

    msg: str


class TokenEvent(ProgressEvent):
    """A token of the LLM's answer. A class of its own, so that the demo can count them."""
