"""The fake LLM keeps to its script, and records what became of each call."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
from contextlib import aclosing, closing
from typing import Any

import httpx
import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage

from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    ProviderError,
    Turn,
    UnexpectedLLMCall,
    disconnect,
    fail,
    gate,
    http,
    text,
    tool_call,
    usage,
    wait,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.testing.real_classes import real

HI = [ChatMessage("hi")]
DIALECTS: list[Dialect] = ["chat", "responses"]


async def deltas(llm: FakeStreamingLLM) -> list[str]:
    """The deltas of an async stream that are not empty."""
    return [chunk.delta async for chunk in await llm.astream_chat(HI) if chunk.delta]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_all_entry_points_agree(dialect: Dialect) -> None:
    """Whatever way an LLM is asked, it says the same, and every way is a call."""
    llm = FakeStreamingLLM("It is sunny.", dialect=dialect, repeat_last=True)
    said = [
        llm.complete("hi").text,
        llm.chat(HI).message.content,
        "".join(chunk.delta or "" for chunk in llm.stream_complete("hi")),
        "".join(chunk.delta or "" for chunk in llm.stream_chat(HI)),
        (await llm.acomplete("hi")).text,
        (await llm.achat(HI)).message.content,
        "".join([chunk.delta or "" async for chunk in await llm.astream_complete("hi")]),
        "".join(await deltas(llm)),
    ]
    assert said == ["It is sunny."] * 8
    assert [call.closed_by for call in llm.calls] == ["finished"] * 8
    assert {call.messages[0].content for call in llm.calls} == {"hi"}


async def test_call_records_what_was_asked() -> None:
    """A call keeps its messages, tools and keywords as they were, whatever the caller does next."""
    llm = FakeStreamingLLM([Turn(text("a", "b"))])
    messages = [ChatMessage("hi")]
    tools = [{"type": "function", "function": {"name": "add"}}]
    stream = await llm.astream_chat(messages, tools=tools, tool_choice="auto")
    assert llm.calls == []
    await anext(stream)
    messages[0].content = "changed"
    tools.clear()
    (call,) = llm.calls
    assert [message.content for message in call.messages] == ["hi"]
    assert [tool["function"]["name"] for tool in call.tools] == ["add"]
    assert call.kwargs == {"tool_choice": "auto"}
    assert (call.chunks, call.closed_by, call.requests) == (1, None, 1)
    assert call.first_chunk is not None
    assert call.started <= call.first_chunk
    assert repr(call) == "<Call 'hi': 1 chunks, closed by None>"


async def test_closing_a_stream_ends_its_call() -> None:
    """A stream that its reader closes ends by GeneratorExit, and gives no further chunk."""
    llm = FakeStreamingLLM([Turn(text("a", "b", "c")), "a b c"])
    async with aclosing(await llm.astream_chat(HI)) as stream:
        await anext(stream)
    assert await llm.calls[0].ended() == "GeneratorExit"
    assert llm.calls[0].chunks == 1
    with closing(llm.stream_chat(HI)) as chunks:
        next(chunks)
    assert llm.calls[1].closed_by == "GeneratorExit"


async def test_cancelling_a_reader_ends_its_call() -> None:
    """A stream whose task is cancelled while it waits ends by CancelledError."""
    llm = FakeStreamingLLM([Turn(text("a"), gate("never"))])
    stream = await llm.astream_chat(HI)
    assert [(await anext(stream)).delta for _ in range(2)] == ["", "a"]
    task = asyncio.ensure_future(anext(stream))
    ended = asyncio.create_task(llm.calls[0].ended())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    assert await ended == "CancelledError"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_failure_is_raised_where_it_is_written(dialect: Dialect) -> None:
    """An error in a script is raised after what is before it, afresh each time."""
    llm = FakeStreamingLLM(Turn(text("a"), fail(KeyError("x"))), dialect=dialect, repeat_last=True)
    for _ in range(2):
        with pytest.raises(KeyError):
            await deltas(llm)
    first, second = (call.closed_by for call in llm.calls)
    assert isinstance(first, KeyError)
    assert first is not second
    with pytest.raises(KeyError):
        llm.chat(HI)


async def test_failure_may_be_inside_arguments() -> None:
    """A call may fail in the middle of a tool call's arguments."""
    llm = FakeStreamingLLM([Turn(tool_call("add", fragments=['{"x"', fail(ValueError("cut"))]))])
    stream = await llm.astream_chat(HI)
    seen = [(await anext(stream)).message.blocks[-1] for _ in range(2)]
    assert [block.model_dump()["tool_kwargs"] for block in seen] == [{}, '{"x"']
    with pytest.raises(ValueError, match="cut"):
        await anext(stream)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_disconnect_is_a_read_error(dialect: Dialect) -> None:
    """A connection that breaks in the middle raises httpx's error (U75)."""
    llm = FakeStreamingLLM([Turn(text("a"), disconnect(), text("b"))], dialect=dialect)
    with pytest.raises(httpx.ReadError):
        list(llm.stream_chat(HI))


