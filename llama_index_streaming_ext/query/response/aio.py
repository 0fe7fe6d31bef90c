"""What `aquery()` gives: an answer that is read while it is written, by anybody."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from llama_index.core.base.response.schema import AsyncStreamingResponse, Response
from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.response.base import Answering, AwaitableAnswer, Held
from llama_index_streaming_ext.query.response.fields import EventTypes, LiveFields, finished
from llama_index_streaming_ext.query.response.iterator import AsyncResponseGen, async_places_in
from llama_index_streaming_ext.query.response.printing import (
    print_line,
    print_token,
    terminal_display,
)
from llama_index_streaming_ext.query.response.replaced import AsyncReplaced
from llama_index_streaming_ext.stream.outcome import Outcome
from llama_index_streaming_ext.stream.record import Record


class AsyncLiveResponse(LiveFields[AwaitableAnswer], AsyncStreamingResponse):  # pyright: ignore[reportIncompatibleVariableOverride] # core's fields are properties here
    """The answer of `aquery()`: core's `AsyncStreamingResponse`, read by anybody, repeatedly.

    Any number of tasks get every token, live or later, and then the error if there is one: after
    a failure or a stop, whoever asks for the whole answer is told.

        async with await engine.aquery("Why?") as response:
            async for token in response.response_gen:
                print(token, end="")

    Leaving the `async with` before the end, or `aclose()`, stops the query; so does collecting a
    response that nobody reads. `str()` and f-strings give the text so far and never wait.

    Args:
        response_gen: the query; or what another response gives as its `response_gen`, to share
            its query; or any iterable of tokens.
        source_nodes: what the answer is drawn from, the query's by default.
        metadata: what else there is to say, as above.
        response_txt: the answer, where it is known.
    """

    def __init__(
        self,
        response_gen: Answering | AsyncIterable[str] | Iterable[str] | None,
        source_nodes: list[NodeWithScore] | None = None,
        metadata: dict[str, Any] | None = None,
        response_txt: str | None = None,
    ) -> None:
        self._answer: AwaitableAnswer
        if isinstance(response_gen, Answering):
            self._answer = Held(response_gen)
            metadata = response_gen.metadata if metadata is None else metadata
        elif isinstance(response_gen, AsyncResponseGen):
            self._answer = response_gen.answer
        else:
            self._answer = AsyncReplaced(response_gen)
        self._held = self._answer if isinstance(self._answer, Held) else None
        self._begin()
        self._set_fields(source_nodes, metadata, response_txt)

    def _begin(self) -> None:
        self._places = async_places_in(self._answer)

    # Reading

    @property
    def response_gen(self) -> AsyncResponseGen:
        """The tokens, from where this task has stopped to read them.

        After the end it starts over, and so it does in another task. What is assigned takes the
        place of the query's tokens; it is iterated once, and kept.
        """
        return AsyncResponseGen(self._answer, self._places)

    @response_gen.setter
    def response_gen(self, value: AsyncIterable[str] | Iterable[str] | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] # a field upstream
        if isinstance(value, AsyncResponseGen) and value.answer is self._answer:
            return
        self._answer = AsyncReplaced(value)
        self._own["response_txt"] = None
        self._begin()

    def read(self) -> AsyncGenerator[str, None]:
        """The tokens from the start, live or later."""
        return self._answer.tokens()

    def async_response_gen(self) -> AsyncGenerator[str, None]:
        """The tokens from the start; a text that was assigned, in one piece."""
        said = self._own.get("response_txt")
        return self._answer.tokens() if said is None else _only(said)

    def events(self, types: EventTypes = (), internal: bool = False) -> AsyncGenerator[Event, None]:
        """All that happens in the query, from the start, live or later. Ends with its last event.

        Args:
            types: only events of these classes; empty for all.
            internal: also upstream's internal events.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        return _events(self._held, self.stream.read(types=types, internal=internal))

    async def outcome(self) -> Outcome:
        """Wait for the end and say how it was. Never raises what the query failed with.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        run = self._run
        await run.wait()
        return await run.stream.outcome()

    def __str__(self) -> str:
        """The text so far, at once; after a failure or a stop, that error."""
        return self._so_far()

    async def get_response(self) -> Response:
        """Wait for the end and give the whole answer, as core's `Response`.

        Raises:
            BaseException: what the answer failed with; StreamStopped if it was stopped.
        """
        if self._own.get("response_txt") is None:
            await self._answer.wait()
        return Response(self._so_far(), self.source_nodes, self.metadata)

    async def print_response_stream(self, rich: bool = False) -> None:
        """Print the answer as it comes, and the end of the line.

        Args:
            rich: draw it in the terminal as markdown, with its sources. Where the output is no
                terminal it is printed plainly.

        Raises:
            MissingDependency: rich is asked for and not installed.
            BaseException: what the answer failed with, after what there is of it.
        """
        display = terminal_display() if rich else None
        async with aclosing(self.async_response_gen()) as said:
            if display is None:
                async for token in said:
                    print_token(token)
                print_line()
                return
            with display:
                async for token in said:
                    display.add(token)
        display.sources(self.get_formatted_sources())

    # Upstream's own reading, which it locks: some subclasses and callers know it by name.

    async def _async_str(self) -> str:
        return (await self.get_response()).response or ""

    def _yield_response(self) -> AsyncGenerator[str, None]:
        return self.async_response_gen()

    # Stopping

    def close(self) -> None:
        """Stop the query if it has not ended, without waiting for it. Other readers are told."""
        self._stop()

    async def aclose(self) -> None:
        """Stop the query if it has not ended, and wait until it has. Other readers are told."""
        self._stop()
        if self._held is not None:
            await self._held.run.stopped()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> tuple[Any, ...]:
        """What is pickled is the whole answer, read back without its events.

        Raises:
            PicklingError: the answer is still being written.
            BaseException: what the answer failed with; StreamStopped if it was stopped.
        """
        if self._own.get("response_txt") is None and not self._answer.done:
            raise pickle.PicklingError(
                "The answer is still being written: wait for its end, with "
                "`await response.get_response()`, before you pickle it."
            )
        fields = (self._so_far(), self.source_nodes, self.metadata, self.object)
        return finished, (type(self), *fields)


async def _events(
    held: Held | None, records: AsyncGenerator[Record, None]
) -> AsyncGenerator[Event, None]:
    """The events of records. Its frame holds the query: what is read is not abandoned."""
    try:
        async with aclosing(records):
            async for record in records:
                yield record.event
    finally:
        if held is not None:
            held.left()


async def _only(text: str) -> AsyncGenerator[str, None]:
    yield text
