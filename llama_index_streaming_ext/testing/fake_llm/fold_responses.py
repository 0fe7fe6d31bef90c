"""Events of the Responses API, added up as `OpenAIResponses` of LlamaIndex adds them up."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ContentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llama_index_streaming_ext.testing.fake_llm.provider_types import (
    copied,
    dump,
    get,
    put,
    response,
    response_event,
    stream_error,
)

_BUILT_IN = {
    "code_interpreter_call",
    "mcp_call",
    "file_search_call",
    "web_search_call",
    "computer_call",
}


class ResponsesFold:
    """The sum of the events of one answer. Blocks are those of the event, not cumulative.

    Args:
        faithful: whether the defects of the real class are there too: arguments go to the call
            that began last, and chunks that a reader holds change later.
    """

    def __init__(self, *, faithful: bool = True) -> None:
        self._faithful = faithful
        self._extra: dict[str, Any] = {"built_in_tool_calls": []}
        self._calls: dict[object, Any] = {}
        self._built_ins: list[Any] = []
        self._readers: Mapping[str, Callable[[Any], Sequence[ContentBlock]]] = {
            "response.output_item.added": self._added,
            "response.output_text.delta": self._text,
            "response.image_generation_call.partial_image": self._image,
            "response.function_call_arguments.delta": self._arguments,
            "response.function_call_arguments.done": self._called,
            "response.output_text.annotation.added": self._annotation,
            "response.file_search_call.completed": self._built_in,
            "response.web_search_call.completed": self._built_in,
            "response.output_item.done": self._done,
            "response.completed": self._completed,
        }

    def feed(self, data: dict[str, Any]) -> ChatResponse:
        """Read one event.

        Args:
            data: its payload.

        Returns:
            What the real class yields for it.

        Raises:
            Exception: the payload is an error object (openai's `APIError`).
        """
        if data.get("error"):
            raise stream_error(data)
        event = response_event(data)
        kind = get(event, "type")
        read = self._readers.get(str(kind))
        blocks = list(read(event)) if read else []
        delta = get(event, "delta") if kind == "response.output_text.delta" else ""
        return ChatResponse(
            message=ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks),
            delta=delta,
            raw=event,
            additional_kwargs=self._extra if self._faithful else _unshared(self._extra),
        )

    def _key(self, event: Any) -> object:
        return None if self._faithful else get(event, "output_index")

    def _added(self, event: Any) -> Sequence[ContentBlock]:
        item = get(event, "item")
        if get(item, "type") == "function_call":
            self._calls[self._key(event)] = item if self._faithful else copied(item)
        return ()

    def _text(self, event: Any) -> Sequence[ContentBlock]:
        return (TextBlock(text=get(event, "delta")),)

    def _arguments(self, event: Any) -> Sequence[ContentBlock]:
        if call := self._calls.get(self._key(event)):
            put(call, "arguments", get(call, "arguments") + get(event, "delta"))
        return ()

    def _called(self, event: Any) -> Sequence[ContentBlock]:
        call = self._calls.pop(self._key(event), None)
        if call is None:
            return ()
        put(call, "arguments", get(event, "arguments"))
        put(call, "status", "completed")
        return (_call_block(call),)

    def _image(self, event: Any) -> Sequence[ContentBlock]:
        partial = get(event, "partial_image_b64")
        if not partial:
            return ()
        detail = f"id_{get(event, 'partial_image_index')}"
        return (ImageBlock(image=base64.b64decode(partial), detail=detail),)

    def _annotation(self, event: Any) -> Sequence[ContentBlock]:
        self._extra.setdefault("annotations", []).append(get(event, "annotation"))
        return ()

    def _built_in(self, event: Any) -> Sequence[ContentBlock]:
        self._built_ins.append(event)
        self._extra["built_in_tool_calls"] = self._built_ins
        return ()

    def _done(self, event: Any) -> Sequence[ContentBlock]:
        item = get(event, "item")
        return (_thinking_block(item),) if get(item, "type") == "reasoning" else ()

    def _completed(self, event: Any) -> Sequence[ContentBlock]:
        said = get(event, "response")
        self._extra["usage"] = get(said, "usage")
        return fold_output(get(said, "output"), faithful=self._faithful).message.blocks


def fold_response(
    data: dict[str, Any], *, faithful: bool = True, is_async: bool = False
) -> ChatResponse:
    """Read an answer that was not streamed.

    Args:
        data: the JSON body.
        faithful: whether the defects of the real class are there too: its async face does not
            count the tokens of the reasoning.
        is_async: whether this is the async face.
    """
    raw = response(data)
    answer = fold_output(get(raw, "output"), faithful=faithful)
    answer.raw = raw
    usage = get(raw, "usage")
    answer.additional_kwargs |= {"usage": usage}  # pyright: ignore[reportUnknownMemberType]
    if faithful and is_async:
        return answer
    if faithful and usage is None:
        # Here the real class stumbles, in its sync face only.
        raise AttributeError("'NoneType' object has no attribute 'output_tokens_details'")
    for block in answer.message.blocks:
        if isinstance(block, ThinkingBlock):
            block.num_tokens = get(get(usage, "output_tokens_details"), "reasoning_tokens")
    return answer


def fold_output(output: Sequence[Any], *, faithful: bool = True) -> ChatResponse:
    """Read the items of an answer.

    Args:
        output: the items.
        faithful: whether, as in the real class, a message after another repeats its text.
    """
    blocks: list[ContentBlock] = []
    said: list[ContentBlock] = []
    extra: dict[str, Any] = {"built_in_tool_calls": []}
    for item in output:
        kind = get(item, "type")
        if kind == "message":
            said = said if faithful else []
            said += _message_blocks(item, extra)
            blocks += said
        elif kind == "image_generation_call":
            said += _image_blocks(item, extra)
        elif kind == "function_call":
            blocks.append(_call_block(item))
        elif kind == "reasoning":
            blocks.append(_thinking_block(item))
        elif kind in _BUILT_IN:
            extra["built_in_tool_calls"].append(item)
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks)
    return ChatResponse(message=message, additional_kwargs=extra)


def _message_blocks(item: Any, extra: dict[str, Any]) -> list[ContentBlock]:
    blocks: list[ContentBlock] = []
    for part in get(item, "content"):
        if (text := get(part, "text")) is not None:
            blocks.append(TextBlock(text=text))
        for name in ("annotations", "refusal"):
            if (value := get(part, name)) is not None:
                extra[name] = value
    return blocks


def _image_blocks(item: Any, extra: dict[str, Any]) -> list[ContentBlock]:
    if get(item, "status") == "failed":
        return []
    extra["built_in_tool_calls"].append(item)
    result = get(item, "result")
    return [] if result is None else [ImageBlock(image=base64.b64decode(result))]


def _call_block(item: Any) -> ToolCallBlock:
    return ToolCallBlock(
        tool_name=get(item, "name"),
        tool_call_id=get(item, "call_id"),
        tool_kwargs=get(item, "arguments"),
    )


def _thinking_block(item: Any) -> ThinkingBlock:
    # Other servers than OpenAI's leave the summary out.
    said = [*(get(item, "content") or ()), *(get(item, "summary") or ())]
    texts = [get(part, "text") for part in said]
    rest = {k: v for k, v in _reasoning_fields(item).items() if k not in ("content", "summary")}
    return ThinkingBlock(content="\n".join(texts) if texts else None, additional_information=rest)


def _reasoning_fields(item: Any) -> dict[str, Any]:
    fields = dump(item)
    # openai's own type shows a field that was not sent as None.
    return {"encrypted_content": None, "status": None, **fields}


def _unshared(extra: dict[str, Any]) -> dict[str, Any]:
    return {k: cast("list[Any]", v)[:] if isinstance(v, list) else v for k, v in extra.items()}
