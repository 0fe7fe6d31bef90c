"""`StreamingLLM`: what it is, and what it says of a call in a run."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms import LLM, MockLLM
from pydantic import PrivateAttr

from llama_index_streaming_ext import (
    Event,
    Incomplete,
    LengthLimit,
    LLMCallFinished,
    LLMCallStarted,
    NotStreamed,
    ProviderFailed,
    StopEvent,
    StreamingHandler,
    StreamingLLM,
    ToolCallDelta,
    Workflow,
    step,
)
from llama_index_streaming_ext.events import StartEvent
from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    FakeStreamingLLM,
    Turn,
    gate,
    parallel,
    text,
    thinking,
    tool_call,
    usage,
)
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.provider_llms import DIALECTS, real, recorded

ASK = [ChatMessage("Hi")]


async def read(llm: LLM) -> list[ChatResponse]:
    """All chunks of a chat."""
    return [chunk async for chunk in await llm.astream_chat(ASK)]


def joined(chunks: list[ChatResponse]) -> str:
    """What they say."""
    return "".join(chunk.delta or "" for chunk in chunks)


class Asks(Workflow):
    """Asks an LLM in a step."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__()
        self.ask = ask

    @step
    async def only(self, ev: StartEvent) -> StopEvent:
        """Ask."""
        return StopEvent(result=await self.ask())


async def seen(handler: StreamingHandler, *types: type[Event]) -> list[Any]:
    """The events of these classes that a run has written."""
    async with asyncio.timeout(120):
        await handler.outcome()
        return [record.event async for record in handler.stream.read(types=types)]


# What it is


def test_it_wraps_an_llm_once() -> None:
    """`.inner` is the LLM itself, also where one is wrapped that is wrapped already."""
    llm = FakeStreamingLLM([])
    once = StreamingLLM(llm)
    assert once.inner is llm
    assert StreamingLLM(once).inner is llm
    assert isinstance(once, StreamingLLM)
    assert isinstance(once, FakeStreamingLLM)


def test_it_wraps_llms_only() -> None:
    """Whatever else is given is refused by a clear error."""
    with pytest.raises(TypeError, match="StreamingLLM wraps an LLM of LlamaIndex"):
        StreamingLLM("gpt-4o")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_incomplete": "ignore"}, "on_incomplete is 'event' or 'raise', not 'ignore'"),
        ({"max_lead": 0}, "max_lead=0: the LLM must be let ahead by 1 chunk at least"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], said: str) -> None:
    """What cannot be is said when it is made."""
    with pytest.raises(ValueError, match=said):
        StreamingLLM(FakeStreamingLLM([]), **options)


def test_its_options_survive_a_pickle() -> None:
    """They travel with the LLM."""
    llm = StreamingLLM(MockLLM(max_tokens=None), on_incomplete="event", max_lead=3)
    again = pickle.loads(pickle.dumps(llm))
    assert again.streaming_options == llm.streaming_options
    assert again.streaming_options.max_lead == 3


def test_an_llm_without_tools_has_no_methods_for_them() -> None:
    """Code that looks whether an LLM has them finds what it would find on the LLM itself."""
    assert not hasattr(StreamingLLM(MockLLM(max_tokens=None)), "astream_chat_with_tools")
    assert hasattr(StreamingLLM(FakeStreamingLLM([])), "astream_chat_with_tools")


# Its chunks


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["stream_chat", "stream_complete"])
async def test_its_text_is_the_llms(dialect: Dialect, method: str) -> None:
    """Sync and async, chat and completion: the deltas of the LLM itself."""
    asked: Any = ASK if method == "stream_chat" else "Hi"
    fake = FakeOpenAI([Turn(text("It is", " sunny."))], repeat_last=True)
    with fake.mock():
        llm: Any = real(fake, dialect)
        for one in (llm, StreamingLLM(llm)):
            assert "".join(c.delta for c in getattr(one, method)(asked)) == "It is sunny."
            chunks = await getattr(one, f"a{method}")(asked)
            assert "".join([c.delta async for c in chunks]) == "It is sunny."


async def test_repairs_are_on_by_default() -> None:
    """U72: the second of two calls in one delta is there; without repairs it is lost."""
    llm = recorded("chat.quirk_two_deltas_one_chunk")
    for repairs, count in ((True, 2), (False, 1)):
        chunks = await read(StreamingLLM(llm, repairs=repairs))
        assert len(llm.get_tool_calls_from_response(chunks[-1])) == count


