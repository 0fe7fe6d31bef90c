"""What the OpenAI classes make of a provider's stream, chunk by chunk."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai.utils import (
    to_openai_message_dicts,  # pyright: ignore[reportUnknownVariableType]
)

Data = dict[str, Any]
ASK = [ChatMessage(role="user", content="Hi")]
ITEM: Data = {"type": "function_call", "id": "f", "call_id": "1", "name": "a"}


def _llm(cls: type[OpenAI] | type[OpenAIResponses], body: str) -> FunctionCallingLLM:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})

    transport = httpx.MockTransport(answer)
    return cls(
        model="gpt-4o-mini",
        api_key="not-a-key",
        http_client=httpx.Client(transport=transport),
        async_http_client=httpx.AsyncClient(transport=transport),
    )


def chat(*deltas: Data) -> FunctionCallingLLM:
    """`OpenAI`, to which these deltas are sent."""
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = ({**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas)
    return _llm(OpenAI, "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n\n")


def responses(*events: Data) -> FunctionCallingLLM:
    """`OpenAIResponses`, to which these events are sent."""
    body = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
    return _llm(OpenAIResponses, "".join(body))


def piece(index: int, arguments: str, **head: Any) -> Data:
    """A piece of a tool call."""
    function = {"arguments": arguments} | ({"name": head.pop("name")} if "name" in head else {})
    return {"index": index, "function": function, **head}


def calls(*pieces: Data) -> Data:
    """A delta with pieces of tool calls."""
    return {"tool_calls": list(pieces)}


def begins(index: int, tool_id: str, name: str, arguments: str = "") -> Data:
    """The first piece of a tool call."""
    return piece(index, arguments, id=tool_id, type="function", name=name)


def kinds(chunk: ChatResponse) -> list[str]:
    """The types of the blocks of a chunk."""
    return [block.block_type for block in chunk.message.blocks]


def tool_blocks(chunk: ChatResponse) -> list[tuple[str | None, str, object]]:
    """The tool calls in the blocks of a chunk."""
    return [
        (block.tool_call_id, block.tool_name, block.tool_kwargs)
        for block in chunk.message.blocks
        if isinstance(block, ToolCallBlock)
    ]


def test_u70_chat_chunks_are_cumulative() -> None:
    """U70: every chunk has its blocks in one order, a text even if empty, and a delta."""
    llm = chat(
        {"reasoning_content": "Hm"}, {"content": "So"}, calls(begins(0, "1", "a")), {"content": "."}
    )
    chunks = list(llm.stream_chat(ASK))
    assert [kinds(chunk) for chunk in chunks] == [
        ["thinking", "text"],
        ["thinking", "text"],
        ["thinking", "text", "tool_call"],
        ["thinking", "text", "tool_call"],
    ]
    assert [chunk.delta for chunk in chunks] == ["", "So", "", "."]
    assert chunks[-1].message.content == "So."


def test_u70_reasoning_is_in_additional_kwargs() -> None:
    """U70: what a chunk adds to the reasoning is in `additional_kwargs`, and only if it does."""
    chunks = list(chat({"reasoning_content": "Hm"}, {"content": "So"}).stream_chat(ASK))
    assert [cast("Data", c.additional_kwargs) for c in chunks] == [{"thinking_delta": "Hm"}, {}]  # pyright: ignore[reportUnknownMemberType]


def test_u70_arguments_begin_as_a_dict_and_grow_as_text() -> None:
    """U70: `tool_kwargs` is `{}` at first and then the text so far."""
    llm = chat(calls(begins(0, "1", "a")), calls(piece(0, "{")), calls(piece(0, "}")))
    shown = [tool_blocks(chunk)[0][2] for chunk in llm.stream_chat(ASK)]
    assert shown == [{}, "{", "{}"]


async def test_u71_the_async_class_drops_a_first_chunk_with_reasoning() -> None:
    """U71: a first chunk with neither content nor tool calls is not yielded, in tasks only."""
    deltas = {"reasoning_content": "Hm"}, {"reasoning_content": "m"}, {"content": "So"}
    sync = list(chat(*deltas).stream_chat(ASK))
    in_task = [chunk async for chunk in await chat(*deltas).astream_chat(ASK)]
    thoughts = [chunks[-1].message.blocks[0] for chunks in (sync, in_task)]
    assert [cast("ThinkingBlock", block).content for block in thoughts] == ["Hmm", "m"]


def test_u72_the_second_call_of_a_delta_is_lost() -> None:
    """U72: of two calls in one delta only the first is read; the raw chunk has both."""
    chunk = list(chat(calls(begins(0, "1", "a"), begins(1, "2", "b"))).stream_chat(ASK))[-1]
    assert tool_blocks(chunk) == [("1", "a", {})]
    assert [call.id for call in cast("Any", chunk.raw).choices[0].delta.tool_calls] == ["1", "2"]


def test_u72_interleaved_calls_make_a_nameless_one() -> None:
    """U72: a piece of an earlier call becomes a call without name and id."""
    llm = chat(calls(begins(0, "1", "a")), calls(begins(1, "2", "b")), calls(piece(0, "{}")))
    assert tool_blocks(list(llm.stream_chat(ASK))[-1])[-1] == (None, "", "{}")


def test_u72_one_index_for_two_calls_adds_them_up() -> None:
    """U72: calls with the same index are one whose id, name and arguments are both."""
    llm = chat(calls(begins(0, "1", "a", "{}")), calls(begins(0, "2", "b", "{}")))
    assert tool_blocks(list(llm.stream_chat(ASK))[-1]) == [("12", "ab", "{}{}")]


def test_u73_later_arguments_are_written_into_earlier_chunks() -> None:
    """U73: the raw chunk that began a call, and the list in the message, change later."""
    stream = chat(calls(begins(0, "1", "a", "{")), calls(piece(0, "}"))).stream_chat(ASK)
    first = next(stream)
    at_raw = cast("Any", first.raw).choices[0].delta.tool_calls[0].function
    in_message = first.message.additional_kwargs["tool_calls"][0].function
    assert (at_raw.arguments, in_message.arguments) == ("{", "{")
    next(stream)
    assert (at_raw.arguments, in_message.arguments) == ("{}", "{}")
    assert tool_blocks(first) == [("1", "a", "{")]


def test_u73_responses_arguments_are_written_into_the_item_that_began_them() -> None:
    """U73: the raw event that began a call changes later."""
    stream = responses(
        {"type": "response.output_item.added", "item": {**ITEM, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "delta": "{"},
    ).stream_chat(ASK)
    item = cast("Any", next(stream).raw).item
    assert item.arguments == ""
    next(stream)
    assert item.arguments == "{"


def test_u73_selections_and_histories_prefer_blocks() -> None:
    """U73: tool calls are taken from the blocks; from `additional_kwargs` where there are none."""
    llm = chat(calls(begins(0, "1", "a", "{}")))
    chunk = list(llm.stream_chat(ASK))[-1]
    chunk.message.additional_kwargs["tool_calls"][0].id = "other"

    def ids() -> list[str]:
        sent = cast("list[Data]", to_openai_message_dicts([chunk.message]))[0]["tool_calls"]
        found = llm.get_tool_calls_from_response(chunk)
        return [found[0].tool_id, sent[0]["id"] if isinstance(sent[0], dict) else sent[0].id]

    assert ids() == ["1", "1"]
    chunk.message.blocks = [TextBlock(text="")]
    assert ids() == ["other", "other"]


def test_u74_responses_chunks_have_the_blocks_of_their_event() -> None:
    """U74: blocks are per event; fragments are empty chunks; the last has everything."""
    place: Data = {"output_index": 0, "item_id": "f"}
    kind = "response.function_call_arguments"
    part: Data = {"type": "output_text", "text": "So.", "annotations": []}
    message: Data = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
    output = [{**message, "status": "completed"}, {**ITEM, "arguments": "{}"}]
    chunks = list(
        responses(
            {"type": "response.output_text.delta", "delta": "So"},
            {"type": "response.output_text.delta", "delta": "."},
            {"type": "response.output_item.added", "item": {**ITEM, "arguments": ""}},
            {"type": f"{kind}.delta", **place, "delta": "{}"},
            {"type": f"{kind}.done", **place, "arguments": "{}"},
            {"type": "response.completed", "response": {"output": output}},
        ).stream_chat(ASK)
    )
    assert [chunk.message.content for chunk in chunks[:2]] == ["So", "."]
    assert [kinds(chunk) for chunk in chunks[2:]] == [[], [], ["tool_call"], ["text", "tool_call"]]


def test_u74_messages_after_the_first_repeat_it() -> None:
    """U74: in the complete response, a second message has the first before it: the same blocks."""
    part: Data = {"type": "output_text", "annotations": []}
    head: Data = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    output = [{**head, "content": [{**part, "text": text}]} for text in ("a", "b")]
    llm = responses({"type": "response.completed", "response": {"output": output}})
    blocks = next(iter(llm.stream_chat(ASK))).message.blocks
    assert [cast("TextBlock", block).text for block in blocks] == ["a", "a", "b"]
    assert blocks[0] is blocks[1]
