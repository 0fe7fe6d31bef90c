"""The fake LLM, with the chunks that the OpenAI classes of LlamaIndex yield."""

from __future__ import annotations

import asyncio
import difflib
import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    astream_chat_to_completion_decorator,
    chat_to_completion_decorator,
    stream_chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.llms.callbacks import (
    llm_chat_callback,  # pyright: ignore[reportUnknownVariableType]
    llm_completion_callback,  # pyright: ignore[reportUnknownVariableType]
)
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool

from llama_index_streaming_ext.testing.errors import UnexpectedLLMCall
from llama_index_streaming_ext.testing.fake_llm.calls import Call, request_of
from llama_index_streaming_ext.testing.fake_llm.fold_chat import ChatFold, fold_chat, one_call_only
from llama_index_streaming_ext.testing.fake_llm.fold_responses import ResponsesFold, fold_response
from llama_index_streaming_ext.testing.fake_llm.play import Fold, Player
from llama_index_streaming_ext.testing.fake_llm.state import FakeState
from llama_index_streaming_ext.testing.fake_llm.structured import StructuredAnswers
from llama_index_streaming_ext.testing.fake_llm.tool_format import (
    chat_with_tools_kwargs,
    tool_selections,
)
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.script.turns import Script, Turn
from llama_index_streaming_ext.testing.wire.items import Dialect

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _Decorator(Protocol):
    """The type of core's callback decorators: the result has the type of the method."""

    def __call__(self, method: _Method, /) -> _Method: ...


# The real class is decorated: token counters and instrumentation see its calls by that.
_chat_callback = cast("_Decorator", llm_chat_callback())
_completion_callback = cast("_Decorator", llm_completion_callback())