async def test_usage_is_asked_for() -> None:
    """By `stream_options`, unless it is turned off; the user's own option wins."""
    fake = FakeOpenAI([Turn(text("a"))], repeat_last=True)
    with fake.mock():
        await read(StreamingLLM(fake.llm()))
        await read(StreamingLLM(fake.llm(), usage=False))
        own = {"stream_options": {"include_usage": False}}
        await read(StreamingLLM(fake.llm(additional_kwargs=own)))
    asked = [request.json.get("stream_options") for request in fake.requests]
    assert asked == [{"include_usage": True}, None, {"include_usage": False}]


# What it says in a run


async def test_a_call_in_a_run_is_announced() -> None:
    """Its id, its model, when it began to answer, what it used, and how it ended."""
    turn = Turn(thinking("hm"), text("a", "b"), usage(12, 3))
    llm = StreamingLLM(FakeStreamingLLM([turn], model="m-1"))
    handler = Asks(lambda: read(llm)).run()
    started, finished = await seen(handler, LLMCallStarted, LLMCallFinished)
    assert (started.call_id, started.agent, started.iteration, started.model) == (
        f"{handler.run_id}-1",
        None,
        None,
        "m-1",
    )
    assert (finished.call_id, finished.finish_reason) == (started.call_id, "stop")
    assert (finished.usage.input_tokens, finished.usage.output_tokens) == (12, 3)
    assert 0 <= finished.ttft <= finished.seconds
    assert not finished.partial


@pytest.mark.parametrize("method", ["achat", "acomplete", "chat", "complete", "stream_chat"])
async def test_every_way_to_ask_is_announced(method: str) -> None:
    """Also from a thread, as sync tools are run."""
    llm = StreamingLLM(FakeStreamingLLM([Turn(text("ab"))], usage="always"))
    asked: Any = ASK if "chat" in method else "Hi"

    async def ask() -> str:
        if method.startswith("a"):
            return str(await getattr(llm, method)(asked))
        answer = await asyncio.to_thread(lambda: getattr(llm, method)(asked))
        if method == "stream_chat":
            await asyncio.to_thread(lambda: list(answer))
        return str(answer)

    handler = Asks(ask).run()
    started, finished = await seen(handler, LLMCallStarted, LLMCallFinished)
    assert started.call_id == finished.call_id
    assert finished.finish_reason == "stop"
    usage_of_run = (await handler.outcome()).usage
    assert usage_of_run is not None
    assert usage_of_run.calls == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streams", [True, False])
async def test_arguments_are_told_as_they_are_written(dialect: Dialect, streams: bool) -> None:
    """In pieces where the call streams, in one where it does not (L5)."""
    calls = [tool_call("weather", city="Paris"), tool_call("weather", city="Rome")]
    fake = FakeOpenAI([Turn(parallel(*calls))])
    with fake.mock():
        llm = StreamingLLM(real(fake, dialect))
        handler = Asks(lambda: read(llm) if streams else llm.achat(ASK)).run()
        deltas = await seen(handler, ToolCallDelta)
    told: dict[str, str] = {}
    for delta in deltas:
        told[delta.tool_id] = told.get(delta.tool_id, "") + delta.delta
        assert delta.tool_name == "weather"
        assert delta.text == told[delta.tool_id]
    assert list(told.values()) == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert (len(deltas) > 2) is streams


async def test_a_partial_argument_is_parsed_on_demand() -> None:
    """U22: half a string is shown, where upstream's parser gives None."""
    pieces = ['{"path":"/home', "/user", '"}']
    llm = StreamingLLM(FakeStreamingLLM([Turn(tool_call("read", fragments=pieces))]))
    deltas = await seen(Asks(lambda: read(llm)).run(), ToolCallDelta)
    assert [delta.arguments["path"] for delta in deltas] == ["/home", "/home/user", "/home/user"]


@pytest.mark.parametrize("on_incomplete", ["event", "raise"])
async def test_in_a_run_it_does_what_it_is_set_to(on_incomplete: Any) -> None:
    """An event goes into the run; an error ends it."""
    llm = StreamingLLM(recorded("chat.length"), on_incomplete=on_incomplete)
    handler = Asks(lambda: read(llm)).run()
    events = await seen(handler, Incomplete)
    outcome = await handler.outcome()
    if on_incomplete == "event":
        assert [(event.reason, event.text) for event in events] == [("length", "Once upon")]
        assert outcome.status == "completed"
    else:
        assert not events
        assert isinstance(outcome.error, LengthLimit)
    assert outcome.finish_reason == "length"


