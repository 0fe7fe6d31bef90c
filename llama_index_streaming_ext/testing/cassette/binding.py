"""What ties an LLM to its cassette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llama_index_streaming_ext.testing.cassette.tape import Cassette

_L = TypeVar("_L")
SLOT = "_cassette_binding"
"""Where an LLM keeps it: a slot, for the fields are shared with the LLM that is recorded."""


@dataclass
class Binding:
    """What an overlaid LLM has beside its state."""

    cassette: Cassette
    """What it is recorded in, or replayed from."""
    inner: Any
    """The LLM itself, or None where there is none."""
    model: str | None
    """The name of its model, None if requests match whatever the model."""


def bound(llm: Any) -> Binding:
    """What an overlaid LLM has beside its state."""
    return getattr(llm, SLOT)


def bind(llm: _L, binding: Binding) -> _L:
    """Gives an LLM of an overlay class its cassette."""
    object.__setattr__(llm, SLOT, binding)
    return llm
