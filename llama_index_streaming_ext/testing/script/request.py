"""A call as a script sees it, the same from a fake LLM and over the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from llama_index_streaming_ext.testing.wire.items import Dialect

Message = dict[str, Any]
"""One message in the provider's form: `{"role": "user", "content": "hi"}`."""


@dataclass(frozen=True)
class Request:
    """One call of an LLM, as a script sees it.

    Example:
        >>> Request.from_body({"messages": [{"role": "user", "content": "hi"}]}).last
        'hi'
    """

    messages: tuple[Message, ...] = ()
    """The messages, in the provider's form; text content is a plain str."""
    tools: tuple[dict[str, Any], ...] = ()
    """The tools that the model may call, in the provider's form."""
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Everything else that was asked for, such as `tool_choice` or `stream_options`."""
    stream: bool = True
    """True if the answer is to be streamed."""
    number: int = 1
    """The number of the turn that answers this call, from 1: default tool call ids contain it."""
    dialect: Dialect = "chat"
    """The wire format of the call."""

    @property
    def text(self) -> str:
        """The text of all messages, one after the other."""
        return "\n".join(message_text(message) for message in self.messages)

    @property
    def last(self) -> str:
        """The text of the last message."""
        return message_text(self.messages[-1]) if self.messages else ""

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names of the tools that the model may call."""
        functions = (tool.get("function", tool) for tool in self.tools)
        return tuple(str(function.get("name", "")) for function in functions)

    @property
    def include_usage(self) -> bool:
        """True if the answer, if streamed in Chat Completions, is to end with its usage."""
        options = self.kwargs.get("stream_options")
        return isinstance(options, Mapping) and bool(
            cast("Mapping[str, Any]", options).get("include_usage")
        )

    @property
    def words(self) -> int:
        """The number of words of the messages, the default usage of a script's turn."""
        return len(re.findall(r"\S+", self.text))

    @classmethod
    def from_body(cls, body: Mapping[str, Any], dialect: Dialect = "chat") -> Request:
        """Read the JSON body of a request to the provider.

        Args:
            body: what the client sent.
            dialect: the wire format that it is in.
        """
        rest = {k: v for k, v in body.items() if k not in _NOT_KWARGS}
        return cls(
            messages=tuple(_messages(body, dialect)),
            tools=tuple(body.get("tools") or ()),
            kwargs=rest,
            stream=bool(body.get("stream")),
            dialect=dialect,
        )


_NOT_KWARGS = {"messages", "input", "instructions", "tools", "stream"}


def _messages(body: Mapping[str, Any], dialect: Dialect) -> Iterable[Message]:
    if dialect == "chat":
        yield from body.get("messages") or ()
        return
    if instructions := body.get("instructions"):
        yield {"role": "system", "content": instructions}
    given: str | list[Message] = body.get("input") or []
    yield from [{"role": "user", "content": given}] if isinstance(given, str) else given


def message_text(message: Message) -> str:
    """The text of a message, whose content may be a str, a list of parts or a tool's output."""
    content = message.get("content", message.get("output"))
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = cast("list[Any]", content)
    texts = (cast("Message", part).get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))
