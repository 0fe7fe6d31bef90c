"""`check_encoder`: the contract that every encoder keeps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from llama_index_streaming_ext import codec
from llama_index_streaming_ext.stream.record import Record
from llama_index_streaming_ext.testing.contracts.rules import Unkept, check_rules, expect
from llama_index_streaming_ext.testing.contracts.sample_runs import SECRETS, sample_runs
from llama_index_streaming_ext.testing.contracts.watched import clock_and_chance
from llama_index_streaming_ext.testing.recording.timeline import kind_of

Secret: TypeAlias = Literal["errors", "prompts", "raw_output"]
"""Data that does not leave a process by default: the text of exceptions, the messages of prompts,
and the Python objects that tools return."""


class Encoder(Protocol):
    """An encoder of the records of one run into the frames of a wire, for one reader.

    It is made once for each reader and is a deterministic fold: what it gives depends on the
    records that it was given, in order, and on nothing else. So a reader that resumes gets the
    rest, byte for byte: its encoder is given all records again, and what it gives for those up to
    the reader's cursor is dropped.
    """

    def encode(self, record: Record) -> bytes:
        """The frames of the next record; empty where the wire does not show it."""
        ...


Run: TypeAlias = Sequence[Record]
_Make: TypeAlias = Callable[[], Encoder]


def check_encoder(
    make_encoder: Callable[[], Encoder],
    *,
    runs: Mapping[str, Sequence[Record]] | None = None,
    shows: Collection[Secret] = (),
    timeout: float = 60.0,
) -> None:
    """Check that an encoder keeps its contract, on the records of runs of all kinds.

    Args:
        make_encoder: makes an encoder for a new reader, of one and the same run.
        runs: records of runs of your own, by name, beside those that are always tried.
        shows: what it was told to show although it should not leave the process by default.
        timeout: seconds that each rule may take.

    Raises:
        ContractBroken: a rule does not hold. It says which, what was expected, and what was found.

    Example:
        >>> check_encoder(lambda: SSEEncoder(run_id="run-1"))
        >>> check_encoder(lambda: SSEEncoder(run_id="run-1", errors=True), shows=["errors"])
    """
    tried: dict[str, Run] = {**sample_runs(), **(runs or {})}
    checks = _Checks(make_encoder, tried, shows)
    check_rules(
        kind_of(make_encoder()),
        [
            ("it gives bytes for every record", checks.gives_bytes),
            ("the same records give the same bytes", checks.is_deterministic),
            ("no clock and no chance", checks.asks_no_clock),
            ("readers do not know of each other", checks.shares_nothing),
            ("a reader resumes where it stopped", checks.resumes),
            ("records are not changed", checks.changes_nothing),
            ("the terminal record is told", checks.tells_the_end),
            ("secrets stay in the process", checks.keeps_secrets),
        ],
        timeout,
    )


class _Checks:
    """The rules, for one encoder."""

    def __init__(self, make: _Make, runs: Mapping[str, Run], shows: Collection[Secret]) -> None:
        self._make = make
        self._runs = runs
        self._shows = shows
        self._before = {name: [_content(record) for record in run] for name, run in runs.items()}
        self._given: dict[str, list[bytes]] = {}

    def gives_bytes(self) -> None:
        """Whatever is in a record, it is encoded."""
        for name, run in self._runs.items():
            encoder = self._make()
            # Kept: what an encoder gives the first time of all is what others are compared with.
            given = self._given[name] = list[bytes]()
            for record in run:
                try:
                    given.append(encoder.encode(record))
                except Exception as error:
                    raise Unkept("bytes", f"{error!r} for {_told(name, record)}") from error
                found = f"{kind_of(given[-1])} for {_told(name, record)}"
                expect(type(given[-1]) is bytes, "bytes", found)

    def is_deterministic(self) -> None:
        """Another encoder gives the same for the same."""
        for name, run in self._runs.items():
            self._compare(name, run, self._given[name], _fold(self._make(), run))

    def changes_nothing(self) -> None:
        """Readers share the records, and what all of these rules have done left them alone."""
        for name, run in self._runs.items():
            for record, before in zip(run, self._before[name], strict=True):
                found = f"{_content(record)} {_told(name, record)}"
                expect(_content(record) == before, f"the event as it was: {before}", found)

    def asks_no_clock(self) -> None:
        """Times and ids are those of the records."""
        for name, run in self._runs.items():
            encoder = self._make()
            for record in run:
                with clock_and_chance() as asked:
                    encoder.encode(record)
                found = f"it calls {', '.join(asked)} for {_told(name, record)}"
                expect(not asked, "ids and times that come from the records alone", found)

    def shares_nothing(self) -> None:
        """Encoders of other readers, at other points, make no difference."""
        for (name, run), (_, other) in itertools.pairwise([*self._runs.items()] * 2):
            wanted = _fold(self._make(), run)
            mine, theirs = self._make(), self._make()
            got: list[bytes] = []
            for record, others in itertools.zip_longest(run, other):
                if others is not None:
                    theirs.encode(others)
                if record is not None:
                    got.append(mine.encode(record))
            self._compare(name, run, wanted, got)

    def resumes(self) -> None:
        """All records again, without the frames up to the cursor, give the rest."""
        for name, run in self._runs.items():
            whole = b"".join(_fold(self._make(), run))
            for cursor in range(len(run) + 1):
                before = b"".join(_fold(self._make(), run[:cursor]))
                rest = b"".join(_fold(self._make(), run)[cursor:])
                said = f"what was sent up to cursor {cursor} and the rest are the whole of {name!r}"
                expect(before + rest == whole, said, _difference(whole, before + rest))

    def tells_the_end(self) -> None:
        """There is a frame for the end, and only for the end."""
        for name, run in self._runs.items():
            *before, last = run
            ended, open_ = self._make(), self._make()
            _fold(ended, before)
            _fold(open_, before)
            end = ended.encode(last)
            told = _told(name, last)
            expect(end, "a frame for the terminal record", f"no bytes for {told}")
            said = "another frame than for the same event in a run that goes on"
            expect(end != open_.encode(last._replace(terminal=False)), said, f"{end!r} for {told}")

    def keeps_secrets(self) -> None:
        """Check that private data does not leave the process."""
        for name, run in self._runs.items():
            encoder = self._make()
            for record in run:
                given = encoder.encode(record)
                for secret, text in SECRETS.items():
                    if secret not in self._shows:
                        found = f"they are in {given!r} for {_told(name, record)}"
                        expect(text.encode() not in given, f"no {secret} in the frames", found)

    def _compare(
        self, name: str, run: Run, wanted: Sequence[bytes], found: Sequence[bytes]
    ) -> None:
        for record, one, other in zip(run, wanted, found, strict=True):
            expect(one == other, f"{one!r} for {_told(name, record)}", repr(other))


def _fold(encoder: Encoder, run: Run) -> list[bytes]:
    return [encoder.encode(record) for record in run]


def _content(record: Record) -> tuple[Any, ...]:
    """Return the content of a record in a form that can be compared later."""
    event = record.event
    fields = tuple(sorted(event.__pydantic_fields_set__))
    return (*codec.encode(event, keep_response=True), fields, id(getattr(event, "raw", None)))


def _told(name: str, record: Record) -> str:
    return f"record #{record.seq} ({kind_of(record.event)}) of the run {name!r}"


def _difference(wanted: bytes, found: bytes) -> str:
    at = next(
        (n for n, pair in enumerate(zip(wanted, found, strict=False)) if len(set(pair)) > 1), 0
    )
    return f"{found[at : at + 60]!r} instead of {wanted[at : at + 60]!r} at byte {at}"
