"""What `query()` gives: an answer that is read while it is written, by anybody."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from types import TracebackType
from typing import Any, Self

from llama_index.core.base.response.schema import Response, StreamingResponse
from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse as AsyncLiveResponse
from llama_index_streaming_ext.query.response.base import Answering, BlockingAnswer, Held
from llama_index_streaming_ext.query.response.fields import EventTypes, LiveFields, finished
from llama_index_streaming_ext.query.response.iterator import ResponseGen, places_in
from llama_index_streaming_ext.query.response.printing import (
    print_line,
    print_token,
    terminal_display,
)
from llama_index_streaming_ext.query.response.replaced import Replaced
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.outcome import Outcome
from llama_index_streaming_ext.stream.record import Record


class LiveResponse(LiveFields[BlockingAnswer], StreamingResponse):  # pyright: ignore[reportIncompatibleVariableOverride] # core's fields are properties here
    """The answer of `query()`: core's `StreamingResponse`, read by anybody, as often as they like.

    Any number of readers in any threads get every token, live or later, and then the error if
    there is one: after a failure or a stop, whoever asks for the whole answer is told.

        with engine.query("Why?") as response:
            for token in response.response_gen:
                print(token, end="")

    Leaving the `with` before the end, or `close()`, stops the query; so does collecting a response
    that nobody reads.

    Args:
        response_gen: the query; or what another response gives as its `response_gen`, to share
            its query; or any iterable of tokens.
        source_nodes: what the answer is drawn from, the query's by default.
        metadata: what else there is to say, as above.
        response_txt: the answer, where it is known.
    """

    def __init__(
        self,
        response_gen: Answering | Iterable[str] | None,
        source_nodes: list[NodeWithScore] | None = None,
        metadata: dict[str, Any] | None = None,
        response_txt: str | None = None,
    ) -> None:
        self._answer: BlockingAnswer
        if isinstance(response_gen, Answering):
            self._answer = Held(response_gen)
            metadata = response_gen.metadata if metadata is None else metadata
        elif isinstance(response_gen, ResponseGen):
            self._answer = response_gen.answer
        else:
            self._answer = Replaced(response_gen)
        self._held = self._answer if isinstance(self._answer, Held) else None
        self._begin()
        self._set_fields(source_nodes, metadata, response_txt)

    def _begin(self) -> None:
        self._places = places_in(self._answer)

    # Reading

    @property
    def response_gen(self) -> ResponseGen:
        """The tokens, from where this task or thread has stopped to read them.

        After the end it starts over, and so it does in another task or thread. What is assigned
        takes the place of the query's tokens; it is iterated once, and kept.
        """
        return ResponseGen(self._answer, self._places)

    @response_gen.setter
    def response_gen(self, value: Iterable[str] | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] # a field upstream
        if isinstance(value, ResponseGen) and value.answer is self._answer:
            return
        self._answer = Replaced(value)
        self._own["response_txt"] = None
        self._read_whole = False
        self._begin()

    def read(self) -> Generator[str, None, None]:
        """The tokens from the start, live or later."""
        return self._answer.tokens_sync()

    def events(
        self, types: EventTypes = (), internal: bool = False
    ) -> Generator[Event, None, None]:
        """All that happens in the query, from the start, live or later. Ends with its last event.

        Args:
            types: only events of these classes; empty for all.
            internal: also upstream's internal events.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        return _events(self._held, self.stream.read_sync(types=types, internal=internal))

    def outcome(self) -> Outcome:
        """Wait for the end and say how it was. Never raises what the query failed with.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        run = self._run
        run.wait_sync()
        return _outcome_of(run.stream)

    def __str__(self) -> str:
        """Wait for the end and give the whole answer; raises what it failed with."""
        if self._own.get("response_txt") is None:
            self._answer.wait_sync()
        whole = self._so_far()
        self._read_whole = True
        return whole

    def get_response(self) -> Response:
        """Wait for the end and give the whole answer, as core's `Response`.

        Raises:
            BaseException: what the answer failed with; StreamStopped if it was stopped.
        """
        return Response(str(self), self.source_nodes, self.metadata)

    def print_response_stream(self, rich: bool = False) -> None:
        """Print the answer as it comes; the whole of it, in a line, once it was read.

        Args:
            rich: draw it in the terminal as markdown, with its sources. Where the output is no
                terminal it is printed plainly.

        Raises:
            MissingDependency: rich is asked for and not installed.
            BaseException: what the answer failed with, after what there is of it.
        """
        display = terminal_display() if rich else None
        if display is not None:
            with display, closing(self._said()) as said:
                for token in said:
                    display.add(token)
            display.sources(self.get_formatted_sources())
        elif self._read_whole or self._own.get("response_txt") is not None:
            print_line(str(self))
        else:
            for token in self.read():
                print_token(token)
        self._read_whole = True

    def _said(self) -> Generator[str, None, None]:
        """What is printed: what was assigned, or the tokens."""
        said = self._own.get("response_txt")
        if said is None:
            yield from self._answer.tokens_sync()
        else:
            yield said

    # Stopping

    def close(self) -> None:
        """Stop the query if it has not ended, and wait until it has. Other readers are told."""
        self._stop()
        if self._held is not None:
            self._held.run.stopped_sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Wait for the end: what is pickled is the whole answer, read back without its events."""
        fields = (str(self), self.source_nodes, self.metadata, self.object)
        return finished, (type(self), *fields)


def _events(
    held: Held | None, records: Generator[Record, None, None]
) -> Generator[Event, None, None]:
    """The events of records. Its frame holds the query: what is read is not abandoned."""
    try:
        with closing(records):
            for record in records:
                yield record.event
    finally:
        if held is not None:
            held.left()


def _outcome_of(stream: EventStream) -> Outcome:
    """The outcome of a stream that has ended, for which nothing is waited."""
    asking = stream.outcome()
    try:
        asking.send(None)
    except StopIteration as given:
        return given.value
    asking.close()
    raise RuntimeError(f"Query '{stream.run_id}' has ended, but its stream is not closed.")
