"""A call, as it is recorded and looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM

from llama_index_streaming_ext.testing.cassette.format.fields import LLM_SETTINGS, REQUEST_KWARGS
from llama_index_streaming_ext.testing.cassette.format.values import Face, json_of, message_json
from llama_index_streaming_ext.testing.fake_llm.calls import Call


@dataclass(frozen=True)
class Asked:
    """One call of an LLM."""

    face: Face
    """The kind of the call: messages ("chat") or a prompt ("complete")."""
    stream: bool
    """True if the answer is to be streamed."""
    messages: tuple[ChatMessage, ...]
    """The messages of the request; a prompt is one message."""
    kwargs: dict[str, Any]
    """The keyword arguments of the request."""
    json: dict[str, Any]
    """The JSON of the request, made at the call because callers go on changing their history."""

    @classmethod
    def of(cls, face: Face, stream: bool, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Asked:
        """Read the arguments of an entry point.

        Args:
            face: which of both it is.
            stream: whether it streams.
            args: its positional arguments.
            kwargs: its keyword arguments.
        """
        rest = dict(kwargs)
        name = "messages" if face == "chat" else "prompt"
        asked = args[0] if args else rest.pop(name)
        messages = tuple(asked) if face == "chat" else (ChatMessage(str(asked)),)
        return cls(face, stream, messages, rest, _json(face, stream, messages, rest))

    def directly(self) -> Asked:
        """The same call, past the entry points of the LLM."""
        return replace(self, json={**self.json, "direct": True})

    def call(self) -> Call:
        """The record of this call."""
        return Call(self.messages, self.kwargs)


def _json(
    face: Face, stream: bool, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    given = {name: value for name, value in kwargs.items() if value is not None}
    written = {k: json_of(v) for k, v in sorted(given.items()) if k in REQUEST_KWARGS}
    said: dict[str, Any] = {"face": face, "stream": stream}
    if face == "complete":
        said["prompt"] = messages[0].content
    else:
        said["messages"] = [message_json(message, asked=True) for message in messages]
    left_out = sorted(k for k in given if k not in REQUEST_KWARGS)
    return said | {"kwargs": written} | ({"left_out": left_out} if left_out else {})


def llm_json(llm: LLM) -> dict[str, Any]:
    """Return the description of an LLM that a cassette keeps.

    Args:
        llm: the LLM.
    """
    fields: dict[str, Any] = vars(llm)
    settings = {name: fields.get(name) for name in sorted(LLM_SETTINGS)}
    given = {name: value for name, value in settings.items() if value is not None}
    return {
        "class_name": llm.class_name(),
        "metadata": _metadata(llm),
        "settings": json_of(given),
    }


def _metadata(llm: LLM) -> dict[str, Any]:
    try:
        said = llm.metadata.model_dump(mode="json", warnings=False)
    except ValueError:
        # Classes of providers do not know the context window of every model.
        said = {"model_name": getattr(llm, "model", "unknown")}
    return {name: value for name, value in said.items() if name in LLM_SETTINGS}
