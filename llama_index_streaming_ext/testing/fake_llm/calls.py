"""The record of a call of a fake LLM, and of the end of its answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from typing import Any, Literal, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock

from llama_index_streaming_ext.testing.script.failures import Template
from llama_index_streaming_ext.testing.script.request import Message, Request
from llama_index_streaming_ext.testing.wire.items import Dialect

Ending: TypeAlias = "Literal['finished', 'GeneratorExit', 'CancelledError'] | BaseException | None"
"""The end of an answer: "finished", closed or cancelled by its reader, an error; None: not yet."""


class Call:
    """One call of a fake LLM.

    Times are those of the running event loop, or else of `time.monotonic()`, in seconds.

    Attributes:
        messages: what was asked.
        tools: the tools that were offered, in the provider's form.
        kwargs: everything else that was passed.
        started: when the request was made: for a stream, at its first `next()`.
        first_chunk: when the first chunk was handed out, or None before that.
        chunks: how many chunks were produced.
        requests: how many requests the provider would have seen: more than 1 after a retry.
        closed_by: None while the answer is open; "finished" if all of it was read;
            "GeneratorExit" if it was closed before, "CancelledError" if its task was cancelled;
            else the error that it raised.

    Example:
        >>> call = llm.calls[0]
        >>> await call.ended()
        'CancelledError'
    """

    def __init__(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> None:
        self.messages: list[ChatMessage] = [_kept(message) for message in messages]
        self.tools: list[dict[str, Any]] = list(kwargs.get("tools") or ())
        self.kwargs = {name: value for name, value in kwargs.items() if name != "tools"}
        self.started = _now()
        self.first_chunk: float | None = None
        self.chunks = 0
        self.requests = 0
        self.closed_by: Ending = None
        self._over = _future()

    async def ended(self) -> Ending:
        """Wait until the answer is closed, in any thread.

        Returns:
            `closed_by`.
        """
        await asyncio.wrap_future(self._over)
        return self.closed_by

    def produced(self) -> None:
        """Note one more chunk."""
        self.chunks += 1
        if self.first_chunk is None:
            self.first_chunk = _now()

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        """Note the end of the answer, which happens in the block."""
        try:
            yield
        except GeneratorExit:
            self._end("GeneratorExit")
            raise
        except asyncio.CancelledError:
            self._end("CancelledError")
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._end("finished")

    def _end(self, how: Ending) -> None:
        self.closed_by = how
        self._over.set_result(None)

    def __repr__(self) -> str:
        asked = self.messages[-1].content if self.messages else ""
        return f"<Call {asked!r}: {self.chunks} chunks, closed by {self.closed_by!r}>"

    def __getstate__(self) -> dict[str, Any]:
        how = self.closed_by
        template = Template(how) if isinstance(how, BaseException) else None
        return {**vars(self), "_over": self._over.done(), "closed_by": template or how}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        over, self._over = state["_over"], _future()
        if over:
            self._over.set_result(None)
        if isinstance(self.closed_by, Template):
            self.closed_by = self.closed_by()


def _future() -> Future[None]:
    future: Future[None] = Future()
    # Running, or else cancelling one who awaits it would cancel it for all.
    future.set_running_or_notify_cancel()
    return future


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


def _kept(message: ChatMessage) -> ChatMessage:
    """A message that stays what it is now: callers go on writing in their history."""
    lists = {"blocks": list(message.blocks), "additional_kwargs": dict(message.additional_kwargs)}
    return message.model_copy(update=lists)


def request_of(
    messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool, dialect: Dialect
) -> Request:
    """A call as a script sees it.

    Args:
        messages: what is asked.
        kwargs: what is passed beside.
        stream: whether the answer is to be streamed.
        dialect: the wire format that the fake speaks.
    """
    return Request(
        messages=tuple(_as_sent(message) for message in messages),
        tools=tuple(kwargs.get("tools") or ()),
        kwargs={name: value for name, value in kwargs.items() if name != "tools"},
        stream=stream,
        dialect=dialect,
    )


def _as_sent(message: ChatMessage) -> Message:
    sent: Message = {"role": message.role.value, "content": message.content}
    calls = [_call_as_sent(b) for b in message.blocks if isinstance(b, ToolCallBlock)]
    if calls:
        sent["tool_calls"] = calls
    elif sent["content"] is None:
        sent["content"] = ""  # as the real class sends a message without text
    if message.role == MessageRole.TOOL:
        sent["tool_call_id"] = message.additional_kwargs.get("tool_call_id")
    return sent


def _call_as_sent(block: ToolCallBlock) -> dict[str, Any]:
    function = {"name": block.tool_name, "arguments": block.tool_kwargs}
    return {"type": "function", "id": block.tool_call_id, "function": function}
