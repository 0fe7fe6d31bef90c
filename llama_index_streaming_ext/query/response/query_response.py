"""`QueryResponse`: the sync and the async answer of a query, with all that both have."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, cast

from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.response.answer import (
    Answer,
    AnswerCursor,
    Answering,
    EventCursor,
    QueryAnswer,
)
from llama_index_streaming_ext.query.response.reader import Reader
from llama_index_streaming_ext.query.response.response_gen import AsyncResponseGen, ResponseGen
from llama_index_streaming_ext.stream.event_stream import EventStream
from llama_index_streaming_ext.stream.shared_position import SharedPosition
from llama_index_streaming_ext.threads.loops import running_loop

EventTypes = type[Event] | tuple[type[Event], ...]


class QueryResponse:
    """The answer of a query, which any number of readers read while it is written.

        response = stream_query(engine, "Why?")
        async for event in response.events():  # `for` where no event loop is running
            print(event)

    It is core's `StreamingResponse` or `AsyncStreamingResponse`. `events()`, `read()` and
    `response_gen` are iterated with `for` and with `async for`. Its fields are core's: each gives
    what the query has so far, until something is assigned to it. Leaving a `with` or `async with`
    on it before the end stops the query; so does collecting a response that nobody reads.

    Args:
        response_gen: the query; or what another response gives as its `response_gen`, to share
            its query; or any iterable of tokens.
        source_nodes: the nodes that the answer is drawn from; the query's by default.
        metadata: the metadata of the response; the query's by default.
        response_txt: the answer, where it is known.
    """

    _held: QueryAnswer | None
    """The query's answer, None for a response that was made of a text or of a generator."""
    _answer: Answer
    """The answer that is read: the query's, or the tokens that were assigned to `response_gen`."""
    _own: dict[str, Any]
    """The fields that were assigned."""
    _read_whole: bool
    """True if upstream's `response_txt` would be set by now."""
    _position: SharedPosition
    """The position that the readers of `response_gen` share."""

    def __init__(
        self,
        response_gen: Any,
        source_nodes: list[NodeWithScore] | None = None,
        metadata: dict[str, Any] | None = None,
        response_txt: str | None = None,
    ) -> None:
        if isinstance(response_gen, Answering):
            self._answer = QueryAnswer(response_gen)
            metadata = response_gen.metadata if metadata is None else metadata
        else:
            self._answer = self._answer_of(response_gen)
        self._held = self._answer if isinstance(self._answer, QueryAnswer) else None
        self._position = SharedPosition()
        self._own = {}
        self._read_whole = False
        # What is the query's anyway stays the query's.
        run = self._held.run if self._held is not None else None
        if run is None or (source_nodes is not None and source_nodes is not run.sources):
            self.source_nodes = source_nodes if source_nodes is not None else []
        if run is None or metadata is not run.metadata:
            self.metadata = metadata
        self.response_txt = response_txt

    def _answer_of(self, tokens: Any) -> Answer:
        """Return what is read of tokens that were assigned."""
        raise NotImplementedError

    # Reading

    @property
    def response_gen(self) -> Reader[str]:
        """The tokens, from where the last reader has stopped.

        A reader that begins while no other is open goes on where the last one stopped. One that
        begins beside an open one, or after the end, reads from the start. Tokens that are assigned
        take the place of the query's; they are iterated once, and kept.
        """
        raise NotImplementedError

    def _assign_tokens(self, value: Any) -> None:
        if isinstance(value, ResponseGen | AsyncResponseGen) and value.answer is self._answer:
            return
        self._answer = self._answer_of(value)
        self._own["response_txt"] = None
        self._read_whole = False
        self._position = SharedPosition()

    def read(self) -> Reader[str]:
        """Return a reader of the tokens from the start, live or later.

        Raises:
            BaseException: to the reader, after the tokens, what the query failed with;
                StreamStopped if it was stopped.
        """
        raise NotImplementedError

    def events(self, types: EventTypes = (), internal: bool = False) -> Reader[Event]:
        """Return a reader of all events of the query, from the start, live or later.

        Args:
            types: only events of these classes; empty for all.
            internal: also upstream's internal events.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        raise NotImplementedError

    # The readers hold the answer, and not the response.

    def _answer_cursor(self) -> Callable[[object], AnswerCursor]:
        answer = self._answer

        def cursor(reader: object) -> AnswerCursor:
            return AnswerCursor(answer)

        return cursor

    def _event_cursor(self, types: EventTypes, internal: bool) -> Callable[[object], EventCursor]:
        stream, held = self.stream, cast("QueryAnswer", self._held)

        def cursor(reader: object) -> EventCursor:
            return EventCursor(held, stream.record_cursor(0, types, internal))

        return cursor

    def outcome(self) -> Any:
        """Wait for the end and return the `Outcome` of the query; never raise its failure.

        It is to be awaited where an event loop was running when the query was started.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        raise NotImplementedError

    def get_response(self) -> Any:
        """Wait for the end and return the whole answer, as core's `Response`.

        It is to be awaited where an event loop was running when the query was started.

        Raises:
            BaseException: what the answer failed with; StreamStopped if it was stopped.
        """
        raise NotImplementedError

    def print_response_stream(self, rich: bool = False) -> Any:
        """Print the answer as it comes, and the end of the line.

        It is to be awaited where an event loop was running when the query was started.

        Args:
            rich: draw it in the terminal as markdown, with its sources. Where the output is no
                terminal it is printed plainly.

        Raises:
            MissingDependency: rich is asked for and not installed.
            BaseException: what the answer failed with, after what there is of it.
        """
        raise NotImplementedError

    # Fields

    @property
    def source_nodes(self) -> list[NodeWithScore]:
        """The nodes that the answer is drawn from; there before its first token."""
        if "source_nodes" in self._own:
            return self._own["source_nodes"]
        return self._run.sources

    @source_nodes.setter
    def source_nodes(self, value: list[NodeWithScore]) -> None:
        self._own["source_nodes"] = value

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The metadata of the engine's response."""
        if "metadata" in self._own:
            return self._own["metadata"]
        return self._run.metadata

    @metadata.setter
    def metadata(self, value: dict[str, Any] | None) -> None:
        self._own["metadata"] = value

    @property
    def response_txt(self) -> str | None:
        """The whole answer; None before its end, and where there is no whole one.

        A text that is assigned counts from then on; None takes it back.
        """
        said = self._own.get("response_txt")
        if said is not None:
            return said
        answer = self._answer
        return answer.text if answer.done and answer.error is None else None

    @response_txt.setter
    def response_txt(self, value: str | None) -> None:
        self._own["response_txt"] = value

    @property
    def response(self) -> str:
        """The text of the answer, by the name that core's `Response` gives it.

        A sync response waits for the whole answer, as `str()` does. An async response gives the
        text so far, and so does a sync one inside a running event loop, which is never blocked:
        there, wait for the end before you read it. Assigning a text replaces the answer.

        Raises:
            BaseException: the error that the answer failed with; StreamStopped if it was stopped.
        """
        return str(self) if running_loop() is None else self._so_far()

    @response.setter
    def response(self, value: str) -> None:
        self.response_txt = value

    @property
    def object(self) -> Any:
        """The structured answer of an engine with `output_cls`, None where there is none."""
        if "object" in self._own:
            return self._own["object"]
        return self._held.run.object if self._held is not None else None

    @property
    def stream(self) -> EventStream:
        """The log of the query.

        Raises:
            RuntimeError: the response was not made by a query.
        """
        return self._run.stream

    @property
    def _run(self) -> Answering:
        if self._held is None:
            raise RuntimeError(
                f"This {type(self).__name__} was made of a text or a generator, not by a query, "
                "so that it has no events: ask the response that the query gave."
            )
        return self._held.run

    # Stopping

    def close(self) -> None:
        """Stop the query if it has not ended. Other readers are told."""
        if self._held is not None:
            self._held.stop()
        self._answer.stop()

    async def aclose(self) -> None:
        """Stop the query if it has not ended, and wait until it has. Other readers are told."""
        QueryResponse.close(self)
        if self._held is not None:
            await self._held.run.stopped()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # Values

    def _so_far(self) -> str:
        """Return the text that `str()` shows: never upstream's 'None'.

        Raises:
            BaseException: the answer has failed, or was stopped.
        """
        said = self._own.get("response_txt")
        if said is None and self._answer.error is not None:
            raise self._answer.error
        return said if said is not None else self._answer.text

    def __eq__(self, other: Any) -> bool:
        """Compare by value what is whole; what is not is equal only to what shares its answer."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._values() == cast("Self", other)._values()

    # As upstream's, which are dataclasses that can be changed.
    __hash__ = None  # pyright: ignore[reportAssignmentType] # what Python itself says by it

    def _values(self) -> tuple[Any, ...]:
        text = self.response_txt
        return (self._answer if text is None else text, self.source_nodes, self.metadata)

    def __copy__(self) -> Self:
        """Another response over the same answer, which both can read."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self), _own=dict(self._own))
        twin._position = SharedPosition()
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """One with its own sources and metadata. What is live cannot be doubled: it is shared."""
        twin = copy.copy(self)
        memo[id(self)] = twin
        if self.source_nodes or self._answer.done:
            twin.source_nodes = copy.deepcopy(self.source_nodes, memo)
        if self.metadata is not None:
            twin.metadata = copy.deepcopy(self.metadata, memo)
        return twin


def finished(
    cls: type[QueryResponse],
    text: str,
    source_nodes: list[NodeWithScore],
    metadata: dict[str, Any] | None,
    structured: Any,
) -> QueryResponse:
    """Return the complete response that a pickled one is read back as."""
    make = cast("Any", cls)
    response = make((text,) if text else (), source_nodes, metadata, text)
    vars(response)["_own"]["object"] = structured
    return response
