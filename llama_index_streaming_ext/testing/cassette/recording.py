"""Writing down a call while it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any
from uuid import uuid4

from llama_index_streaming_ext.testing.cassette.asked import Asked, llm_json
from llama_index_streaming_ext.testing.cassette.errors import LiveKeyFound
from llama_index_streaming_ext.testing.cassette.format.cumulative import shrunk
from llama_index_streaming_ext.testing.cassette.format.failures import error_json
from llama_index_streaming_ext.testing.cassette.format.file import CUMULATIVE, Writer
from llama_index_streaming_ext.testing.cassette.format.seams import Seams
from llama_index_streaming_ext.testing.cassette.format.secrets import LiveKeys
from llama_index_streaming_ext.testing.cassette.format.values import Answer, chunk_json
from llama_index_streaming_ext.testing.cassette.timing import Stopwatch
from llama_index_streaming_ext.testing.fake_llm.calls import Call


class Recorder:
    """A recorder of LLM calls in one cassette. Calls may come from any thread.

    Args:
        writer: the cassette.
        live_keys: keys that must not be written, beside those it finds itself.
        first: the number of the first call.
    """

    def __init__(self, writer: Writer, live_keys: tuple[str, ...], first: int = 1) -> None:
        self._writer = writer
        self._live_keys = live_keys
        self._numbers = itertools.count(first)
        self._prefix = ""

    def take(self, llm: Any, asked: Asked) -> Take:
        """Prepare to record a call, before it is made.

        Args:
            llm: the LLM that is asked.
            asked: the call.

        Raises:
            LiveKeyFound: the request has a live key in it.
        """
        keys = LiveKeys.of(self._writer.path, llm, self._live_keys)
        number = f"{self._prefix}{next(self._numbers)}"
        return Take(self._writer, number, keys, llm_json(llm), asked.json)

    def __getstate__(self) -> dict[str, Any]:
        # Several processes may write to one file: their calls have other numbers.
        state = {**vars(self), "_prefix": f"{uuid4().hex[:8]}-"}
        del state["_numbers"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _numbers=itertools.count(1))

    def whole(self, llm: Any, asked: Asked, call: Call, ask: Callable[[], Answer]) -> Answer:
        """Record a call that is not streamed."""
        take = self.take(llm, asked)
        with call.open(), take.open(at_call=True):
            answer = ask()
            take.chunk(answer)
            call.produced()
            return answer

    async def awhole(
        self, llm: Any, asked: Asked, call: Call, ask: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Record an async call that is not streamed."""
        take = self.take(llm, asked)
        with call.open(), take.open(at_call=True):
            answer = await ask()
            take.chunk(answer)
            call.produced()
            return answer

    def stream(
        self, llm: Any, asked: Asked, call: Call, ask: Callable[[], Iterator[Answer]]
    ) -> Generator[Answer]:
        """Record a stream, once it is read."""
        take = self.take(llm, asked)
        with _unless_made(call, take):
            source = ask()
        take.made()

        def gen() -> Generator[Answer]:
            with call.open(), take.open(), _closing(source):
                for answer in source:
                    take.chunk(answer)
                    call.produced()
                    yield answer

        return gen()

    async def astream(
        self,
        llm: Any,
        asked: Asked,
        call: Call,
        ask: Callable[[], Awaitable[AsyncIterator[Answer]]],
    ) -> AsyncIterator[Answer]:
        """Record an async stream, once it is read."""
        take = self.take(llm, asked)
        with _unless_made(call, take):
            source = await ask()
        take.made()

        async def gen() -> AsyncIterator[Answer]:
            with call.open(), take.open():
                try:
                    async for answer in source:
                        take.chunk(answer)
                        call.produced()
                        yield answer
                finally:
                    if close := getattr(source, "aclose", None):
                        await close()

        return gen()


@contextlib.contextmanager
def _unless_made(call: Call, take: Take) -> Generator[None]:
    """Record an error that is raised instead of a stream."""
    try:
        yield
    except BaseException as error:
        # Raised again inside of both, so that they end with it.
        with call.open(), take.open(at_call=True):
            raise error


@contextlib.contextmanager
def _closing(source: Any) -> Generator[None]:
    try:
        yield
    finally:
        if close := getattr(source, "close", None):
            close()


class Take:
    """The recording of one call.

    Args:
        writer: the cassette.
        number: the number of the call.
        keys: the keys that must not be written.
        llm: which LLM is asked.
        request: the request.
    """

    def __init__(
        self,
        writer: Writer,
        number: str,
        keys: LiveKeys,
        llm: dict[str, Any],
        request: dict[str, Any],
    ) -> None:
        self._writer = writer
        self._number = number
        self._seams = Seams(keys)
        # Seen through before the LLM is asked: a key in a prompt does not go anywhere.
        self._request = self._clean({"call": number, "llm": llm, "request": request}, "the request")
        self._request += self._seams.flush()
        self._seams = Seams(keys)
        self._before: dict[str, Any] = {}
        self._time = Stopwatch()
        self._waits = False

    def made(self) -> None:
        """Note that the stream exists; the request counts from the first read."""
        self._time.pause()
        self._waits = True

    @contextlib.contextmanager
    def open(self, *, at_call: bool = False) -> Generator[None]:
        """Write the request, and the end of the call, which happens in the block.

        Args:
            at_call: whether an error is raised by the call, not by reading its stream.
        """
        if self._waits:
            self._time.go_on()
        self._writer.append(self._request)
        try:
            yield
        except GeneratorExit:
            self._end({"end": "closed"})
            raise
        except asyncio.CancelledError:
            self._end({"end": "cancelled", "at_call": at_call})
            raise
        except LiveKeyFound:
            self._refused()
            raise
        except BaseException as error:
            self._failed(error, at_call=at_call)
            raise
        self._end({"end": "finished"})

    def chunk(self, answer: Answer) -> None:
        """Write a chunk as it is now: some classes go on changing the chunks that they gave.

        Args:
            answer: the chunk, or the whole answer.

        Raises:
            LiveKeyFound: with this chunk, a live key would be written.
        """
        whole = chunk_json(answer)
        parts = {name: whole[name] for name in CUMULATIVE if name in whole}
        small = {name: shrunk(part, self._before.get(name)) for name, part in parts.items()}
        self._before = parts
        line = {"call": self._number, "at": self._time.read(), "chunk": {**whole, **small}}
        self._writer.append(self._clean(line, "the answer"))

    def _failed(self, error: BaseException, *, at_call: bool) -> None:
        try:
            self._end({"end": "error", "error": error_json(error), "at_call": at_call})
        except LiveKeyFound as refused:
            self._refused()
            raise refused from error

    def _refused(self) -> None:
        self._seams.drop()
        self._end({"end": "refused"})

    def _end(self, how: dict[str, Any]) -> None:
        line = {"call": self._number, "at": self._time.read(), **how}
        lines = self._clean(line, "the error of the call")
        self._writer.append([*lines, *self._seams.flush()])

    def _clean(self, line: dict[str, Any], where: str) -> list[Any]:
        return self._seams.feed(line, where)
