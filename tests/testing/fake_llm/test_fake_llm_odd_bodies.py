"""Also for odd bodies the fake yields what the real classes yield."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.testing.golden_dumps import arecord, dump, record
from tests.support.testing.odd_bodies import CHAT, RESPONSES, WHOLE

HI = [ChatMessage("hi")]
STREAMS = [("chat", name) for name in CHAT] + [("responses", name) for name in RESPONSES]


def real(body: str, kind: str, dialect: Dialect) -> FunctionCallingLLM:
    """The real class of a dialect, whose provider answers with one body."""
    headers = {"content-type": kind}
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, content=body.encode(), headers=headers)
    )
    cls = OpenAI if dialect == "chat" else OpenAIResponses
    return cls(
        model="gpt-4o-mini",
        api_key="not-a-key",
        http_client=httpx.Client(transport=transport),
        async_http_client=httpx.AsyncClient(transport=transport),
    )


def body_of(dialect: Dialect, name: str) -> str:
    """The body of a name."""
    return (CHAT if dialect == "chat" else RESPONSES)[name]


@pytest.mark.parametrize(("dialect", "name"), STREAMS)
def test_sync_stream_of_an_odd_body(dialect: Dialect, name: str) -> None:
    """The sync stream of an odd body is the real class's, down to the error."""
    body = body_of(dialect, name)
    fake, llm = FakeStreamingLLM(Turn.from_wire(body), dialect=dialect), real(body, SSE, dialect)
    mine, wanted = (
        record(fake, lambda: fake.stream_chat(HI)),
        record(llm, lambda: llm.stream_chat(HI)),
    )
    assert mine.chunks == wanted.chunks
    assert mine.error == wanted.error
    assert mine.mutated_later == wanted.mutated_later


@pytest.mark.parametrize(("dialect", "name"), STREAMS)
async def test_async_stream_of_an_odd_body(dialect: Dialect, name: str) -> None:
    """The async stream of an odd body is the real class's, down to the error."""
    body = body_of(dialect, name)
    fake, llm = FakeStreamingLLM(Turn.from_wire(body), dialect=dialect), real(body, SSE, dialect)
    mine = await arecord(fake, lambda: fake.astream_chat(HI))
    wanted = await arecord(llm, lambda: llm.astream_chat(HI))
    assert mine.chunks == wanted.chunks
    assert mine.error == wanted.error
    assert mine.mutated_later == wanted.mutated_later


@pytest.mark.parametrize("name", WHOLE)
async def test_answer_with_an_odd_body(name: str) -> None:
    """The answer with an odd body is the real class's, or its error, in both faces."""
    body = WHOLE[name]
    dialect: Dialect = "responses" if body["object"] == "response" else "chat"
    fake = FakeStreamingLLM(Turn.from_wire(body), dialect=dialect, repeat_last=True)
    llm = real(json.dumps(body), "application/json", dialect)
    assert answered(fake) == answered(llm)
    assert dump(await fake.achat(HI), fake) == dump(await llm.achat(HI), llm)


@pytest.mark.parametrize("name", RESPONSES)
async def test_unfaithful_stream_of_an_odd_body(name: str) -> None:
    """Without the real class's defects no chunk changes later, and both faces agree."""
    turn = Turn.from_wire(RESPONSES[name])
    llm = FakeStreamingLLM(turn, dialect="responses", faithful=False, repeat_last=True)
    mine = record(llm, lambda: llm.stream_chat(HI))
    assert (await arecord(llm, lambda: llm.astream_chat(HI))).chunks == mine.chunks
    assert mine.mutated_later == []


SSE = "text/event-stream"


def answered(llm: FunctionCallingLLM) -> Any:
    """What an LLM answers, or the error that it stumbles over."""
    try:
        return dump(llm.chat(HI), llm)
    except AttributeError as error:
        return str(error)
