"""Chunks to read, and what was read of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import httpx
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ContentBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms import MockLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM
from llama_index.llms.openai import OpenAI, OpenAIResponses
from openai.types.chat import ChatCompletionChunk

from llama_index_streaming_ext.llm.chunks.reader import ChunkReader, Fragment, Piece, reader_for
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn
from tests.support.paths import DATA

ASK = [ChatMessage(role="user", content="Hi")]
WIRE = DATA / "wire"
Dialect = Literal["chat", "responses"]
Data = dict[str, Any]


@dataclass
class Read:
    """What a reader made of the chunks of one call."""

    reader: ChunkReader
    pieces: list[Piece] = field(default_factory=list[Piece])
    fragments: list[Fragment] = field(default_factory=list[Fragment])
    repaired: list[ChatResponse] = field(default_factory=list[ChatResponse])

    def joined(self) -> dict[str, str]:
        """The text of the arguments, by the id of the call."""
        texts: dict[str, str] = {}
        for fragment in self.fragments:
            texts[fragment.tool_id] = texts.get(fragment.tool_id, "") + fragment.delta
        return texts

    def parsed(self) -> dict[str, Any]:
        """The arguments, by the id of the call."""
        return {tool_id: json.loads(text) for tool_id, text in self.joined().items()}

    @property
    def last(self) -> ChatResponse:
        """The last chunk, mended."""
        return self.repaired[-1]


def read(chunks: Iterable[ChatResponse], llm: LLM) -> Read:
    """Reads chunks to their end, and mends each when it comes."""
    done = Read(reader_for(llm))
    for chunk in chunks:
        piece = done.reader.read(chunk)
        done.pieces.append(piece)
        done.fragments += piece.fragments
        done.repaired.append(done.reader.repaired(chunk))
    done.fragments += done.reader.end()
    return done


def fake(turn: Turn, dialect: Dialect = "chat", *, faithful: bool = True) -> FakeStreamingLLM:
    """A fake that answers with a turn."""
    return FakeStreamingLLM([turn], dialect=dialect, faithful=faithful)


def read_fake(turn: Turn, dialect: Dialect = "chat", *, faithful: bool = True) -> Read:
    """Reads what the fake makes of a turn."""
    llm = fake(turn, dialect, faithful=faithful)
    return read(llm.stream_chat(ASK), llm)


def openai(body: bytes | str, dialect: Dialect = "chat") -> FunctionCallingLLM:
    """The real class, for which a body answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})

    transport = httpx.MockTransport(answer)
    cls = OpenAI if dialect == "chat" else OpenAIResponses
    return cls(
        model="gpt-4o-mini",
        api_key="not-a-key",
        http_client=httpx.Client(transport=transport),
        async_http_client=httpx.AsyncClient(transport=transport),
    )


def recorded(name: str) -> FunctionCallingLLM:
    """The real class, for which a recorded body answers."""
    dialect: Dialect = "responses" if name.startswith("responses") else "chat"
    return openai((WIRE / f"{name}.sse").read_bytes(), dialect)


def read_recorded(name: str) -> Read:
    """Reads what the real class makes of a recorded body."""
    llm = recorded(name)
    return read(llm.stream_chat(ASK), llm)


def said(
    index: int | None = 0, name: str | None = None, arguments: Any = None, **rest: Any
) -> Data:
    """A tool call in a delta, as servers send it; `id` only where it is given."""
    function: Data = {"arguments": arguments}
    if name is not None:
        function["name"] = name
    call: Data = {"type": "function", "function": function, **rest}
    return call if index is None else {"index": index, **call}


def chat_data(*calls: Data, **delta: Any) -> Data:
    """A chunk of Chat Completions with one delta."""
    if calls:
        delta["tool_calls"] = [copy.deepcopy(call) for call in calls]
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice]}


def chat_body(*deltas: list[Data] | Data) -> str:
    """A stream of Chat Completions: a list is the tool calls of a delta, a dict the delta."""
    data = (chat_data(*d) if isinstance(d, list) else chat_data(**d) for d in deltas)
    return "".join(f"data: {json.dumps(d)}\n\n" for d in data) + "data: [DONE]\n\n"


def event_body(*events: Data) -> str:
    """A stream of the Responses API."""
    numbered = ({"sequence_number": n, **event} for n, event in enumerate(events))
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in numbered)


def raw_chunk(*calls: Data, as_dict: bool = False) -> ChatResponse:
    """What a class yields that shows nothing of the tool calls in its raw chunk."""
    data = chat_data(*calls)
    raw = data if as_dict else ChatCompletionChunk.construct(None, **data)
    return ChatResponse(message=ChatMessage(role="assistant", content=""), delta="", raw=raw)


def read_calls(*deltas: list[Data], as_dict: bool = False) -> Read:
    """Reads deltas of tool calls, in chunks as the OpenAI classes yield them."""
    chunks = [raw_chunk(*delta, as_dict=as_dict) for delta in deltas]
    return read(chunks, FakeStreamingLLM([]))


def shown(*blocks: ContentBlock, delta: str | None = "", **rest: Any) -> ChatResponse:
    """A chunk of any class, with its cumulative message."""
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=list(blocks))
    return ChatResponse(message=message, delta=delta, **rest)


def call(kwargs: Data | str, tool_id: str | None = "a", name: str = "weather") -> ToolCallBlock:
    """A tool call as a message shows it."""
    return ToolCallBlock(tool_call_id=tool_id, tool_name=name, tool_kwargs=kwargs)


def read_shown(*chunks: ChatResponse) -> Read:
    """Reads the chunks of a class that nobody knows."""
    return read(chunks, MockLLM())


def blocks_of(chunk: ChatResponse) -> list[tuple[str, Any]]:
    """The blocks of a message, each as its type and what it says."""
    return [_plain(block) for block in chunk.message.blocks]


def _plain(block: ContentBlock) -> tuple[str, Any]:
    if isinstance(block, TextBlock):
        return "text", block.text
    if isinstance(block, ToolCallBlock):
        return "tool_call", (block.tool_call_id, block.tool_name, block.tool_kwargs)
    return block.block_type, cast("Any", block).content
