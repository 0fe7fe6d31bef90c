"""Whichever faces an LLM lacks, it is asked by the best that it has."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from typing import Any, cast

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.llms import LLM, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import (
    llm_chat_callback,  # pyright: ignore[reportUnknownVariableType]
)
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLMWithChatMemoryOfLastCall

from llama_index_streaming_ext.llm.fallbacks import (
    AsyncMethod,
    AsyncStreaming,
    Opened,
    Streaming,
    blocks_the_loop,
    open_stream,
    open_stream_sync,
    register_sync_only,
)
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text

HI = [ChatMessage("hi")]
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


def chunk(delta: str) -> ChatResponse:
    """A chunk of a chat."""
    return ChatResponse(message=ChatMessage(delta, role="assistant"), delta=delta)


ANSWER = ChatResponse(message=ChatMessage("all of it", role="assistant"))


def with_methods(name: str, base: type[LLM], **methods: Any) -> type[LLM]:
    """An LLM class that has some methods."""
    return cast("Any", type(base))(name, (base,), {"__module__": __name__, **methods})


def missing(name: str) -> Any:
    """A method that is not implemented: it raises before there is anything to await."""

    def method(*_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"no {name}")

    return method


def _stream(*_: Any) -> Any:
    assert threading.current_thread() is not threading.main_thread()
    yield chunk("a")
    yield chunk(tenant.get())


def _late(*_: Any) -> Any:
    # U76: nothing is asked before the first chunk.
    raise NotImplementedError("not implemented, late")
    yield chunk("")


async def _alate(*_: Any) -> Any:
    raise NotImplementedError("not implemented, late")
    yield chunk("")


def _answer(*_: Any) -> Any:
    return chunk(tenant.get())


async def _aanswer(*_: Any) -> Any:
    return ANSWER


async def _acomplete(*_: Any, **__: Any) -> Any:
    return CompletionResponse(text="all of it")


async def _agen(*_: Any) -> AsyncGenerator[ChatResponse]:
    yield chunk("a")
    yield chunk("b")


async def _gen(*_: Any) -> Any:
    return (chunk(delta) for delta in "ab")


def _thread_name(*_: Any, **__: Any) -> Any:
    yield CompletionResponse(text="", delta=threading.current_thread().name)


FACES = ("chat", "stream_chat", "complete", "stream_complete")
NOTHING = {name: missing(name) for face in FACES for name in (face, f"a{face}")}
Bare = with_methods("Bare", LLM, metadata=property(lambda self: LLMMetadata()), **NOTHING)
SyncStreams = with_methods("SyncStreams", Bare, stream_chat=_stream)
LateStreams = with_methods("LateStreams", SyncStreams, astream_chat=_alate)
Answers = with_methods("Answers", Bare, achat=_aanswer, acomplete=_acomplete)
SyncAnswers = with_methods("SyncAnswers", Bare, chat=_answer)
LateAnswers = with_methods("LateAnswers", SyncAnswers, stream_chat=_late)
# U80: one cannot be awaited, and what the other gives cannot be read by `async for`.
AsyncGenFunction = with_methods("AsyncGenFunction", Bare, astream_chat=_agen)
SyncGenFromAsync = with_methods("SyncGenFromAsync", Bare, astream_chat=_gen)
Custom = with_methods("Custom", MockLLM, stream_complete=_thread_name)
CustomAsync = with_methods("CustomAsync", Custom, astream_chat=_agen)


async def opened(llm: LLM, method: AsyncStreaming = "astream_chat", strict: bool = False) -> Opened:
    """A stream of an LLM that is asked for nothing in particular."""
    return await open_stream(llm, method, ["hi" if "comp" in method else HI], {}, strict=strict)


async def deltas(stream: Opened) -> list[str | None]:
    """What is read of a stream."""
    return [chunk.delta async for chunk in stream]


@pytest.mark.parametrize(
    ("llm", "expected", "streamed"),
    [
        (FakeStreamingLLM([Turn(text("a", "b"))]), ["", "a", "b", ""], True),
        (FakeStreamingLLM([Turn(text("a", "b"))], sync_only=True), ["", "a", "b", ""], True),
        (FakeStreamingLLM([Turn(text("a", "b"))], streaming=False), ["ab"], False),
        (FakeStreamingLLM("ab", streaming=False, sync_only=True), ["ab"], False),
        (MockFunctionCallingLLM(), ["hi"], True),
        (SyncStreams(), ["a", "caller"], True),
        (LateStreams(), ["a", "caller"], True),
        (AsyncGenFunction(), ["a", "b"], True),
        (SyncGenFromAsync(), ["a", "b"], True),
        (Answers(), ["all of it"], False),
        (SyncAnswers(), ["caller"], False),
        (CustomAsync(), ["a", "b"], True),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_the_best_method_answers(llm: LLM, expected: list[str], streamed: bool) -> None:
    """It streams if it can, on the loop or else in a thread, and says whether it does."""
    tenant.set("caller")
    stream = await opened(llm)
    assert stream.streamed is None
    assert await deltas(stream) == expected
    assert stream.streamed is streamed


@pytest.mark.parametrize("method", ["astream_chat", "astream_complete"])
async def test_a_custom_llm_runs_in_a_thread(method: AsyncStreaming) -> None:
    """U33: what would block the loop does not run on it, strict or not."""
    (thread,) = await deltas(await opened(Custom(), method, strict=True))
    assert thread not in (None, threading.current_thread().name)


@pytest.mark.parametrize("sync_only", [False, True])
async def test_chats_with_tools_fall_back_too(sync_only: bool) -> None:
    """`astream_chat_with_tools` has `achat_with_tools` behind it."""
    llm = FakeStreamingLLM("ab", streaming=False, sync_only=sync_only)
    stream = await open_stream(
        llm, "astream_chat_with_tools", [[]], {"chat_history": HI}, strict=False
    )
    assert (await deltas(stream), stream.streamed) == (["ab"], False)
    assert [message.content for message in llm.calls[-1].messages] == ["hi"]


async def test_a_whole_answer_is_copied() -> None:
    """Callbacks and instrumentation hold the answer; its delta is not set under their hands."""
    assert await deltas(await opened(Answers())) == ["all of it"]
    assert ANSWER.delta is None


async def test_completions_fall_back_too() -> None:
    """`astream_complete` has `acomplete` behind it."""
    stream = await opened(Answers(), "astream_complete")
    assert (await deltas(stream), stream.streamed) == (["all of it"], False)


async def test_strict_raises_at_the_call_what_upstream_raises_there() -> None:
    """An LLM without async streams is then an error, although it has others."""
    with pytest.raises(NotImplementedError, match="no astream_chat"):
        await opened(SyncStreams(), strict=True)


async def test_strict_raises_at_the_first_chunk_what_upstream_raises_there() -> None:
    """U76: some LLMs say it as late as that."""
    stream = await opened(LateStreams(), strict=True)
    with pytest.raises(NotImplementedError, match="late"):
        await anext(stream)


async def test_an_llm_without_any_method_raises_the_first_error() -> None:
    """The method that was asked for is the one that is missed."""
    with pytest.raises(NotImplementedError, match="no astream_chat"):
        await deltas(await opened(Bare()))


async def test_an_error_in_the_middle_is_no_reason_to_ask_again() -> None:
    """What was read would come twice."""

    async def breaks(*_: Any) -> Any:
        yield chunk("a")
        raise NotImplementedError("no images")

    stream = await opened(with_methods("Breaks", Answers, astream_chat=breaks)())
    assert (await anext(stream)).delta == "a"
    with pytest.raises(NotImplementedError, match="no images"):
        await anext(stream)


async def test_other_errors_pass() -> None:
    """A provider that fails is not asked in another way."""
    error = ConnectionError("no provider")

    async def fails(*_: Any) -> Any:
        raise error

    with pytest.raises(ConnectionError) as raised:
        await opened(with_methods("Fails", Answers, astream_chat=fails)())
    assert raised.value is error


async def test_a_stream_without_chunks_is_a_stream() -> None:
    """No other method is asked, because nothing is missing."""

    async def silent(*_: Any) -> Any:
        return iter(())

    stream = await opened(with_methods("Silent", Answers, astream_chat=silent)())
    assert (await deltas(stream), stream.streamed) == ([], True)


async def test_what_is_no_stream_is_a_clear_error() -> None:
    """It names the method that is wrong."""
    with pytest.raises(TypeError, match=r"Wrong\.astream_chat\(\) gave .* ChatResponse instead"):
        await opened(with_methods("Wrong", Bare, astream_chat=_aanswer)())


async def test_closing_closes_the_llms_own_generator() -> None:
    """U58: it does so before `aclose()` returns, beneath core's wrapper."""
    # Held here, so that no garbage collection closes it.
    inner = _agen()

    async def gives(self: LLM, messages: Any) -> Any:
        return inner

    decorated = cast("Any", llm_chat_callback())(gives)
    async with aclosing(await opened(with_methods("D", Bare, astream_chat=decorated)())) as stream:
        await anext(stream)
    assert cast("Any", inner).ag_frame is None


