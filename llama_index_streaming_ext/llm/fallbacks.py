"""The methods of an LLM that really stream, and the substitutes for those that do not.

An LLM of LlamaIndex has four faces: sync and async, streaming and not. Few have all of them.
What an LLM lacks says so by `NotImplementedError`, some at the call and some at the first chunk
(U76); what blocks the event loop says nothing at all (U33).
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from typing import Any, Generic, Literal, NamedTuple, Self, TypeAlias, TypeVar, cast, get_args

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM, CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.llm.closing import aclose, close
from llama_index_streaming_ext.threads.to_thread import pumped

Chunk: TypeAlias = ChatResponse | CompletionResponse
"""The kind of chunks of an LLM's stream."""
AsyncStreaming: TypeAlias = Literal["astream_chat", "astream_chat_with_tools", "astream_complete"]
Streaming: TypeAlias = Literal["stream_chat", "stream_chat_with_tools", "stream_complete"]
AsyncMethod: TypeAlias = AsyncStreaming | Literal["achat", "achat_with_tools", "acomplete"]

_Class = TypeVar("_Class", bound=type)

_registered: weakref.WeakSet[type] = weakref.WeakSet()
# By name, because importing them would need what they need. Read in llama-index-llms-langchain
# 0.9.0, llama-index-llms-vllm 0.8.0, and core, whose mock calls super() of CustomLLM.
_KNOWN = (
    "llama_index.llms.langchain.base.LangChainLLM",
    "llama_index.llms.vllm.base.VllmServer",
    "llama_index.core.llms.mock.MockLLMWithChatMemoryOfLastCall",
)


def register_sync_only(cls: _Class) -> _Class:
    """Register a class of LLMs whose async methods merely call its sync ones.

    Their sync counterparts then run in threads. It holds for subclasses, too, as far as they do
    not override the method in question.

    Args:
        cls: the class. It is returned, so that this can be used as a decorator.

    Raises:
        TypeError: it is no class.
    """
    if not isinstance(cls, type):  # pyright: ignore[reportUnnecessaryIsInstance] -- not all type
        raise TypeError(f"Register the class of the LLM, not a {type(cls).__name__}.")
    _registered.add(cls)
    return cls


def blocks_the_loop(llm: LLM, method: AsyncMethod = "astream_chat") -> bool:
    """Return True if an async method of an LLM blocks the event loop: it only calls the sync one.

    It does where it is the default of core's `CustomLLM` (also with `HuggingFaceLLM`, which
    inherits it), where the class is registered or known to, and where the LLM has a true attribute
    `sync_only`. For other integrations it cannot be known: see `register_sync_only`.

    Args:
        llm: the LLM.
        method: the method.

    Raises:
        ValueError: there is no such method.
    """
    _check(method, *(name for names in get_args(AsyncMethod) for name in get_args(names)))
    return _blocks(llm, method)


def _blocks(llm: LLM, method: str) -> bool:
    if getattr(llm, "sync_only", False) is True:
        return True
    cls = type(llm)
    if method.endswith("_with_tools") and _share(cls, FunctionCallingLLM, method):
        # Core's default goes on to the method without tools.
        return _blocks(llm, method.removesuffix("_with_tools"))
    named = (c for c in cls.__mro__ if f"{c.__module__}.{c.__qualname__}" in _KNOWN)
    sync_only = (CustomLLM, *named, *_registered.intersection(cls.__mro__))
    return any(_share(cls, other, method) for other in sync_only)


def _share(cls: type, other: type, method: str) -> bool:
    """Return True if two classes have the same function as a method."""
    function = _function(cls, method)
    return function is not None and function is _function(other, method)


def _function(cls: type, method: str) -> Any:
    found = inspect.getattr_static(cls, method, None)
    # Core's callback decorators set __wrapped__ to True on what they decorate.
    while callable(found) and callable(inner := getattr(found, "__wrapped__", None)):
        found = inner
    return found


