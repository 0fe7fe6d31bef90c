"""Bodies that other servers, other models and bad days lead to, beyond those in `tests/data`."""

from __future__ import annotations

import base64
import json
from typing import Any

Data = dict[str, Any]

DONE = "data: [DONE]\n\n"
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()
CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
USAGE = {
    "input_tokens": 1,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 2,
}
RESPONSE: Data = {
    "id": "r",
    "object": "response",
    "created_at": 1,
    "status": "in_progress",
    "output": [],
    "model": "m",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


def sse(*events: Data | str, end: str = DONE) -> str:
    """A stream of Chat Completions; a str is taken as it is."""
    shown = (e if isinstance(e, str) else f"data: {json.dumps(e)}\n\n" for e in events)
    return "".join(shown) + end


def chunk(delta: Data | None = None, reason: str | None = None, **extra: Any) -> Data:
    """A chunk of Chat Completions."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": reason}
    kind = "chat.completion.chunk"
    return {"id": "x", "object": kind, "created": 1, "model": "m", "choices": [choice], **extra}


def call(index: int, said: Data, **extra: Any) -> Data:
    """A chunk with a piece of a tool call."""
    return chunk({"tool_calls": [{"index": index, "function": said, **extra}]})


def events(*said: Data) -> str:
    """A stream of the Responses API."""
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in said)


def event(kind: str, **said: Any) -> Data:
    """An event of the Responses API."""
    return {"type": f"response.{kind}", "sequence_number": 1, **said}


def delta(said: str) -> Data:
    """A piece of text in the Responses API."""
    place: Data = {"item_id": "m", "output_index": 0, "content_index": 0}
    return event("output_text.delta", **place, delta=said, logprobs=[])


def message(said: str, **extra: Any) -> Data:
    """A message in the output of a response."""
    part: Data = {"type": "output_text", "text": said, "annotations": [], **extra}
    head = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
    return {**head, "content": [part]}


def completed(*output: Data, **extra: Any) -> Data:
    """The end of a response."""
    said = {**RESPONSE, "status": "completed", "output": list(output), **extra}
    return event("completed", response=said)


B, C = chunk({"content": "b"}), chunk({"content": "c"})
CREATED = event("created", response=RESPONSE)
CALL = {"type": "function_call", "status": "in_progress", "arguments": "", "name": "n"}
ANNOTATED = event(
    "output_text.annotation.added",
    item_id="m",
    output_index=0,
    content_index=0,
    annotation_index=0,
    annotation=CITATION,
)
REASONED = {
    "id": "r",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "s1"}, {"type": "summary_text", "text": "s2"}],
    "content": [{"type": "reasoning_text", "text": "c1"}],
    "encrypted_content": "zz",
}

CHAT = {
    "azure's filter results come first": sse({"id": "", "choices": [], "filter": [1]}, B),
    "reasoning, and usage with the end": sse(
        chunk({"role": "assistant"}),
        chunk({"reasoning": "a"}),
        B,
        chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
    ),
    "a usage in part": sse(B, chunk(usage={"prompt_tokens": 1, "completion_tokens": 2})),
    "no delta at first": sse({"id": "x", "choices": [{"index": 0, "delta": None}]}, B),
    "no delta later": sse(B, {"id": "x", "choices": [{"index": 0, "delta": None}]}, C),
    "no choices": sse({"id": "x"}, B),
    "the second choice first": sse(
        {"choices": [{"index": 1, "delta": {"content": "B"}}, {"index": 0, "delta": {}}]}
    ),
    "not JSON": sse(B, "data: {oops\n\n", C),
    "comments": sse(": ping\n\n", B, ": ping\n\n", C, ":\n\n"),
    "CR LF": sse(B, C).replace("\n", "\r\n"),
    "CR": sse(B, C).replace("\n", "\r"),
    "an error that is a str": sse(B, {"error": "boom"}),
    "an error without a message": sse({"error": {"message": "", "code": "c"}}),
    "an error with a code": sse({"error": {"message": "m", "code": "c", "param": "p"}}),
    "chunks after the end": sse(B) + sse(C),
    "no end": sse(B, C, end=""),
    "a last event without its blank line": sse(B, C, end="")[:-1],
    "a last event that is cut off": sse(B, C, end="")[:-30],
    "an event without data": sse(B, "event: ping\n\n", C),
    "an id, which sticks": sse(B, "id: 3\n\n", C, ": ping\n\n"),
    "data in two lines": sse('data: {"id":"x",\ndata: "choices":[]}\n\n', B),
    "a call without a function": sse(
        chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function"}]}), B
    ),
    "a call whose fields come later": sse(
        call(0, {"name": None, "arguments": None}, id=None, type="function"),
        call(0, {"name": "n", "arguments": "{}"}, id="a"),
    ),
    "no calls in a list": sse(chunk({"tool_calls": []}), chunk({"content": "x", "tool_calls": []})),
    "interleaved calls": sse(
        *[call(i % 2, {"name": "n" if i < 2 else None, "arguments": str(i)}) for i in range(6)]
    ),
    "another role": sse(chunk({"role": "tool", "content": "x"})),
    "a role that is none": sse(chunk({"role": "nobody", "content": "x"})),
    "no space after the colon": sse(B, C).replace("data: ", "data:"),
    "a function call of old": sse(chunk({"function_call": {"name": "f", "arguments": "{"}}), B),
    "fields that are new": sse(chunk({"content": "b", "audio": {"id": "q"}}, weather="sunny")),
}

RESPONSES = {
    "two messages": events(CREATED, delta("a"), completed(message("a"), message("b"), usage=USAGE)),
    "annotations": events(
        CREATED,
        delta("a"),
        ANNOTATED,
        delta("b"),
        ANNOTATED,
        completed(message("ab", annotations=[CITATION]), usage=USAGE),
    ),
    "searches": events(
        event("web_search_call.completed", item_id="w", output_index=0),
        delta("c"),
        event("file_search_call.completed", item_id="w", output_index=0),
        completed(
            {"id": "w", "type": "web_search_call", "status": "completed"},
            {"id": "w", "type": "file_search_call", "status": "completed", "queries": ["q"]},
            message("c"),
        ),
    ),
    "pictures": events(
        event(
            "image_generation_call.partial_image",
            item_id="i",
            output_index=0,
            partial_image_index=0,
            partial_image_b64=PICTURE,
        ),
        completed(
            {"id": "i", "type": "image_generation_call", "status": "completed", "result": PICTURE},
            {"id": "j", "type": "image_generation_call", "status": "failed", "result": None},
            message("c"),
        ),
    ),
    "code": events(
        completed(
            {"id": "i", "type": "code_interpreter_call", "status": "completed", "code": "1"},
            {"id": "i", "type": "mcp_call", "arguments": "{}", "name": "n", "server_label": "s"},
        )
    ),
    "a flat error": events(
        delta("a"), {"type": "error", "code": "c", "message": "m", "param": None}
    ),
    "an error object": events(delta("a"), {"type": "error", "error": {"message": "m"}}),
    "an event that is new": events(CREATED, event("something.new", x=1), delta("a")),
    "an event that is incomplete": events(event("output_text.delta", delta="q"), delta("a")),
    "reasoning in full": events(
        event("output_item.done", output_index=0, item=REASONED),
        completed({"id": "r", "type": "reasoning", "summary": []}, message("a"), usage=USAGE),
    ),
    "interleaved calls": events(
        *[
            event("output_item.added", output_index=i, item={**CALL, "call_id": f"c{i}"})
            for i in (0, 1)
        ],
        *[
            event("function_call_arguments.delta", output_index=i, item_id="f", delta=str(i))
            for i in (0, 1, 0)
        ],
        *[
            event("function_call_arguments.done", output_index=i, item_id="f", arguments=str(i))
            for i in (0, 1)
        ],
    ),
}

WHOLE: dict[str, Data] = {
    "log probabilities": {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "a"},
                "logprobs": {
                    "content": [
                        {
                            "token": "a",
                            "logprob": -1.0,
                            "bytes": None,
                            "top_logprobs": [
                                {"token": "a", "logprob": -1.0, "bytes": [97]},
                                {"token": "b", "logprob": -2.0, "bytes": None},
                            ],
                        },
                        {"token": "c", "logprob": -1.0, "bytes": None, "top_logprobs": []},
                    ]
                },
            }
        ],
    },
    "two messages without usage": {**RESPONSE, "output": [message("a"), message("b")]},
    "reasoning": {**RESPONSE, "output": [REASONED, message("a")], "usage": USAGE},
}
