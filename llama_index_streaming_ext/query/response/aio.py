"""`AsyncLiveResponse`: the answer that `aquery()` gives, read while it is written."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import Any

from llama_index.core.base.response.schema import AsyncStreamingResponse, Response

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.response.answer import Answer
from llama_index_streaming_ext.query.response.printing import (
    print_line,
    terminal_display,
    token_printer,
)
from llama_index_streaming_ext.query.response.query_response import (
    EventTypes,
    QueryResponse,
    finished,
)
from llama_index_streaming_ext.query.response.reader import AsyncReader
from llama_index_streaming_ext.query.response.replaced import AsyncReplaced
from llama_index_streaming_ext.query.response.response_gen import AsyncResponseGen
from llama_index_streaming_ext.stream.outcome import Outcome


class AsyncLiveResponse(QueryResponse, AsyncStreamingResponse):  # pyright: ignore[reportIncompatibleVariableOverride] # core's fields are properties here
    """The answer of `aquery()`: core's `AsyncStreamingResponse`, read by anybody, repeatedly.

    Any number of tasks get every token, live or later, and then the error if there is one. After
    a failure or a stop, every method that returns the whole answer raises that error.

        async with await engine.aquery("Why?") as response:
            async for token in response.response_gen:
                print(token, end="")

    Leaving the `async with` before the end, or `aclose()`, stops the query; so does collecting a
    response that nobody reads. `str()` and f-strings give the text so far and never wait.

    Args:
        response_gen: the query; or what another response gives as its `response_gen`, to share
            its query; or any iterable of tokens.
        source_nodes: the nodes that the answer is drawn from; the query's by default.
        metadata: the metadata of the response; the query's by default.
        response_txt: the answer, where it is known.
    """

    def _answer_of(self, tokens: Any) -> Answer:
        return tokens.answer if isinstance(tokens, AsyncResponseGen) else AsyncReplaced(tokens)

    @property
    def response_gen(self) -> AsyncResponseGen:
        """The tokens, from where the last reader has stopped.

        A reader that begins while no other is open goes on where the last one stopped. One that
        begins beside an open one, or after the end, reads from the start. Tokens that are assigned
        take the place of the query's; they are iterated once, and kept.
        """
        return AsyncResponseGen(self._answer, self._position)

    @response_gen.setter
    def response_gen(self, value: AsyncIterable[str] | Iterable[str] | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] # a field upstream
        self._assign_tokens(value)

    def read(self) -> AsyncReader[str]:
        """Return a reader of the tokens from the start, live or later."""
        return AsyncReader(self._answer, self._answer_cursor())

    def async_response_gen(self) -> AsyncGenerator[str, None]:
        """Return the tokens from the start; a text that was assigned, in one piece."""
        said = self._own.get("response_txt")
        return self.read() if said is None else _only(said)

    def events(self, types: EventTypes = (), internal: bool = False) -> AsyncReader[Event]:
        """Return a reader of all events of the query, from the start, live or later.

        Args:
            types: only events of these classes; empty for all.
            internal: also upstream's internal events.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        return AsyncReader(self.stream, self._event_cursor(types, internal))

    async def outcome(self) -> Outcome:
        """Wait for the end and return the `Outcome` of the query; never raise its failure.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        run = self._run
        await run.wait()
        return await run.stream.outcome()

    def __str__(self) -> str:
        """Return the text so far, at once; after a failure or a stop, raise that error."""
        return self._so_far()

    async def get_response(self) -> Response:
        """Wait for the end and return the whole answer, as core's `Response`.

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
            with token_printer(display, self.get_formatted_sources) as show:
                async for token in said:
                    show(token)
        if display is None:
            print_line()

    # Upstream's own reading, which it locks: some subclasses and callers know it by name.

    async def _async_str(self) -> str:
        return (await self.get_response()).response or ""

    def _yield_response(self) -> AsyncGenerator[str, None]:
        return self.async_response_gen()

    def close(self) -> None:
        """Stop the query if it has not ended, without waiting for it. Other readers are told."""
        super().close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the whole answer, which is read back without its events.

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


async def _only(text: str) -> AsyncGenerator[str, None]:
    yield text
