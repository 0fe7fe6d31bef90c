"""Cassettes: the calls of LLMs, recorded once and replayed offline."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, TypeVar, cast

from llama_index.core.llms import LLM

from llama_index_streaming_ext.testing.cassette.asked import Asked, llm_json
from llama_index_streaming_ext.testing.cassette.binding import Binding, bind
from llama_index_streaming_ext.testing.cassette.errors import CassetteMismatch
from llama_index_streaming_ext.testing.cassette.format.file import (
    Contents,
    RecordedCall,
    Writer,
    read,
)
from llama_index_streaming_ext.testing.cassette.overlay import overlaid, overlay_class
from llama_index_streaming_ext.testing.cassette.recording import Recorder, Take
from llama_index_streaming_ext.testing.cassette.replay_llm import ReplayLLM, described_by
from llama_index_streaming_ext.testing.cassette.replaying import Replayer, Shelf
from llama_index_streaming_ext.testing.fake_llm.calls import Call

_L = TypeVar("_L", bound=LLM)
Record: TypeAlias = Literal["none", "new", "all"]
"""The calls that are recorded: none, those that the cassette lacks, or all anew."""


class Cassette:
    """A file of recorded LLM calls, to record to or to replay from.

    Args:
        path: the file, JSON Lines.
        record: "none": all calls are replayed, and one that was not recorded fails; "new": calls
            that are not in the cassette are made and added to it; "all": the cassette begins
            empty, and all calls are made and recorded.
        speed: the speed of the replay: 2.0 is twice as fast as recorded; 0 and infinity do not
            wait.
        live_key: a key, or several keys, that must not be written. The LLM's own keys and those
            of the environment (`*_API_KEY`) are known anyway.

    Raises:
        CassetteMissing: there is no file, and `record` is "none".
        CassetteUnreadable: the file is not a cassette, or of another version.

    Example:
        >>> cassette = Cassette("weather.jsonl", record="new")
        >>> llm = cassette.wrap(OpenAI(model="gpt-4o-mini"))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        record: Record = "none",
        speed: float = 1.0,
        live_key: str | Sequence[str] | None = None,
    ) -> None:
        if math.isnan(speed) or speed < 0:
            raise ValueError(f"speed= is 0 or more (0: without waiting), not {speed!r}.")
        self.path = Path(path)
        self.record: Record = record
        self.calls: list[Call] = []
        keys = (live_key,) if isinstance(live_key, str) else tuple(live_key or ())
        contents = _opened(self.path, record)
        self._shelf = Shelf(self.path, contents, complete_only=record == "new")
        self.replayer = Replayer(self._shelf, speed)
        self._recorder = None
        if record != "none":
            first = 1 + max((_number(r) for r in contents.recordings), default=0)
            self._recorder = Recorder(Writer(self.path), keys, first)

    @property
    def left(self) -> list[RecordedCall]:
        """The recordings that no call has taken yet."""
        return self._shelf.left

    @property
    def mismatches(self) -> list[CassetteMismatch]:
        """The calls that had no recording."""
        return self._shelf.mismatches

    def wrap(self, llm: _L) -> _L:
        """Return an LLM of the same class and state whose calls go through the cassette.

        Args:
            llm: the LLM. If everything is replayed it is not called, and needs no key.
        """
        model = llm_json(llm)["metadata"].get("model_name")
        return overlaid(llm, self, model)

    def llm(self) -> ReplayLLM:
        """Return an LLM that replays the cassette, without the LLM that was recorded."""
        first = self._shelf.first
        # Its entry points are the overlay.
        cls = cast("Callable[..., ReplayLLM]", overlay_class(ReplayLLM))
        made = cls(described=described_by(first.llm if first else {}))
        return bind(made, Binding(self, None, None))

    def similar(self, asked: Asked) -> RecordedCall | None:
        """Return the next recording with the messages of a call."""
        return self._shelf.similar(asked)

    def called(self, asked: Asked) -> Call:
        """Note a call."""
        call = asked.call()
        self.calls.append(call)
        return call

    def recorder_for(self, asked: Asked, model: str | None) -> Recorder | None:
        """Return the recorder of a call, or None if the call is replayed."""
        if self.record == "new" and self._shelf.peek(asked, model) is not None:
            return None
        return self._recorder

    def has_direct(self, asked: Asked, model: str | None) -> bool:
        """Return True if there is a recording of a call past the entry points."""
        found = self._shelf.peek(asked, model)
        return self.record != "all" and found is not None and "direct" in found.request

    def take(self, llm: LLM, asked: Asked) -> Take | None:
        """Return a recording to fill for a call, or None if nothing is recorded."""
        return self._recorder and self._recorder.take(llm, asked)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "calls": copy.copy(self.calls)}

    def __repr__(self) -> str:
        return f"Cassette({str(self.path)!r}, record={self.record!r}, left={len(self.left)})"


def record_llm(
    llm: _L, path: str | os.PathLike[str], *, live_key: str | Sequence[str] | None = None
) -> _L:
    """Wrap an LLM so that its calls are recorded in a new cassette.

    The result has the class of the LLM (`isinstance(recorded, type(llm))`) and shares its state.
    Its entry points are recorded: `chat`, `complete`, `structured_predict`, `stream_*`, `a*`, and
    everything that calls them. Requests that a class sends past them (to count tokens, to stream
    structured answers) are not seen.

    Args:
        llm: the LLM.
        path: the cassette, a file of JSON Lines; one that is there is replaced.
        live_key: a key, or several keys, that must not be written. The LLM's own keys and those
            of the environment (`*_API_KEY`) are known anyway.

    Returns:
        The LLM to use instead. Its calls raise `LiveKeyFound` rather than write a live key.

    Example:
        >>> llm = record_llm(OpenAI(model="gpt-4o-mini"), "weather.jsonl")
    """
    return Cassette(path, record="all", live_key=live_key).wrap(llm)


def replay_llm(path: str | os.PathLike[str], *, speed: float = 1.0) -> ReplayLLM:
    """Return an LLM that replays a cassette, chunk by chunk and with its timing.

    Args:
        path: the cassette.
        speed: 2.0 is twice as fast as recorded; 0 and infinity do not wait.

    Raises:
        CassetteMissing: there is no file.
        CassetteUnreadable: the file is not a cassette, or of another version.

    Example:
        >>> llm = replay_llm("weather.jsonl", speed=0)
    """
    return Cassette(path, speed=speed).llm()


def _opened(path: Path, record: Record) -> Contents:
    if record not in ("none", "new", "all"):
        raise ValueError(f'record= is "none", "new" or "all", not {record!r}.')
    writer = Writer(path)
    if record == "all" or (record == "new" and not path.exists()):
        writer.create()
    contents = read(path)
    if record == "new":
        writer.mend()
    return contents


def _number(recording: RecordedCall) -> int:
    digits = recording.call.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0