@pytest.mark.parametrize("method", ["astream_chat", "astream_complete"])
async def test_closing_ends_the_call_at_once(method: AsyncStreaming) -> None:
    """U58: no further chunk is pulled, and nothing waits for the garbage collector."""
    llm = FakeStreamingLLM([Turn(text("a", "b", "c"))])
    async with aclosing(await opened(llm, method)) as stream:
        await anext(stream)
    assert (llm.calls[0].closed_by, llm.calls[0].chunks) == ("CancelledError", 1)


async def test_a_stream_that_is_closed_is_empty() -> None:
    """Also where nothing was read, and where it is closed again."""
    stream = await opened(Answers())
    await stream.aclose()
    await stream.aclose()
    assert await deltas(stream) == []


async def test_cancelling_the_reader_ends_the_call() -> None:
    """The LLM's generator sees the cancellation."""
    llm = FakeStreamingLLM([Turn(gate("never"), text("a"))])

    async def read() -> None:
        await deltas(await opened(llm))

    reading = asyncio.create_task(read())
    while not llm.calls:  # noqa: ASYNC110 # it tells nobody
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert llm.calls[0].closed_by == "CancelledError"


@pytest.mark.parametrize(
    ("llm", "method", "blocks"),
    [
        (MockLLM(), "astream_chat", True),
        (MockLLM(), "astream_complete", True),
        (MockLLM(), "achat", True),
        (Custom(), "acomplete", True),
        (Custom(), "astream_chat_with_tools", False),
        (CustomAsync(), "astream_chat", False),
        (CustomAsync(), "astream_complete", True),
        (MockLLMWithChatMemoryOfLastCall(max_tokens=1), "astream_chat", True),
        (MockFunctionCallingLLM(), "astream_chat", False),
        (MockFunctionCallingLLM(), "astream_chat_with_tools", False),
        (FakeStreamingLLM(), "astream_chat", False),
        (FakeStreamingLLM(sync_only=True), "astream_chat_with_tools", True),
        (FakeStreamingLLM(sync_only=True), "achat", True),
        (Bare(), "astream_chat", False),
    ],
)
def test_what_blocks_the_loop_is_known(llm: LLM, method: AsyncMethod, blocks: bool) -> None:
    """Core's defaults, and what an LLM says of itself."""
    assert blocks_the_loop(llm, method) is blocks