async def open_stream(
    llm: LLM,
    method: AsyncStreaming,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    strict: bool,
    on_demand: bool = False,
) -> Opened:
    """Ask an LLM for a stream, and have another of its methods answer if it lacks that one.

    In this order: the async streaming method, unless it blocks the loop; the sync one, in a
    thread; then the async and the sync one that answer at once, whose answer is the only chunk.
    Others than the first are asked only if those before raise `NotImplementedError`, at the call
    or instead of a first chunk. Each is called as it would be upstream, so it has its own events.

    Args:
        llm: the LLM.
        method: the name of the async streaming method.
        args: what to call it with.
        kwargs: what else to call it with.
        strict: whether to raise `NotImplementedError`, as upstream does, and ask no other. What
            blocks the loop is run in a thread all the same.
        on_demand: whether a thread makes a chunk only when it is waited for, not some ahead.

    Raises:
        ValueError: there is no such method.
        NotImplementedError: the LLM has none of them; it is the error of the first. As others, it
            may also be raised at the first chunk.
    """
    _check(method, *get_args(AsyncStreaming))
    call = _Call(llm, tuple(args), dict(kwargs), on_demand)
    opened = Opened(_ways(call, method, strict=strict))
    await opened._open()  # pyright: ignore[reportPrivateUsage] -- it is made by this function only
    return opened


def open_stream_sync(
    llm: LLM,
    method: Streaming,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    strict: bool,
) -> OpenedSync:
    """Do what `open_stream` does, without an event loop.

    The sync streaming method is asked, then the sync one that answers at once. An LLM that has
    async methods only raises `NotImplementedError`. The arguments are those of `open_stream`, but
    that the method is a sync one.

    Raises:
        ValueError: there is no such method.
        NotImplementedError: the LLM has none of them.
    """
    _check(method, *get_args(Streaming))
    opened = OpenedSync(_ways_sync(_Call(llm, tuple(args), dict(kwargs)), method, strict=strict))
    opened._open()  # pyright: ignore[reportPrivateUsage] -- it is made by this function only
    return opened


_Open = TypeVar("_Open")
_Async: TypeAlias = Awaitable[AsyncIterator[Chunk]]
_Sync: TypeAlias = Iterator[Chunk]


class _Way(NamedTuple, Generic[_Open]):
    """A method of an LLM that can be asked."""

    open: Callable[[], _Open]
    streams: bool


class _Tried:
    """The state of a stream so far.

    Attributes:
        streamed: False if the LLM gave its whole answer as one chunk; None before the first.
    """

    def __init__(self) -> None:
        self.streamed: bool | None = None
        self._streams = False
        self._missing: NotImplementedError | None = None

    def _lacks(self, error: NotImplementedError) -> None:
        if self.streamed is not None:
            raise error
        self._missing = self._missing or error

    def _came(self) -> None:
        self.streamed = self._streams
        # Its traceback would keep what has failed.
        self._missing = None


class Opened(_Tried):
    """A stream of an LLM: an async iterator of its chunks. Close it, or read it to its end."""

    def __init__(self, ways: Iterator[_Way[_Async]]) -> None:
        super().__init__()
        self._ways = ways
        self._chunks: AsyncIterator[Chunk] | None = None
        # Once a method has given a chunk there is no other to try: then it is asked directly.
        self._next: Callable[[], Awaitable[Chunk]] = self._first

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Chunk]:
        return self._next()

    async def _first(self) -> Chunk:
        while self._chunks is not None:
            try:
                chunk = await anext(self._chunks)
            except NotImplementedError as error:
                self._lacks(error)
                await self._open()
            except StopAsyncIteration:
                self._came()
                raise
            else:
                self._came()
                self._next = self._chunks.__anext__
                return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the stream, and what the LLM's generators iterate over. No chunk comes then."""
        self._next = self._first
        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            await aclose(chunks, begun=self.streamed is not None)

    async def _open(self) -> None:
        """Ask the next method, until one does not say that the LLM lacks it."""
        await self.aclose()
        for way in self._ways:
            try:
                self._chunks = await way.open()
            except NotImplementedError as error:
                self._lacks(error)
            else:
                self._streams = way.streams
                return
        raise cast("NotImplementedError", self._missing)


