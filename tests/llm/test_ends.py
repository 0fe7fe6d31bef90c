"""How calls of a `StreamingLLM` end that is used on its own."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import MockLLM

from llama_index_streaming_ext import (
    ContentFiltered,
    IncompleteResponse,
    LengthLimit,
    ModelRefused,
    ProviderFailed,
    StreamingLLM,
    StreamTruncated,
    register_finish_reason,
)
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    fail,
    finish,
    text,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.llm.ended_streams import ASK, read
from tests.support.provider_llms import DIALECTS, answered_by, body, real, recorded


def joined(chunks: list[ChatResponse]) -> str:
    """What they say."""
    return "".join(chunk.delta or "" for chunk in chunks)


ENDS = [
    ("chat.length", LengthLimit, "Once upon"),
    ("chat.refusal", ModelRefused, "I'm sorry."),
    ("chat.err_truncated", StreamTruncated, "Hi"),
    ("chat.err_midstream", ProviderFailed, "Hi"),
    ("responses.length", LengthLimit, "Once upon"),
    ("responses.failed", ProviderFailed, "On"),
]


@pytest.mark.parametrize(("name", "error", "said"), ENDS)
async def test_an_end_that_is_not_whole_raises(name: str, error: Any, said: str) -> None:
    """After all the text that there is, which the error keeps (U24, U75)."""
    chunks: list[ChatResponse] = []
    with pytest.raises(error) as raised:
        await read(StreamingLLM(recorded(name)), chunks)
    assert raised.value.text == said
    assert raised.value.call_id
    assert joined(chunks) == ("" if error is ModelRefused else said)


@pytest.mark.parametrize(("name", "error", "said"), ENDS)
def test_so_does_a_sync_stream(name: str, error: Any, said: str) -> None:
    """The sync face is no other."""
    with pytest.raises(error) as raised:
        list(StreamingLLM(recorded(name)).stream_chat(ASK))
    assert raised.value.text == said


@pytest.mark.parametrize(("name", "error", "said"), ENDS)
@pytest.mark.parametrize("is_async", [True, False])
async def test_so_does_a_completion(name: str, error: Any, said: str, is_async: bool) -> None:
    """U51: query engines complete."""
    llm = StreamingLLM(recorded(name))

    async def complete() -> None:
        if is_async:
            async for _ in await llm.astream_complete("Hi"):
                pass
        else:
            list(llm.stream_complete("Hi"))

    with pytest.raises(error):
        await complete()


@pytest.mark.parametrize(
    "name",
    [
        *("chat.empty", "chat.text", "chat.text_usage", "chat.reasoning_content"),
        *("chat.tool_single", "chat.tool_parallel", "chat.text_then_tool"),
        *("responses.text", "responses.reasoning", "responses.tool_single"),
    ],
)
async def test_a_whole_answer_raises_nothing(name: str) -> None:
    """Of none of the bodies that are whole it is said that they are not."""
    assert await read(StreamingLLM(recorded(name)))
    assert list(StreamingLLM(recorded(name)).stream_chat(ASK))


def sse(*data: str) -> bytes:
    """A stream of these payloads."""
    return "".join(f"data: {payload}\n\n" for payload in data).encode()


HEAD = '"id":"x","object":"chat.completion.chunk","created":1,"model":"m"'
ROLE = '"delta":{"role":"assistant","content":""}'


async def test_a_stream_without_done_and_finish_is_truncated() -> None:
    """A server that closes after whole events has not said that it was the end."""
    whole = sse(*(f'{{{HEAD},"choices":[{{"index":0,{d},"finish_reason":null}}]}}' for d in (ROLE,
        '"delta":{"content":"Hi"}')))  # fmt: skip
    with pytest.raises(StreamTruncated, match="without a finish reason"):
        await read(StreamingLLM(answered_by(whole)))


async def test_nothing_at_all_is_truncated() -> None:
    """A body without a byte is no answer."""
    with pytest.raises(StreamTruncated, match="there is no text"):
        await read(StreamingLLM(answered_by(b"")))


async def test_a_stream_that_ends_with_its_usage_is_whole() -> None:
    """U71: the class drops a first chunk that has only the finish reason."""
    only = f'{{{HEAD},"choices":[{{"index":0,{ROLE},"finish_reason":"stop"}}]}}'
    used = f'{{{HEAD},"choices":[],"usage":{{"prompt_tokens":3,"completion_tokens":0,'
    used += '"total_tokens":3}}'
    assert joined(await read(StreamingLLM(answered_by(sse(only, used, "[DONE]"))))) == ""


async def test_a_flat_error_event_raises_its_reason() -> None:
    """The Responses API has two kinds of failures; this one has no response."""
    created = body("responses.text").partition(b"\n\n")[0] + b"\n\n"
    error = '"type":"error","code":"rate_limit","message":"Slow down.","param":null'
    flat = created + f'event: error\ndata: {{{error},"sequence_number":1}}\n\n'.encode()
    with pytest.raises(ProviderFailed, match=r"\(rate_limit\): Slow down"):
        await read(StreamingLLM(answered_by(flat, dialect="responses")))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_content_filter_raises_with_the_text(dialect: Dialect) -> None:
    """What there was before it is kept."""
    fake = FakeOpenAI([Turn(text("How to"), finish("content_filter"))])
    with fake.mock(), pytest.raises(ContentFiltered) as raised:
        await read(StreamingLLM(real(fake, dialect)))
    assert (raised.value.text, raised.value.finish_reason) == ("How to", "content_filter")


async def test_an_error_of_the_llm_stays_what_it_is() -> None:
    """Only networks and providers are translated."""
    llm = StreamingLLM(FakeStreamingLLM([Turn(text("a"), fail(KeyError("mine")))]))
    with pytest.raises(KeyError, match="mine"):
        await read(llm)


async def test_alone_an_event_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Where there is no run to write the event into, the log of the process says it."""
    with caplog.at_level(logging.WARNING):
        chunks = await read(StreamingLLM(recorded("chat.length"), on_incomplete="event"))
    assert joined(chunks) == "Once upon"
    assert "is not whole: length" in caplog.text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_whole_answer_that_was_cut_off_raises(dialect: Dialect, is_async: bool) -> None:
    """Calls that do not stream are no exception."""
    fake = FakeOpenAI([Turn(text("Once upon"), finish("length"))])
    with fake.mock():
        llm = StreamingLLM(real(fake, dialect))
        with pytest.raises(LengthLimit) as raised:
            await llm.achat(ASK) if is_async else llm.chat(ASK)
    assert raised.value.text == "Once upon"


class SaysWhy(MockLLM):
    """Says how it ended in a way of its own."""

    _why: str = ""

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        """One chunk."""

        async def chunks() -> Any:
            message = ChatMessage(role="assistant", content="so far")
            yield ChatResponse(message=message, delta="so far", raw={"why": self._why})

        return chunks()


@pytest.mark.parametrize(
    ("why", "error"),
    [
        ("max_tokens", LengthLimit),
        ("safety", ContentFiltered),
        ("incomplete", IncompleteResponse),
        ("MALFORMED_FUNCTION_CALL", IncompleteResponse),
    ],
)
async def test_a_registered_reason_raises(why: str, error: Any) -> None:
    """Of any class, once it is told how that says it."""
    register_finish_reason(SaysWhy, lambda raw: raw["why"])
    llm: Any = SaysWhy(max_tokens=None)
    llm._why = why
    with pytest.raises(error) as raised:
        await read(StreamingLLM(llm))
    assert type(raised.value) is error
    assert raised.value.text == "so far"