def test_a_decorated_default_still_blocks() -> None:
    """A decorator that says what it wraps is looked through."""

    @functools.wraps(CustomLLM.astream_chat)
    async def logged(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await CustomLLM.astream_chat(self, *args, **kwargs)

    assert blocks_the_loop(with_methods("Logged", Custom, astream_chat=logged)())


def test_core_s_methods_with_tools_block_where_those_without_do() -> None:
    """They do nothing but go on to them."""
    mixed = with_methods("Mixed", MockFunctionCallingLLM, astream_chat=CustomLLM.astream_chat)()
    assert blocks_the_loop(mixed, "astream_chat_with_tools")
    assert not blocks_the_loop(mixed, "achat_with_tools")


def test_users_register_what_cannot_be_known() -> None:
    """For the class, and for its subclasses as far as they do not override the method."""
    mine = with_methods("Mine", Answers)
    theirs = with_methods("Theirs", mine, achat=_acomplete)
    assert not blocks_the_loop(mine())
    assert register_sync_only(mine) is mine
    assert not blocks_the_loop(Answers())
    assert [blocks_the_loop(llm(), "achat") for llm in (mine, theirs)] == [True, False]
    assert blocks_the_loop(theirs(), "astream_chat")
    with pytest.raises(TypeError, match="class of the LLM, not a Mine"):
        register_sync_only(cast("Any", mine()))


async def test_methods_that_do_not_exist_are_clear_errors() -> None:
    """Instead of an AttributeError in the middle of a run."""
    with pytest.raises(ValueError, match="'stream_chat' is not one of the methods astream_chat,"):
        await opened(Bare(), cast("Any", "stream_chat"))
    with pytest.raises(ValueError, match="'astream_chat' is not one of the methods stream_chat,"):
        open_stream_sync(Bare(), cast("Any", "astream_chat"), [HI], {}, strict=False)
    with pytest.raises(ValueError, match="'chat' is not one of"):
        blocks_the_loop(Bare(), cast("Any", "chat"))


@pytest.mark.parametrize(
    ("llm", "method", "got", "streamed"),
    [
        (FakeStreamingLLM("ab"), "stream_chat", "ab", True),
        (FakeStreamingLLM("ab"), "stream_complete", "ab", True),
        (FakeStreamingLLM("ab", streaming=False), "stream_chat", "ab", False),
        (FakeStreamingLLM("ab", streaming=False), "stream_complete", "ab", False),
        (MockLLM(max_tokens=3), "stream_chat", "text text text", True),
        (
            LateAnswers(),
            "stream_chat",
            "nobody",
            False,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sync_streams_fall_back_too(llm: LLM, method: Streaming, got: str, streamed: bool) -> None:
    """To the method that answers at once."""
    stream = open_stream_sync(llm, method, ["hi" if "comp" in method else HI], {}, strict=False)
    assert ("".join(chunk.delta or "" for chunk in stream), stream.streamed) == (got, streamed)


@pytest.mark.parametrize(("llm", "strict"), [(Answers(), False), (SyncAnswers(), True)])
def test_sync_streams_that_are_missing_are_errors(llm: LLM, strict: bool) -> None:
    """Where the LLM has async methods only, and where that is asked for."""
    with pytest.raises(NotImplementedError, match="no stream_chat"):
        list(open_stream_sync(llm, "stream_chat", [HI], {}, strict=strict))


def test_closing_a_sync_stream_ends_the_call() -> None:
    """No further chunk is pulled, and none comes."""
    llm = FakeStreamingLLM("abc")
    with closing(open_stream_sync(llm, "stream_chat", [HI], {}, strict=False)) as stream:
        next(stream)
    assert llm.calls[0].closed_by == "GeneratorExit"
    assert list(stream) == []


def test_what_is_no_sync_stream_is_a_clear_error() -> None:
    """It names the method that is wrong, also where an answer is."""
    wrong = with_methods("Wrong", Bare, stream_chat=_answer, complete=_thread_name)()
    with pytest.raises(TypeError, match=r"Wrong\.stream_chat\(\) gave .* ChatResponse instead"):
        open_stream_sync(wrong, "stream_chat", [HI], {}, strict=False)
    with pytest.raises(TypeError, match=r"Wrong\.complete\(\) gave .* generator instead"):
        next(open_stream_sync(wrong, "stream_complete", ["hi"], {}, strict=False))
