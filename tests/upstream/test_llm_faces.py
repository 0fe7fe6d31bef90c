"""Which faces of an LLM are real, and what core's wrappers around them leave open."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest
from llama_index.core.base.llms.generic_utils import astream_chat_response_to_completion_response
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
)
from llama_index.core.llms import CustomLLM, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import (
    llm_chat_callback,  # pyright: ignore[reportUnknownVariableType] -- as core's own code has it
)
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLMWithChatMemoryOfLastCall
from llama_index.core.llms.structured_llm import StructuredLLM
from pydantic import BaseModel

HI = [ChatMessage("hi")]


class Tells(CustomLLM):
    """Tells in which thread its sync methods run."""

    @property
    def metadata(self) -> LLMMetadata:
        """Nothing."""
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The thread."""
        return CompletionResponse(text=threading.current_thread().name)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """The thread."""
        yield CompletionResponse(text="", delta=threading.current_thread().name)


class WrongKind(MockFunctionCallingLLM):
    """Its async streaming method is itself an async generator."""

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        """One chunk."""
        yield ChatResponse(message=ChatMessage("a"), delta="a")


async def one() -> AsyncGenerator[ChatResponse]:
    """A stream of an LLM, which is closed before it ends."""
    yield ChatResponse(message=ChatMessage("a"), delta="a")
    yield ChatResponse(message=ChatMessage("ab"), delta="b")


async def test_u33_custom_llms_run_on_the_loop() -> None:
    """All async methods of core's CustomLLM call the sync ones in the thread of the loop."""
    llm, here = Tells(), threading.current_thread().name
    assert [c.delta async for c in await llm.astream_chat(HI)] == [here]
    assert [c.delta async for c in await llm.astream_complete("hi")] == [here]
    assert (await llm.achat(HI)).message.content == here
    assert (await llm.acomplete("hi")).text == here


def test_u33_subclasses_of_custom_llms_have_the_very_function() -> None:
    """By that it is known; HuggingFaceLLM is such a subclass, and overrides sync methods only."""
    for method in ("astream_chat", "astream_complete", "achat", "acomplete"):
        own, core = (inspect.getattr_static(cls, method) for cls in (Tells, CustomLLM))
        assert own is core


async def test_u33_a_mock_that_overrides_them_goes_back_to_them() -> None:
    """So it blocks, too, although its methods are its own."""
    llm = MockLLMWithChatMemoryOfLastCall(max_tokens=1)
    assert [c.delta async for c in await llm.astream_chat(HI)] == ["text"]
    assert llm.last_called_chat_function == ["astream_chat", "stream_chat"]


def test_u33_callbacks_are_no_wrappers_to_inspect() -> None:
    """`__wrapped__` is True on what they decorate, where `inspect.unwrap` expects a function."""

    def method(self: Any, messages: Sequence[ChatMessage]) -> None: ...

    decorated = cast("Any", llm_chat_callback())(method)
    assert cast("Any", method).__wrapped__ is True
    assert inspect.unwrap(decorated) is decorated
    assert cast("Any", inspect.unwrap)(method) is True


async def test_u33_a_face_that_is_missing_ends_the_call() -> None:
    """Nothing is asked instead."""

    class Answer(BaseModel):
        answer: str

    llm = StructuredLLM(llm=MockLLM(max_tokens=1), output_cls=Answer)
    with pytest.raises(NotImplementedError, match="astream_complete is not supported"):
        await llm.astream_complete("hi")
    with pytest.raises(NotImplementedError, match="stream_complete is not supported"):
        llm.stream_complete("hi")


async def test_u58_closing_a_wrapped_stream_leaves_the_llms_own_open() -> None:
    """Core's callbacks do not close what they wrap; it is in their frame, as `f_locals` tells."""

    class Streams(MockFunctionCallingLLM):
        @cast("Any", llm_chat_callback())
        async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
            return inner

    inner = cast("Any", one())
    outer = await Streams().astream_chat(HI)
    await anext(outer)
    assert inner in outer.ag_frame.f_locals.values()
    assert outer.ag_frame.f_globals["__name__"] == "llama_index.core.llms.callbacks"
    await outer.aclose()
    assert inner.ag_frame is not None
    await inner.aclose()


async def test_u58_so_do_the_helpers_that_turn_chats_into_completions() -> None:
    """`astream_complete` of many LLMs is one of them around `astream_chat`."""
    inner = cast("Any", one())
    outer = cast("Any", astream_chat_response_to_completion_response(inner))
    await anext(outer)
    assert inner in outer.ag_frame.f_locals.values()
    assert outer.ag_frame.f_globals["__name__"].startswith("llama_index.core.")
    await outer.aclose()
    assert inner.ag_frame is not None
    await inner.aclose()


async def test_u76_a_sync_stream_is_asked_at_its_first_chunk() -> None:
    """What is missing may therefore be said as late as that."""

    class Missing(Tells):
        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            raise NotImplementedError("no streams")
            yield

    stream = await Missing().astream_chat(HI)
    with pytest.raises(NotImplementedError, match="no streams"):
        await anext(stream)


async def test_u80_an_async_generator_function_cannot_be_awaited() -> None:
    """It gives its chunks all the same, but core's method with tools awaits it."""
    llm = WrongKind()
    assert [c.delta async for c in cast("Any", llm.astream_chat(HI))] == ["a"]
    with pytest.raises(TypeError, match="can't be used in 'await' expression"):
        await llm.astream_chat_with_tools([], chat_history=HI)


async def test_u80_a_sync_generator_breaks_the_async_mock() -> None:
    """The generator that MockFunctionCallingLLM is given has to be of the right kind."""
    llm = MockFunctionCallingLLM(response_generator=lambda *_, **__: iter([ChatMessage("a")]))  # pyright: ignore
    assert [c.delta for c in llm.stream_chat(HI)] == ["a"]
    with pytest.raises(TypeError, match="async for"):
        await anext(await llm.astream_chat(HI))