class FakeStreamingLLM(StructuredAnswers):
    """An LLM that answers as a script says, and records the calls that it gets.

    It is a real `FunctionCallingLLM`: agents, query engines and chat engines run on it. Chunk by
    chunk it yields what `OpenAI` (or, with `dialect="responses"`, `OpenAIResponses`) of LlamaIndex
    would yield, had the provider sent the script. Copies share the script's position, the record
    and the gates; a pickled one is independent.

    Args:
        script: the answers: a list of `Turn`s, one for each call; a single turn or a str; or a
            function of the request.
        strict: whether a call without a turn raises `UnexpectedLLMCall`; otherwise its answer is
            empty.
        repeat_last: whether the last turn answers all calls after it.
        kwargs: the fields of the class, such as `dialect="responses"` or `model="gpt-4o"`.

    Raises:
        TypeError: there is no such option, or the script is none.

    Example:
        >>> llm = FakeStreamingLLM([Turn(text("It is", " sunny."))])
        >>> [chunk.delta for chunk in llm.stream_complete("How is the weather?")]
        ['', 'It is', ' sunny.', '']
        >>> llm.calls[0].closed_by
        'finished'
    """

    # What a StreamingLLM and a query know of its class.
    speaks_openai: ClassVar[bool] = True
    any_loop: ClassVar[bool] = True

    dialect: Dialect = Field(default="chat", description="The API whose chunks it yields.")
    faithful: bool = Field(
        default=True, description="Whether it has the defects of the real class, too."
    )
    usage: Literal["asked", "always"] = Field(
        default="asked",
        description="When streams end with usage: if the request asks for it, or always.",
    )
    model: str = Field(default="fake", description="The name that it goes by.")
    context_window: int = Field(default=128_000, description="How many tokens it can read.")
    is_chat_model: bool = Field(default=True, description="Whether it says that it chats.")
    is_function_calling_model: bool = Field(
        default=True, description="Whether it says that it calls tools."
    )
    streaming: bool = Field(default=True, description="Whether it can stream.")
    sync_only: bool = Field(
        default=False, description="Whether its async face blocks the event loop."
    )
    strict_history: bool = Field(
        default=True,
        description="Whether a conversation that OpenAI refuses raises OpenAI's error.",
    )
    max_retries: int = Field(default=3, description="How often it tries again after `http(429)`.")
    additional_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="What is added to every request."
    )

    _state: FakeState = PrivateAttr()

    def __init__(
        self, script: Script = (), *, strict: bool = True, repeat_last: bool = False, **kwargs: Any
    ) -> None:
        unknown = [name for name in kwargs if name not in type(self).model_fields]
        if unknown:
            near = difflib.get_close_matches(
                unknown[0], [*type(self).model_fields, "strict", "repeat_last"], n=1
            )
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise TypeError(f"FakeStreamingLLM has no option '{unknown[0]}'.{hint}")
        super().__init__(**kwargs)
        self._state = FakeState(script, strict=strict, repeat_last=repeat_last)

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class in payloads."""
        return "fake_streaming_llm"

    @property
    def metadata(self) -> LLMMetadata:
        """The abilities that the LLM reports: chat, function calling, context window."""
        return LLMMetadata(
            context_window=self.context_window,
            is_chat_model=self.is_chat_model,
            is_function_calling_model=self.is_function_calling_model,
            model_name=self.model,
        )

    @property
    def calls(self) -> list[Call]:
        """The calls so far, in the order in which their requests were made."""
        return self._state.calls

    @property
    def left(self) -> list[Turn]:
        """The turns that no call has taken yet; empty if the script is a function."""
        return self._state.playback.left

    @property
    def unexpected(self) -> list[UnexpectedLLMCall]:
        """The calls that the script had no turn for."""
        return self._state.playback.unexpected

    def open(self, gate: str) -> None:
        """Open the gate of that name. Any thread may call it."""
        self._state.gates.open(gate)

    @_chat_callback
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer messages."""
        return self._chat(messages, **kwargs)

    @_chat_callback
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Answer messages, chunk by chunk."""
        return self._stream_chat(messages, **kwargs)

    @_completion_callback
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a prompt."""
        return chat_to_completion_decorator(self._chat)(prompt, **kwargs)

    @_completion_callback
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Answer a prompt, chunk by chunk."""
        return stream_chat_to_completion_decorator(self._stream_chat)(prompt, **kwargs)

    @_chat_callback
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer messages."""
        return await self._achat(messages, **kwargs)

    @_chat_callback
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Answer messages, chunk by chunk."""
        return await self._astream_chat(messages, **kwargs)

    @_completion_callback
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """Answer a prompt."""
        return await achat_to_completion_decorator(self._achat)(prompt, **kwargs)

    @_completion_callback
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        """Answer a prompt, chunk by chunk."""
        return await astream_chat_to_completion_decorator(self._astream_chat)(prompt, **kwargs)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of a chunk or an answer, as far as their arguments can be read."""
        return tool_selections(response, self.dialect, required=error_on_no_tool_call)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool | None = None,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        asked = [ChatMessage(user_msg)] if isinstance(user_msg, str) else [user_msg]
        messages = [*(chat_history or ()), *(m for m in asked if m is not None)]
        offered = chat_with_tools_kwargs(
            tools,
            self.dialect,
            parallel=allow_parallel_tool_calls,
            choice=tool_choice,
            required=tool_required,
            strict=bool(strict),
        )
        return {"messages": messages, **offered, **kwargs}

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        if self.dialect == "chat" and not allow_parallel_tool_calls:
            one_call_only(response)
        return response

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        call, player = self._begin(messages, kwargs, stream=False)
        with call.open():
            for step in player.full(self._full_fold(is_async=False)):
                if isinstance(step, ChatResponse):
                    call.produced()
                    return step
                self._state.pause(step)
        raise AssertionError("an answer ends with itself or an error")

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if self.sync_only:
            return self._chat(messages, **kwargs)
        call, player = self._begin(messages, kwargs, stream=False)
        with call.open():
            for step in player.full(self._full_fold(is_async=True)):
                await asyncio.sleep(0)
                if isinstance(step, ChatResponse):
                    call.produced()
                    return step
                await self._state.apause(step)
        raise AssertionError("an answer ends with itself or an error")

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        self._check_streaming()

        # U76: the request is made at the first next(), not at the call.
        def gen() -> ChatResponseGen:
            call, player = self._begin(messages, kwargs, stream=True)
            with call.open():
                for step in player.stream(self._stream_fold(is_async=False)):
                    if isinstance(step, ChatResponse):
                        call.produced()
                        yield step
                    else:
                        self._state.pause(step)

        return gen()

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        self._check_streaming()

        async def gen() -> ChatResponseAsyncGen:
            call, player = self._begin(messages, kwargs, stream=True)
            with call.open():
                for step in player.stream(self._stream_fold(is_async=True)):
                    await asyncio.sleep(0)
                    if isinstance(step, ChatResponse):
                        call.produced()
                        yield step
                    else:
                        await self._state.apause(step)

        async def blocking() -> ChatResponseAsyncGen:
            for chunk in self._stream_chat(messages, **kwargs):
                yield chunk

        return blocking() if self.sync_only else gen()

    def _check_streaming(self) -> None:
        if not self.streaming:
            raise NotImplementedError("This LLM does not stream: it has streaming=False.")

    def _begin(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool
    ) -> tuple[Call, Player]:
        call = Call(messages, kwargs)
        self._state.calls.append(call)
        request = self._request(messages, kwargs, stream=stream)
        return call, Player(
            self._state.playback,
            request,
            call,
            self.max_retries,
            strict_history=self.strict_history,
        )

    def _request(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool
    ) -> Request:
        sent = {**kwargs, **self.additional_kwargs}
        if self.usage == "always":
            sent["stream_options"] = {"include_usage": True}
        return request_of(messages, sent, stream=stream, dialect=self.dialect)

    def _next_is_text(self, messages: Sequence[ChatMessage], *, stream: bool) -> bool:
        if stream and self.dialect == "responses":
            # That class asks for JSON only where it does not stream.
            return False
        turn = self._state.playback.peek(self._request(messages, {}, stream=False))
        return turn is not None and not turn.tool_calls

    def _stream_fold(self, *, is_async: bool) -> Fold:
        if self.dialect == "responses":
            return ResponsesFold(faithful=self.faithful)
        return ChatFold(faithful=self.faithful, is_async=is_async)

    def _full_fold(self, *, is_async: bool) -> Callable[[dict[str, Any]], ChatResponse]:
        if self.dialect == "chat":
            return fold_chat
        return functools.partial(fold_response, faithful=self.faithful, is_async=is_async)

    def __getstate__(self) -> dict[str, Any]:
        # Core's drops what cannot be pickled, with a warning; a fake without script is no use.
        state = super().__getstate__()
        state["__pydantic_private__"] = {"_state": self._state}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["__dict__"])
        self._state = state["__pydantic_private__"]["_state"]
