"""What the OpenAI classes show of how a call ended, and what of it an agent hides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import httpx
import openai
import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.llms.openai import OpenAI, OpenAIResponses

from tests.support.paths import DATA
from tests.support.upstream.llms import chat

HI = [ChatMessage("Hi")]
WIRE = DATA / "wire"
ERROR = {"type": "error", "code": "server_error", "message": "boom", "param": None}


class Breaking(httpx.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body
        raise httpx.ReadError("reset")


def body(name: str) -> str:
    """A recorded body."""
    return (WIRE / f"{name}.sse").read_text()


def client(answer: str | httpx.SyncByteStream) -> dict[str, Any]:
    """The HTTP clients that have one answer to all."""
    headers = {"content-type": "text/event-stream"}

    def reply(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, str):
            return httpx.Response(200, headers=headers, text=answer)
        return httpx.Response(200, headers=headers, stream=answer)

    transport = httpx.MockTransport(reply)
    return {
        "http_client": httpx.Client(transport=transport),
        "async_http_client": httpx.AsyncClient(transport=transport),
    }


def chat_llm(answer: str | httpx.SyncByteStream) -> OpenAI:
    """The class for Chat Completions, with one answer to all."""
    return OpenAI(model="gpt-4o-mini", api_key="not-a-key", max_retries=0, **client(answer))


def responses_llm(answer: str) -> OpenAIResponses:
    """The class for the Responses API, with one answer to all."""
    return OpenAIResponses(model="gpt-4o-mini", api_key="not-a-key", **client(answer))


def shown(llm: OpenAI | OpenAIResponses) -> list[ChatResponse]:
    """The chunks of a stream."""
    return list(llm.stream_chat(HI))


async def answered(llm: OpenAI | OpenAIResponses) -> str:
    """What an agent answers; it raises where the run fails."""
    return str(cast("object", await chat(FunctionAgent(llm=llm))))


@pytest.mark.parametrize("name", ["chat.refusal", "chat.length"])
async def test_u24_a_chat_that_is_no_answer_is_a_run_that_succeeds(name: str) -> None:
    """U24: a refusal and a cut-off answer end a run as any answer, with the text that there is."""
    assert await answered(chat_llm(body(name))) == ("" if name == "chat.refusal" else "Once upon")


@pytest.mark.parametrize("name", ["responses.failed", "responses.length"])
async def test_u24_a_response_that_is_no_answer_is_a_run_that_succeeds(name: str) -> None:
    """U24: a response that failed or is incomplete is an empty answer; its text so far is gone."""
    assert await answered(responses_llm(body(name))) == ""


async def test_u24_an_error_event_is_a_run_that_succeeds() -> None:
    """U24: a flat error event ends a run as any answer."""
    answer = f"event: error\ndata: {json.dumps(ERROR)}\n\n"
    assert await answered(responses_llm(answer)) == ""


def test_u70_a_refusal_is_in_raw_alone() -> None:
    """U70: no chunk of a refusal has text; its fragments are in `raw`, and the end is `stop`."""
    chunks = shown(chat_llm(body("chat.refusal")))
    choices = [chunk.raw.choices[0] for chunk in chunks if chunk.raw is not None]
    assert {chunk.delta for chunk in chunks} == {""}
    assert "".join(choice.delta.refusal or "" for choice in choices) == "I'm sorry."
    assert choices[-1].finish_reason == "stop"


def test_u70_the_finish_reason_is_in_raw_alone() -> None:
    """U70: the reason is in `raw`, and nowhere in the message."""
    last = shown(chat_llm(body("chat.length")))[-1]
    assert last.raw is not None
    assert last.raw.choices[0].finish_reason == "length"
    assert "length" not in str(last.model_dump(exclude={"raw"}))


@pytest.mark.parametrize("name", ["failed", "length"])
def test_u74_a_bad_end_is_a_chunk_without_blocks(name: str) -> None:
    """U74: a response that failed or is incomplete ends in a chunk that has it in `raw` alone."""
    last = shown(responses_llm(body(f"responses.{name}")))[-1]
    assert last.raw is not None
    assert last.raw.type == ("response.failed" if name == "failed" else "response.incomplete")
    assert (last.delta, last.message.blocks) == ("", [])


async def test_u71_a_reason_in_the_first_chunk_is_lost_on_async() -> None:
    """U71: a first chunk without content is dropped by the async class, with its finish reason."""
    choice = {"index": 0, "delta": {"role": "assistant"}, "finish_reason": "content_filter"}
    answer = f"data: {json.dumps({'id': 'c', 'choices': [choice]})}\n\ndata: [DONE]\n\n"
    assert len(shown(chat_llm(answer))) == 1
    assert [chunk async for chunk in await chat_llm(answer).astream_chat(HI)] == []


def test_u74_an_error_event_is_a_chunk() -> None:
    """U74: a flat error event is not raised: it is a chunk that has it in `raw`."""
    [chunk] = shown(responses_llm(f"event: error\ndata: {json.dumps(ERROR)}\n\n"))
    assert chunk.raw is not None
    assert (chunk.raw.type, chunk.raw.code, chunk.raw.message) == ("error", "server_error", "boom")


def test_u75_a_reset_is_a_bare_error_of_httpx() -> None:
    """U75: a connection that breaks in the middle raises what httpx raises."""
    stream = chat_llm(Breaking(body("chat.text").split("\n\n")[0].encode() + b"\n\n")).stream_chat(
        HI
    )
    next(stream)
    with pytest.raises(httpx.ReadError):
        next(stream)


def test_u75_a_body_cut_in_a_line_is_a_silent_end() -> None:
    """U75: a body that ends in the middle of a line is a stream that ends, with no finish."""
    chunks = shown(chat_llm(body("chat.err_truncated")))
    assert [chunk.delta for chunk in chunks] == ["", "Hi"]
    assert all(chunk.raw.choices[0].finish_reason is None for chunk in chunks if chunk.raw)


def test_u75_malformed_json_is_a_bare_error_of_the_parser() -> None:
    """U75: an event that is not JSON raises what `json` raises."""
    with pytest.raises(json.JSONDecodeError):
        shown(chat_llm("data: {\n\n"))


def test_u75_an_error_object_is_an_api_error_without_a_status() -> None:
    """U75: an error object in a chat stream raises `APIError` itself, with the type in `body`."""
    with pytest.raises(openai.APIError) as caught:
        shown(chat_llm(body("chat.err_midstream")))
    assert type(caught.value) is openai.APIError
    assert (caught.value.code, caught.value.type) == (None, "server_error")


def test_u70_the_llm_s_own_options_win_over_the_call_s() -> None:
    """U70: `additional_kwargs` of the class win over the arguments of a call."""
    llm = chat_llm("")
    llm.additional_kwargs = {"stream_options": {"include_usage": False}}
    sent = llm._get_model_kwargs(  # pyright: ignore[reportPrivateUsage] # what is sent
        stream=True, stream_options={"include_usage": True}
    )
    assert sent["stream_options"] == {"include_usage": False}