class OpenedSync(_Tried):
    """A stream of an LLM: an iterator of its chunks. Close it, or read it to its end."""

    def __init__(self, ways: Iterator[_Way[_Sync]]) -> None:
        super().__init__()
        self._ways = ways
        self._chunks: Iterator[Chunk] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        while self._chunks is not None:
            try:
                chunk = next(self._chunks)
            except NotImplementedError as error:
                self._lacks(error)
                self._open()
            except StopIteration:
                self._came()
                raise
            else:
                self._came()
                return chunk
        raise StopIteration

    def close(self) -> None:
        """Close the stream. No chunk comes then."""
        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            close(chunks)

    def _open(self) -> None:
        self.close()
        for way in self._ways:
            try:
                self._chunks = way.open()
            except NotImplementedError as error:
                self._lacks(error)
            else:
                self._streams = way.streams
                return
        raise cast("NotImplementedError", self._missing)


class _Call(NamedTuple):
    """The arguments of an LLM call, by whichever method."""

    llm: LLM
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    on_demand: bool = False

    def result(self, method: str) -> Any:
        return getattr(self.llm, method)(*self.args, **self.kwargs)

    async def stream(self, method: str) -> AsyncIterator[Chunk]:
        result = self.result(method)
        # U80: some define it as an async generator function; then there is nothing to await.
        if inspect.isawaitable(result) and not isinstance(result, AsyncIterable):
            result = await result
        if isinstance(result, AsyncIterable):
            return aiter(cast("AsyncIterable[Chunk]", result))
        if isinstance(result, Iterator):
            chunks = cast("Iterator[Chunk]", result)
            return pumped(lambda: chunks, on_demand=self.on_demand)
        raise self._unexpected(method, result, "a stream of chunks")

    def stream_sync(self, method: str) -> Iterator[Chunk]:
        result = self.result(method)
        if not isinstance(result, Iterator):
            raise self._unexpected(method, result, "a stream of chunks")
        return cast("Iterator[Chunk]", result)

    async def in_thread(self, make: Callable[[], Iterator[Chunk]]) -> AsyncIterator[Chunk]:
        # Answers, too: nobody waits for a thread of these, as for one of asyncio.to_thread.
        return pumped(make, on_demand=self.on_demand)

    async def answer(self, method: str) -> AsyncIterator[Chunk]:
        async def only() -> AsyncGenerator[Chunk]:
            yield self._chunk(method, await self.result(method))

        return only()

    def answer_sync(self, method: str) -> Generator[Chunk]:
        yield self._chunk(method, self.result(method))

    def _chunk(self, method: str, answer: Any) -> Chunk:
        """A whole answer as a chunk: a copy, for callbacks have the answer itself."""
        if isinstance(answer, ChatResponse):
            return answer.model_copy(update={"delta": answer.message.content or ""})
        if isinstance(answer, CompletionResponse):
            return answer.model_copy(update={"delta": answer.text})
        raise self._unexpected(method, answer, "a ChatResponse or a CompletionResponse")

    def _unexpected(self, method: str, got: object, expected: str) -> TypeError:
        cls, kind = type(self.llm).__name__, type(got).__name__
        return TypeError(f"{cls}.{method}() gave an object of class {kind} instead of {expected}.")


def _ways(call: _Call, method: str, *, strict: bool) -> Iterator[_Way[_Async]]:
    sync = method.removeprefix("a")
    answer = sync.removeprefix("stream_")
    blocks = _blocks(call.llm, method)
    if not blocks:
        yield _Way(partial(call.stream, method), streams=True)
    if blocks or not strict:
        yield _Way(partial(call.in_thread, partial(call.stream_sync, sync)), streams=True)
    if strict:
        return
    if not _blocks(call.llm, f"a{answer}"):
        yield _Way(partial(call.answer, f"a{answer}"), streams=False)
    yield _Way(partial(call.in_thread, partial(call.answer_sync, answer)), streams=False)


def _ways_sync(call: _Call, method: str, *, strict: bool) -> Iterator[_Way[_Sync]]:
    yield _Way(partial(call.stream_sync, method), streams=True)
    if not strict:
        yield _Way(partial(call.answer_sync, method.removeprefix("stream_")), streams=False)


def _check(method: str, *known: str) -> None:
    if method not in known:
        raise ValueError(f"'{method}' is not one of the methods {', '.join(known)}.")
