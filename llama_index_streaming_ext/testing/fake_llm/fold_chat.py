"""Chunks of Chat Completions, added up as `llama_index.llms.openai.OpenAI` adds them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ContentBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llama_index_streaming_ext.testing.fake_llm.provider_types import (
    chat_chunk,
    chat_completion,
    copied,
    get,
    put,
    stream_error,
)


class ChatFold:
    """The sum of the chunks of one answer.

    Args:
        faithful: whether the defects of the real class are there too: its async
            face drops a first chunk with neither content nor tool calls, only the first call of
            a delta is read, and chunks that a reader holds change later.
        is_async: whether this is the async face.
    """

    def __init__(self, *, faithful: bool = True, is_async: bool = False) -> None:
        self._calls = _FirstOfDelta() if faithful else _EveryOfDelta()
        self._may_drop = faithful and is_async
        self._content = ""
        self._reasoning = ""

    def feed(self, data: dict[str, Any]) -> ChatResponse | None:
        """Read one chunk.

        Args:
            data: its payload.

        Returns:
            What the real class yields for it; None where that yields nothing.

        Raises:
            Exception: the payload is an error object (openai's `APIError`).
        """
        if data.get("error"):
            raise stream_error(data)
        raw = chat_chunk(data)
        choices = get(raw, "choices")
        delta: Any = get(choices[0], "delta") if len(choices) else {}
        dropped = self._first() and len(choices) and _says_nothing(delta)
        if dropped or delta is None:
            return None
        return self._response(raw, delta)

    def _first(self) -> bool:
        first, self._may_drop = self._may_drop, False
        return first

    def _response(self, raw: Any, delta: Any) -> ChatResponse:
        content, reasoning = get(delta, "content") or "", _reasoning(delta) or ""
        self._content += content
        self._reasoning += reasoning
        calls = self._calls.add(get(delta, "tool_calls"))
        extra: dict[str, Any] = token_counts(get(raw, "usage"))
        if reasoning:
            extra["thinking_delta"] = reasoning
        message = ChatMessage(
            role=get(delta, "role") or MessageRole.ASSISTANT,
            blocks=self._blocks(calls),
            additional_kwargs={"tool_calls": calls} if calls else {},
        )
        return ChatResponse(message=message, delta=content, raw=raw, additional_kwargs=extra)

    def _blocks(self, calls: Sequence[Any]) -> list[ContentBlock]:
        blocks: list[ContentBlock] = []
        if self._reasoning:
            blocks.append(ThinkingBlock(content=self._reasoning))
        blocks.append(TextBlock(text=self._content))
        return blocks + _call_blocks(calls)


class _FirstOfDelta:
    """The sum of tool calls as the real class makes it: in the objects of the chunks themselves."""

    def __init__(self) -> None:
        self._calls: list[Any] = []

    def add(self, deltas: Sequence[Any] | None) -> list[Any]:
        if not deltas:
            return self._calls
        said = deltas[0]
        if self._calls and get(self._calls[-1], "index") == get(said, "index"):
            _grow(self._calls[-1], said)
        else:
            self._calls.append(said)
        return self._calls


class _EveryOfDelta:
    """The sum of every call of every delta, in copies."""

    def __init__(self) -> None:
        self._calls: dict[Any, Any] = {}

    def add(self, deltas: Sequence[Any] | None) -> list[Any]:
        for said in deltas or ():
            index = get(said, "index")
            if index in self._calls:
                _grow(self._calls[index], said)
            else:
                self._calls[index] = copied(said)
        return [copied(call) for call in self._calls.values()]


def _grow(call: Any, said: Any) -> None:
    function, more = get(call, "function"), get(said, "function")
    assert function is not None
    assert more is not None
    for holder, addition, name in (
        (function, more, "arguments"),
        (function, more, "name"),
        (call, said, "id"),
    ):
        # As the real class adds, whose error names the operator where one of them is no text.
        grown = get(holder, name) or ""
        grown += get(addition, name) or ""
        put(holder, name, grown)


def _call_blocks(calls: Sequence[Any]) -> list[ContentBlock]:
    made: list[ContentBlock] = []
    for call in calls:
        if function := get(call, "function"):
            made.append(
                ToolCallBlock(
                    tool_call_id=get(call, "id"),
                    tool_name=get(function, "name") or "",
                    tool_kwargs=get(function, "arguments") or {},
                )
            )
    return made


def _says_nothing(delta: Any) -> bool:
    if delta is None:
        # Here the real class stumbles, in its async face only.
        raise AttributeError("'NoneType' object has no attribute 'content'")
    return get(delta, "content") is None and get(delta, "tool_calls") is None


def _reasoning(said: Any) -> str | None:
    for name in ("reasoning_content", "reasoning"):
        if isinstance(found := get(said, name), str):
            return found
    return None


def token_counts(usage: Any) -> dict[str, Any]:
    """The token counts that the real class puts into `additional_kwargs`."""
    return {} if usage is None else {name: get(usage, name) for name in _COUNTS}


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def fold_chat(data: dict[str, Any]) -> ChatResponse:
    """Read an answer that was not streamed.

    Args:
        data: the JSON body.
    """
    raw = chat_completion(data)
    choice = get(raw, "choices")[0]
    return ChatResponse(
        message=_message(get(choice, "message")),
        raw=raw,
        logprobs=_logprobs(get(choice, "logprobs")),
        additional_kwargs=token_counts(get(raw, "usage")),
    )


def _message(said: Any) -> ChatMessage:
    blocks: list[ContentBlock] = []
    if reasoning := _reasoning(said):
        blocks.append(ThinkingBlock(content=reasoning))
    if content := get(said, "content"):
        blocks.append(TextBlock(text=content))
    calls: list[Any] = get(said, "tool_calls") or []
    extra = {"tool_calls": calls} if calls else {}
    return ChatMessage(
        role=get(said, "role"), blocks=blocks + _call_blocks(calls), additional_kwargs=extra
    )


def _logprobs(said: Any) -> list[list[LogProb]] | None:
    tokens = get(said, "content") if said else None
    if not tokens:
        return None
    tops = [get(token, "top_logprobs") for token in tokens]
    return [[_logprob(choice) for choice in top] for top in tops if top]


def _logprob(said: Any) -> LogProb:
    token, logprob = get(said, "token"), get(said, "logprob")
    return LogProb(token=token, logprob=logprob, bytes=get(said, "bytes") or [])


def one_call_only(answer: ChatResponse) -> None:
    """Keep the first tool call, as the real class does where parallel calls are not allowed."""
    blocks = answer.message.blocks
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    if len(calls) > 1:
        others = [block for block in blocks if not isinstance(block, ToolCallBlock)]
        answer.message.blocks = [*others, calls[0]]
