"""The tie between an LLM and the tape that its calls are recorded on or replayed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from llama_index_streaming_ext.testing.cassette.asked import Asked
from llama_index_streaming_ext.testing.cassette.errors import CassetteMismatch
from llama_index_streaming_ext.testing.cassette.format.file import RecordedCall
from llama_index_streaming_ext.testing.fake_llm.calls import Call

if TYPE_CHECKING:
    from llama_index_streaming_ext.testing.cassette.recording import Recorder, Take
    from llama_index_streaming_ext.testing.cassette.replaying import Replayer

_L = TypeVar("_L")
SLOT = "_cassette_binding"
"""The attribute of an LLM that holds its binding.

It is a slot because the fields are shared with the LLM that is recorded.
"""


class Tape(Protocol):
    """The part of a cassette that the LLMs on it use."""

    calls: list[Call]
    """The calls so far, in the order in which they were made."""

    @property
    def left(self) -> list[RecordedCall]:
        """The recordings that no call has taken yet."""
        ...

    @property
    def mismatches(self) -> list[CassetteMismatch]:
        """The calls that had no recording."""
        ...

    @property
    def replayer(self) -> Replayer:
        """The player of recorded calls."""
        ...

    def wrap(self, llm: Any) -> Any:
        """Return an LLM like this one whose calls go through the tape."""
        ...

    def llm(self) -> Any:
        """Return an LLM that only replays the tape."""
        ...

    def called(self, asked: Asked) -> Call:
        """Add a call to `calls` and return it."""
        ...

    def recorder_for(self, asked: Asked, model: str | None) -> Recorder | None:
        """Return the recorder of a call, or None if the call is to be replayed."""
        ...

    def take(self, llm: Any, asked: Asked) -> Take | None:
        """Return a recording to fill for a call, or None if nothing is recorded."""
        ...

    def has_direct(self, asked: Asked, model: str | None) -> bool:
        """Return True if a call past the entry points has a recording."""
        ...

    def similar(self, asked: Asked) -> RecordedCall | None:
        """Return the next recording with the messages of a call."""
        ...


@dataclass
class Binding:
    """The things that an overlaid LLM has beside its state."""

    tape: Tape
    """The tape that its calls go through."""
    inner: Any
    """The LLM that is recorded, or None if there is only the tape."""
    model: str | None
    """The name of the model, or None if requests match whatever the model."""


def bound(llm: Any) -> Binding:
    """Return the binding of an overlaid LLM."""
    return getattr(llm, SLOT)


def bind(llm: _L, binding: Binding) -> _L:
    """Give an LLM of an overlay class its binding, and return the LLM."""
    object.__setattr__(llm, SLOT, binding)
    return llm