def test_disconnect_before_an_answer_is_tried_again() -> None:
    """A connection that breaks before any answer is tried again, then it is openai's error."""
    llm = FakeStreamingLLM([Turn(disconnect()), "a", Turn(disconnect())])
    assert llm.complete("hi").text == "a"
    assert llm.calls[0].requests == 2
    with pytest.raises(openai.APIConnectionError, match=r"Connection error\.") as failed:
        llm.complete("hi")
    assert isinstance(failed.value.__cause__, httpx.ReadError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 429, 500, 503])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_status_errors_are_the_real_ones(status: int, dialect: Dialect) -> None:
    """An answer with an error status raises what the real class raises."""
    turn = Turn(http(status, message="No."))
    seen: list[openai.APIStatusError] = []
    for llm in (FakeStreamingLLM([turn], dialect=dialect), real([turn], dialect, max_retries=0)):
        with pytest.raises(openai.APIStatusError) as failed:
            list(llm.stream_chat(HI))
        seen.append(failed.value)
    mine, wanted = seen
    assert type(mine) is type(wanted)
    assert (str(mine), mine.body, mine.status_code) == (str(wanted), wanted.body, status)


def test_rate_limits_are_tried_again() -> None:
    """After 429 and 500 the next turn answers, within one call, as with the real class."""
    llm = FakeStreamingLLM([Turn(http(429, retry_after=0)), Turn(http(500)), "a b"])
    assert [chunk.delta for chunk in llm.stream_chat(HI)] == ["", "a", " b", ""]
    assert llm.calls[0].requests == 3
    assert llm.left == []


@pytest.mark.parametrize(
    ("max_retries", "stream", "requests"),
    [(0, True, 1), (0, False, 1), (2, True, 3), (2, False, 6)],
)
def test_retries_come_to_an_end(max_retries: int, stream: bool, requests: int) -> None:
    """The SDK tries so many times again; where nothing streams, LlamaIndex does that again."""
    llm = FakeStreamingLLM(Turn(http(429)), repeat_last=True, max_retries=max_retries)
    with pytest.raises(openai.RateLimitError):
        list(llm.stream_chat(HI)) if stream else llm.chat(HI)
    assert llm.calls[0].requests == requests


def test_wrong_requests_are_not_tried_again() -> None:
    """What the SDK does not try again uses up no further turn."""
    llm = FakeStreamingLLM([Turn(http(400)), "a"])
    with pytest.raises(openai.BadRequestError):
        llm.complete("hi")
    assert len(llm.left) == 1


def test_function_as_script_is_asked_again() -> None:
    """A function as script decides about each request that the SDK would make."""
    llm = FakeStreamingLLM(lambda request: Turn(http(503)) if request.number < 3 else "a")
    assert llm.complete("hi").text == "a"
    assert llm.calls[0].requests == 3


def test_provider_may_fail_without_streaming() -> None:
    """Where nothing streams, a failing provider answers with status 500."""
    llm = FakeStreamingLLM([Turn(text("a"), fail("Broken."))])
    with pytest.raises(openai.InternalServerError, match="Broken"):
        llm.chat(HI)


