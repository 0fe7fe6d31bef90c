"""`LiveResponse`: the answer that `query()` gives, read while it is written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

from llama_index.core.base.response.schema import Response, StreamingResponse

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.response.aio import AsyncLiveResponse as AsyncLiveResponse
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
from llama_index_streaming_ext.query.response.reader import SyncReader
from llama_index_streaming_ext.query.response.replaced import Replaced
from llama_index_streaming_ext.query.response.response_gen import ResponseGen
from llama_index_streaming_ext.stream.outcome import Outcome


class LiveResponse(QueryResponse, StreamingResponse):  # pyright: ignore[reportIncompatibleVariableOverride] # core's fields are properties here
    """The answer of `query()`: core's `StreamingResponse`, for any number of repeated readers.

    Readers in any threads get every token, live or later, and then the error if there is one.
    After a failure or a stop, every method that returns the whole answer raises that error.

        with engine.query("Why?") as response:
            for token in response.response_gen:
                print(token, end="")

    Leaving the `with` before the end, or `close()`, stops the query; so does collecting a response
    that nobody reads.

    Args:
        response_gen: the query; or what another response gives as its `response_gen`, to share
            its query; or any iterable of tokens.
        source_nodes: the nodes that the answer is drawn from; the query's by default.
        metadata: the metadata of the response; the query's by default.
        response_txt: the answer, where it is known.
    """

    def _answer_of(self, tokens: Any) -> Answer:
        return tokens.answer if isinstance(tokens, ResponseGen) else Replaced(tokens)

    @property
    def response_gen(self) -> ResponseGen:
        """The tokens, from where the last reader has stopped.

        A reader that begins while no other is open goes on where the last one stopped. One that
        begins beside an open one, or after the end, reads from the start. Tokens that are assigned
        take the place of the query's; they are iterated once, and kept.
        """
        return ResponseGen(self._answer, self._position)

    @response_gen.setter
    def response_gen(self, value: Iterable[str] | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] # a field upstream
        self._assign_tokens(value)

    def read(self) -> SyncReader[str]:
        """Return a reader of the tokens from the start, live or later."""
        return SyncReader(self._answer, self._answer_cursor())

    def events(self, types: EventTypes = (), internal: bool = False) -> SyncReader[Event]:
        """Return a reader of all events of the query, from the start, live or later.

        Args:
            types: only events of these classes; empty for all.
            internal: also upstream's internal events.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        return SyncReader(self.stream, self._event_cursor(types, internal))

    def outcome(self) -> Outcome:
        """Wait for the end and return the `Outcome` of the query; never raise its failure.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        run = self._run
        run.wait_sync()
        return run.stream.outcome_sync()

    def __str__(self) -> str:
        """Wait for the end and return the whole answer; raise what it failed with."""
        if self._own.get("response_txt") is None:
            self._answer.wait_sync()
        whole = self._so_far()
        self._read_whole = True
        return whole

    def get_response(self) -> Response:
        """Wait for the end and return the whole answer, as core's `Response`.

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
        said = self._own.get("response_txt")
        if display is None and (self._read_whole or said is not None):
            print_line(str(self))
            return
        printer = token_printer(display, self.get_formatted_sources)
        with printer as show, closing(self.read()) as tokens:
            for token in tokens if said is None else [said]:
                show(token)
        self._read_whole = True

    def close(self) -> None:
        """Stop the query if it has not ended, and wait until it has. Other readers are told."""
        super().close()
        if self._held is not None:
            self._held.run.stopped_sync()

    def __reduce__(self) -> tuple[Any, ...]:
        """Wait for the end and pickle the whole answer, which is read back without its events."""
        fields = (str(self), self.source_nodes, self.metadata, self.object)
        return finished, (type(self), *fields)