@pytest.mark.parametrize("name", ["chat.err_midstream", "responses.failed"])
async def test_a_failure_is_an_event_before_it_raises(name: str) -> None:
    """A provider that has failed leaves nothing to go on with."""
    llm = StreamingLLM(recorded(name), on_incomplete="event")
    handler = Asks(lambda: read(llm)).run()
    incomplete, finished = await seen(handler, Incomplete, LLMCallFinished)
    assert incomplete.reason == finished.finish_reason == "failed"
    assert isinstance((await handler.outcome()).error, ProviderFailed)


async def test_a_call_that_was_broken_off_says_so() -> None:
    """Its usage is not all that was used."""
    llm = StreamingLLM(FakeStreamingLLM([Turn(text("a", "b", "c"))]))

    async def breaks() -> None:
        async for _ in await llm.astream_chat(ASK):
            break

    handler = Asks(breaks).run()
    (finished,) = await seen(handler, LLMCallFinished)
    assert (finished.finish_reason, finished.partial) == ("cancelled", True)
    usage_of_run = (await handler.outcome()).usage
    assert usage_of_run is not None
    assert usage_of_run.partial


async def test_calls_side_by_side_have_their_own_ids() -> None:
    """Their events are told apart by them."""
    llm = StreamingLLM(FakeStreamingLLM([Turn(text("a", "b"))], repeat_last=True))

    async def both() -> None:
        await asyncio.gather(read(llm), read(llm))

    events = await seen(Asks(both).run(), LLMCallStarted, LLMCallFinished)
    ids = [event.call_id for event in events]
    assert len(set(ids)) == 2
    assert all(ids.count(call_id) == 2 for call_id in ids)


async def test_outside_of_a_run_calls_have_ids_too() -> None:
    """Those of two calls differ."""
    ids: set[str] = set()
    for _ in range(2):
        with pytest.raises(LengthLimit) as raised:
            await read(StreamingLLM(recorded("chat.length")))
        ids.add(raised.value.call_id)
    assert len(ids) == 2


# Any LLM


class Blocks(MockLLM):
    """Streams synchronously only, as a local model does; each token waits for the test."""

    _steps: threading.Semaphore = PrivateAttr(default_factory=lambda: threading.Semaphore(0))

    def release(self) -> None:
        """Let it make a token."""
        self._steps.release()

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Three tokens."""

        def tokens() -> Any:
            so_far = ""
            for token in ("a", "b", "c"):
                assert self._steps.acquire(timeout=120)
                so_far += token
                yield CompletionResponse(text=so_far, delta=token)

        return tokens()


async def test_a_sync_llm_streams_as_it_goes() -> None:
    """U33: it is read in a thread; a token is here before the next one is made."""
    llm: Any = StreamingLLM(Blocks(max_tokens=None))
    got: list[str] = []
    llm.release()
    async for chunk in await llm.astream_complete("Hi"):
        got.append(chunk.delta or "")
        llm.release()
    assert got == ["a", "b", "c"]


async def test_an_llm_that_cannot_stream_answers_in_one_chunk() -> None:
    """U33: and an event says so."""
    fake = FakeStreamingLLM([Turn(text("It is", " sunny."))], streaming=False)
    llm = StreamingLLM(fake)

    async def ask() -> list[str | None]:
        return [chunk.delta for chunk in await read(llm)]

    handler = Asks(ask).run()
    (event,) = await seen(handler, NotStreamed)
    assert (await handler.outcome()).result == ["It is sunny."]
    assert event.model == "fake"


async def test_strict_raises_where_it_cannot_stream() -> None:
    """As upstream does."""
    llm = StreamingLLM(FakeStreamingLLM([Turn(text("a"))], streaming=False), strict=True)
    with pytest.raises(NotImplementedError):
        await read(llm)
    with pytest.raises(NotImplementedError):
        list(llm.stream_chat(ASK))


async def test_a_call_that_waits_does_not_hold_others_up() -> None:
    """Nothing of a call is shared with others."""
    llm = StreamingLLM(FakeStreamingLLM([Turn(text("a"), gate("go")), Turn(text("b"))]))
    waiting = asyncio.create_task(read(llm))
    await asyncio.sleep(0)
    assert joined(await read(llm)) == "b"
    inner: Any = llm.inner
    inner.open("go")
    assert joined(await waiting) == "a"
