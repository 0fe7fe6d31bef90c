"""Records, of which a log is made, and the ending of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from typing_extensions import TypeVar

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.stream.origin import NOWHERE, Origin
from llama_index_streaming_ext.stream.outcome import Status

E = TypeVar("E", bound=Event, default=Event)
E_co = TypeVar("E_co", bound=Event, default=Event, covariant=True)


class Record(NamedTuple, Generic[E_co]):
    """Event in a log; `Record[AgentStream]` is one whose event is an `AgentStream`.

    Records are shared by all readers: take a copy of the event before you change it.

    Attributes:
        seq: 1, 2, 3, ... without gaps.
        ts: when it was written, Unix seconds; never goes back.
        event: the event.
        terminal: True for the last record of a run, and only for that.
        origin: the agent, LLM call, tool call and attempt that it comes from, as far as known.
    """

    seq: int
    ts: float
    event: E_co
    terminal: bool = False
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True)
class Ending:
    """Ending of a run, as its writer gives it."""

    status: Status
    result: Any = None
    error: BaseException | None = None
    steps: tuple[str, ...] = ()