def test_broken_json_is_a_json_error() -> None:
    """A chunk that is not JSON raises the bare error of the parser (U75)."""
    for body in ("data: {oops\n\n", "event: ping\n\n"):
        with pytest.raises(json.JSONDecodeError):
            list(FakeStreamingLLM([Turn.from_wire(body)]).stream_chat(HI))
    with pytest.raises(AttributeError, match="'int' object has no attribute 'choices'"):
        list(FakeStreamingLLM([Turn.from_wire("data: 5\n\n")]).stream_chat(HI))


def test_unexpected_call_says_what_was_asked() -> None:
    """A call more than the script has is an error that shows the messages, and is kept."""
    llm = FakeStreamingLLM(["a"])
    llm.complete("first")
    with pytest.raises(UnexpectedLLMCall, match="second"):
        llm.complete("second")
    assert llm.unexpected == [llm.calls[1].closed_by]


async def test_stream_yields_to_the_loop_at_every_chunk() -> None:
    """Another task gets its turn between any two chunks."""
    llm = FakeStreamingLLM([Turn(text(*["a"] * 50))])
    done = asyncio.Event()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    await deltas(llm)
    done.set()
    await task
    assert ticks >= 50


async def test_gate_holds_until_it_is_opened() -> None:
    """A stream goes on when the test opens its gate, by name or by an event."""
    event = asyncio.Event()
    llm = FakeStreamingLLM([Turn(text("a"), gate("go"), text("b"), gate(event), text("c"))])
    stream = await llm.astream_chat(HI)
    assert [(await anext(stream)).delta for _ in range(2)] == ["", "a"]
    held = asyncio.ensure_future(anext(stream))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not held.done()
    llm.open("go")
    assert (await held).delta == "b"
    event.set()
    assert (await anext(stream)).delta == "c"


def test_gate_holds_a_thread() -> None:
    """A gate holds also the sync face, until another thread opens it."""
    event = threading.Event()
    llm = FakeStreamingLLM([Turn(gate("go"), text("a"), gate(event), text("b"))])
    seen: list[str | None] = []
    reader = threading.Thread(target=lambda: seen.extend(c.delta for c in llm.stream_chat(HI)))
    reader.start()
    llm.open("go")
    event.set()
    reader.join()
    assert seen == ["", "a", "b", ""]


def test_waits_cost_time_in_both_faces() -> None:
    """A wait sleeps, in the event loop or in the thread."""
    llm = FakeStreamingLLM(Turn(wait(0), text("a"), wait(0)), repeat_last=True)
    assert [chunk.delta for chunk in llm.stream_chat(HI)] == ["", "a", ""]
    assert asyncio.run(deltas(llm)) == ["a"]
    assert llm.chat(HI).message.content == asyncio.run(llm.achat(HI)).message.content == "a"


def test_copies_share_position_calls_and_gates() -> None:
    """A deep copy is the same fake; a pickled one goes on by itself."""
    llm = FakeStreamingLLM([Turn(text("a")), Turn(text("b")), Turn(fail(OSError("x")), text("c"))])
    llm.complete("hi")
    same = copy.deepcopy(llm)
    apart = pickle.loads(pickle.dumps(llm))
    assert same.complete("hi").text == "b"
    assert apart.complete("hi").text == "b"
    assert len(llm.calls) == len(same.calls) == len(apart.calls) == 2
    for fake in (same, apart):
        with pytest.raises(OSError, match="x"):
            fake.complete("hi")
    with pytest.raises(UnexpectedLLMCall):
        llm.complete("hi")
    assert repr(pickle.loads(pickle.dumps(apart)).calls[-1]) == repr(apart.calls[-1])


async def test_pickled_call_is_still_open_or_ended() -> None:
    """What became of a call is known also to its pickled copy."""
    llm = FakeStreamingLLM(["a b", "c"], model="other", context_window=7)
    stream = await llm.astream_chat(HI)
    await anext(stream)
    llm.complete("hi")
    apart: FakeStreamingLLM = pickle.loads(pickle.dumps(llm))
    assert [call.closed_by for call in apart.calls] == [None, "finished"]
    assert await apart.calls[1].ended() == "finished"
    assert (apart.metadata.model_name, apart.metadata.context_window) == ("other", 7)
    await stream.aclose()


