"""The fields of a response, live: the query's own until others are assigned."""

from __future__ import annotations

import copy
from typing import Any, Generic, Self, TypeVar, cast

from llama_index.core.schema import NodeWithScore

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.response.base import Answer, Answering, Held
from llama_index_streaming_ext.stream.event_stream import EventStream

EventTypes = type[Event] | tuple[type[Event], ...]

S = TypeVar("S", bound=Answer)


class LiveFields(Generic[S]):
    """What both kinds of response have.

    Their fields are core's, as properties: each gives what the query has so far, until something
    is assigned to it.
    """

    _held: Held | None
    """The query, None for a response that was made of a text or of a generator."""
    _answer: S
    """What is read: the query's answer, or what was assigned to `response_gen`."""
    _own: dict[str, Any]
    """The fields that were assigned."""
    _read_whole: bool
    """Whether upstream's `response_txt` would be set by now."""

    def _set_fields(
        self,
        source_nodes: list[NodeWithScore] | None,
        metadata: dict[str, Any] | None,
        response_txt: str | None,
    ) -> None:
        """Take what a constructor is given. What is the query's anyway stays the query's."""
        self._own = {}
        self._read_whole = False
        run = self._held.run if self._held is not None else None
        if run is None or (source_nodes is not None and source_nodes is not run.sources):
            self.source_nodes = source_nodes if source_nodes is not None else []
        if run is None or metadata is not run.metadata:
            self.metadata = metadata
        self.response_txt = response_txt

    @property
    def source_nodes(self) -> list[NodeWithScore]:
        """What the answer is drawn from; there before its first token."""
        if "source_nodes" in self._own:
            return self._own["source_nodes"]
        return self._run.sources

    @source_nodes.setter
    def source_nodes(self, value: list[NodeWithScore]) -> None:
        self._own["source_nodes"] = value

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the engine says besides."""
        if "metadata" in self._own:
            return self._own["metadata"]
        return self._run.metadata

    @metadata.setter
    def metadata(self, value: dict[str, Any] | None) -> None:
        self._own["metadata"] = value

    @property
    def response_txt(self) -> str | None:
        """The whole answer; None before its end, and where there is no whole one.

        What is assigned counts from then on; None takes it back.
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

    def _stop(self) -> None:
        if self._held is not None:
            self._held.stop()
        self._answer.stop()

    def _so_far(self) -> str:
        """What `str()` says: never upstream's 'None'.

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
        twin._begin()
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

    def _begin(self) -> None:
        """Let everybody read from the start."""
        raise NotImplementedError


def finished(
    cls: type[LiveFields[Any]],
    text: str,
    source_nodes: list[NodeWithScore],
    metadata: dict[str, Any] | None,
    structured: Any,
) -> LiveFields[Any]:
    """A response with all there is to say: what a pickled one is read back as."""
    make = cast("Any", cls)
    response = make((text,) if text else (), source_nodes, metadata, text)
    vars(response)["_own"]["object"] = structured
    return response
