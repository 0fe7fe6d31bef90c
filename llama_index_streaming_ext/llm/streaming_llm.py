"""`StreamingLLM`: any LLM, whose streams say what happens and how they end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.llm.call import LLMCall
from llama_index_streaming_ext.llm.marks import unmarked_call
from llama_index_streaming_ext.llm.observer import OnIncomplete
from llama_index_streaming_ext.llm.open_streams import track_stream
from llama_index_streaming_ext.llm.options import Options
from llama_index_streaming_ext.llm.overlay import inner_of, options_of, wrap
from llama_index_streaming_ext.llm.reading import answer, answer_sync, read, read_sync
from llama_index_streaming_ext.llm.request_options import usage_kwargs

# For type checkers it is an LLM, as it is for isinstance.
_Base = LLM if TYPE_CHECKING else object


class StreamingLLM(_Base):
    """Any LLM with streams that report their calls and how they end; otherwise what it was.

    `isinstance(w, type(llm))` holds, attributes are read and written through, callbacks count
    once, and structured output stays the provider's own. What is new:

    - inside a run each call is announced (`LLMCallStarted`, `LLMCallFinished` with usage, time to
      first token and finish reason), and so are the arguments of tool calls (`ToolCallDelta`);
    - an answer that is cut off, refused, filtered or broken off is told from a whole one;
    - what the OpenAI classes misread is mended;
    - an LLM that cannot stream answers in one chunk, and one that only streams
      synchronously is read in a thread, so that the event loop stays free.

    The agents of this package wrap their LLM by themselves.

    Args:
        llm: any LLM. A StreamingLLM is not wrapped twice.
        on_incomplete: what to do about an answer that is not whole: `"raise"` one of
            `IncompleteResponse`'s leaves after the text that there is, or `"event"`: write an
            `Incomplete` into the stream of the run.
        strict: raise NotImplementedError where the LLM cannot stream, as upstream does.
        usage: ask the provider for the usage of streamed calls (OpenAI's `stream_options`).
        repairs: mend what the OpenAI classes misread.
        max_lead: how many chunks the LLM may be ahead of the slowest reader of the run; None for
            any number.

    Raises:
        TypeError: `llm` is no LLM.

    Example:
        >>> from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text
        >>> llm = StreamingLLM(FakeStreamingLLM([Turn(text("It is", " sunny."))]))
        >>> "".join(chunk.delta for chunk in llm.stream_complete("How is the weather?"))
        'It is sunny.'
    """

    if not TYPE_CHECKING:
        __slots__ = ()

    def __new__(
        cls,
        llm: LLM,
        *,
        on_incomplete: OnIncomplete = "raise",
        strict: bool = False,
        usage: bool = True,
        repairs: bool = True,
        max_lead: int | None = None,
    ) -> StreamingLLM:
        """Wrap an LLM."""
        options = Options(on_incomplete, strict, usage, repairs, max_lead)
        return streaming(llm, options)  # pyright: ignore[reportReturnType] # it is one

    def __init__(self, llm: LLM, **options: Any) -> None:  # pyright: ignore[reportInconsistentConstructor] # as __new__
        """Set nothing: the state is that of the inner LLM."""

    @property
    def inner(self) -> LLM:
        """The LLM that it wraps."""
        return inner_of(self)

    @property
    def streaming_options(self) -> Options:
        """The options of the wrapper."""
        return options_of(self)

    if TYPE_CHECKING:

        @property
        def metadata(self) -> LLMMetadata:
            """The abilities that the inner LLM reports."""
            ...

    # Streams

    async def astream_chat(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Stream the answer to a chat, as the inner LLM does."""
        return self._astream("astream_chat", args, kwargs)

    def stream_chat(self, *args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        """Stream the answer to a chat, as the inner LLM does."""
        return self._stream("stream_chat", args, kwargs)

    async def astream_complete(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Stream the completion of a prompt, as the inner LLM does."""
        return self._astream("astream_complete", args, kwargs)

    def stream_complete(self, *args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        """Stream the completion of a prompt, as the inner LLM does."""
        return self._stream("stream_complete", args, kwargs)

    # Whole answers

    async def achat(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat, as the inner LLM does."""
        inner = self.inner
        args, kwargs = unmarked_call(args, kwargs)
        return await answer(inner, self.streaming_options, lambda: inner.achat(*args, **kwargs))

    def chat(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat, as the inner LLM does."""
        inner = self.inner
        args, kwargs = unmarked_call(args, kwargs)
        return answer_sync(inner, self.streaming_options, lambda: inner.chat(*args, **kwargs))

    async def acomplete(self, *args: Any, **kwargs: Any) -> Any:
        """Complete a prompt, as the inner LLM does."""
        inner = self.inner
        return await answer(inner, self.streaming_options, lambda: inner.acomplete(*args, **kwargs))

    def complete(self, *args: Any, **kwargs: Any) -> Any:
        """Complete a prompt, as the inner LLM does."""
        inner = self.inner
        return answer_sync(inner, self.streaming_options, lambda: inner.complete(*args, **kwargs))

    # What they share

    def _call(self) -> tuple[LLMCall, LLM, Options]:
        inner, options = self.inner, self.streaming_options
        return LLMCall(inner, options), inner, options

    def _asking(self, method: str, kwargs: dict[str, Any]) -> dict[str, Any]:
        if not self.streaming_options.usage:
            return kwargs
        return {**kwargs, **usage_kwargs(self.inner, method, kwargs)}

    def _astream(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        call, inner, options = self._call()
        args, kwargs = unmarked_call(args, self._asking(method, kwargs))
        return track_stream(read(call, inner, method, args, kwargs, options.strict))

    def _stream(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Generator[Any, None, None]:
        call, inner, options = self._call()
        args, kwargs = unmarked_call(args, self._asking(method, kwargs))
        return track_stream(read_sync(call, inner, method, args, kwargs, options.strict))


class StreamingToolLLM(StreamingLLM):
    """A `StreamingLLM` whose inner LLM calls functions."""

    if not TYPE_CHECKING:
        __slots__ = ()

    async def astream_chat_with_tools(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Stream the answer to a chat with tools, as the inner LLM does."""
        return self._astream("astream_chat_with_tools", args, kwargs)

    def stream_chat_with_tools(self, *args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        """Stream the answer to a chat with tools, as the inner LLM does."""
        return self._stream("stream_chat_with_tools", args, kwargs)

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat with tools, as the inner LLM does."""
        inner: Any = self.inner
        ask = inner.achat_with_tools
        args, kwargs = unmarked_call(args, kwargs)
        return await answer(inner, self.streaming_options, lambda: ask(*args, **kwargs))

    def chat_with_tools(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a chat with tools, as the inner LLM does."""
        inner: Any = self.inner
        ask = inner.chat_with_tools
        args, kwargs = unmarked_call(args, kwargs)
        return answer_sync(inner, self.streaming_options, lambda: ask(*args, **kwargs))


def streaming(llm: LLM, options: Options) -> LLM:
    """Wrap an LLM with options."""
    face = StreamingToolLLM if isinstance(inner_of(llm), FunctionCallingLLM) else StreamingLLM
    return wrap(llm, face, options)