@pytest.mark.parametrize(("turns", "wanted"), [(["x"], "x"), ([Turn("R", when="Rome"), "x"], "x")])
async def test_many_runs_share_one_fake(turns: list[Turn | str], wanted: str) -> None:
    """Runs at once, in tasks and in threads, each get an answer, and each is a call."""
    llm = FakeStreamingLLM(turns, repeat_last=True)
    tasks = [deltas(llm) for _ in range(20)]
    threads = [asyncio.to_thread(lambda: [llm.complete("hi").text]) for _ in range(20)]
    assert await asyncio.gather(*tasks, *threads) == [[wanted]] * 40
    assert [call.closed_by for call in llm.calls] == ["finished"] * 40


async def test_llm_may_not_stream() -> None:
    """With streaming=False all that streams raises NotImplementedError, at the call (U33)."""
    llm = FakeStreamingLLM(["a"], streaming=False)
    for stream in (lambda: llm.stream_chat(HI), lambda: llm.stream_complete("hi")):
        with pytest.raises(NotImplementedError):
            stream()
    with pytest.raises(NotImplementedError):
        await llm.astream_chat(HI)
    assert llm.complete("hi").text == "a"


async def test_sync_only_blocks_the_loop() -> None:
    """With sync_only=True the async face is the sync one, which never yields to the loop (U33)."""
    llm = FakeStreamingLLM("a b c", sync_only=True, repeat_last=True)
    ticked: list[int] = []
    asyncio.get_running_loop().call_soon(ticked.append, 1)
    assert [chunk.delta async for chunk in await llm.astream_chat(HI)] == ["", "a", " b", " c", ""]
    assert (await llm.achat(HI)).message.content == "a b c"
    assert ticked == []


@pytest.mark.parametrize(
    ("options", "counted"),
    [
        ({}, False),
        ({"usage": "always"}, True),
        ({"additional_kwargs": {"stream_options": {"include_usage": True}}}, True),
    ],
)
def test_usage_comes_when_asked_for(options: dict[str, Any], counted: bool) -> None:
    """A chat stream ends with its usage if that was asked for, or always."""
    llm = FakeStreamingLLM([Turn(text("a"), usage(5, 1))], **options)
    last: Any = list(llm.stream_chat(HI))[-1]
    wanted = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    assert last.additional_kwargs == (wanted if counted else {})


def test_metadata_says_what_it_was_told() -> None:
    """What the fake says of itself can be chosen."""
    llm = FakeStreamingLLM(
        context_window=10, is_chat_model=False, is_function_calling_model=False, model="tiny"
    )
    said = llm.metadata
    assert (said.context_window, said.is_chat_model, said.model_name) == (10, False, "tiny")
    assert not said.is_function_calling_model
    assert FakeStreamingLLM.class_name() == "fake_streaming_llm"


def test_script_function_sees_messages_as_sent() -> None:
    """A function as script sees roles, tool calls and tool outputs in the provider's form."""
    seen: list[Any] = []

    def answer(request: Any) -> str:
        seen.extend(request.messages)
        return "ok"

    asked = FakeStreamingLLM([Turn(tool_call("add", x=1))]).chat(HI).message
    output = ChatMessage("1", role="tool", additional_kwargs={"tool_call_id": "call_1_1"})
    FakeStreamingLLM(answer).chat([*HI, asked, output])
    function = {"name": "add", "arguments": '{"x":1}'}
    assert seen == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"type": "function", "id": "call_1_1", "function": function}],
        },
        {"role": "tool", "content": "1", "tool_call_id": "call_1_1"},
    ]


def test_held_chunks_stay_without_faithfulness() -> None:
    """With faithful=False chunks that a reader keeps do not change later (U73)."""
    llm = FakeStreamingLLM([Turn(tool_call("add", x=1))], faithful=False)
    messages: list[Any] = [chunk.message for chunk in llm.stream_chat(HI)]
    calls = [message.additional_kwargs["tool_calls"] for message in messages]
    said = [made[0].function.arguments for made in calls]
    assert said == ["", '{"', '{"x"', '{"x":1}', '{"x":1}']


def test_provider_error_needs_no_openai() -> None:
    """Where openai is not installed, the error says what its would say."""
    error = ProviderError("No.", status_code=429, body={"message": "No."})
    assert (str(error), error.status_code, error.body) == ("No.", 429, {"message": "No."})
