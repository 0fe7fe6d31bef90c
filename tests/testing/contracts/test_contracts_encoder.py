"""`check_encoder`: a small encoder passes, and encoders that break a rule are caught."""

from __future__ import annotations

import itertools
import json
import logging
import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from llama_index_streaming_ext import (
    AgentInput,
    Event,
    Record,
    StopEvent,
    ToolCallResult,
    WorkflowFailedEvent,
    codec,
)
from llama_index_streaming_ext.testing import ContractBroken, Encoder, check_encoder
from llama_index_streaming_ext.testing.contracts.sample_runs import Sample, records_of
from llama_index_streaming_ext.testing.contracts.watched import clock_and_chance


class JsonLines:
    """One line of JSON for each record, by the codec; prompts and failures are only named."""

    secret: tuple[type[Any], ...] = (AgentInput, ToolCallResult, WorkflowFailedEvent)

    def encode(self, record: Record) -> bytes:
        """The line of a record."""
        return self.line(record, id=f"run-{record.seq}")

    def line(self, record: Record, **more: Any) -> bytes:
        """A line with some more in it."""
        kind, data = codec.encode(record.event)
        payload = None if isinstance(record.event, self.secret) else json.loads(data)
        line = {"seq": record.seq, "ts": record.ts, "kind": kind, "data": payload, **more}
        if record.terminal:
            line["terminal"] = True
        return json.dumps(line).encode() + b"\n"


def test_json_lines() -> None:
    """A small encoder on top of the codec keeps the contract."""
    check_encoder(JsonLines)


def test_an_encoder_with_a_state() -> None:
    """An encoder may fold: what it gives may depend on the records before."""

    class Counting(JsonLines):
        def __init__(self) -> None:
            self.count = 0

        def encode(self, record: Record) -> bytes:
            self.count += 1
            return self.line(record, number=self.count)

    check_encoder(Counting)


class Text(JsonLines):
    """Gives text."""

    def encode(self, record: Record) -> Any:
        """A line of text."""
        return super().encode(record).decode()


class Choosy(JsonLines):
    """Cannot encode every value."""

    def encode(self, record: Record) -> bytes:
        """A line, unless it is too odd."""
        if isinstance(record.event, Sample):
            json.dumps(record.event.value)
        return super().encode(record)


class Marking(JsonLines):
    """Writes into the event."""

    def encode(self, record: Record) -> bytes:
        """A line, and a mark."""
        record.event.seen = True  # pyright: ignore[reportAttributeAccessIssue] # a dynamic field
        return super().encode(record)


class Random(JsonLines):
    """Makes up ids."""

    def encode(self, record: Record) -> bytes:
        """A line with an id."""
        return self.line(record, id=uuid.uuid4().hex)


class Numbering(JsonLines):
    """Counts for all readers together."""

    numbers = itertools.count()

    def encode(self, record: Record) -> bytes:
        """A line with a number."""
        return self.line(record, number=next(self.numbers))


class Dated(JsonLines):
    """Says which day it is: the same for two encoders in one second."""

    def encode(self, record: Record) -> bytes:
        """A line with a date."""
        return self.line(record, day=datetime.now(UTC).date().isoformat())


class Clocked(JsonLines):
    """Says which hour it is."""

    def encode(self, record: Record) -> bytes:
        """A line with a time."""
        return self.line(record, hour=time.time() // 3600)


class Sometimes(JsonLines):
    """Takes a chance that hardly ever shows."""

    def encode(self, record: Record) -> bytes:
        """A line."""
        return b"" if random.random() < 0 else super().encode(record)


class Sharing(JsonLines):
    """Keeps the state of its run on the class, and begins anew with the first record."""

    kinds: list[str] = []  # noqa: RUF012 # the mistake

    def encode(self, record: Record) -> bytes:
        """A line with the kinds so far."""
        if record.seq == 1:
            self.kinds.clear()
        self.kinds.append(type(record.event).__name__)
        return self.line(record, so_far=self.kinds)


class Endless(JsonLines):
    """Does not say the end."""

    def encode(self, record: Record) -> bytes:
        """A line as any other."""
        return super().encode(record._replace(terminal=False))


class Silent(JsonLines):
    """Has no frame for the end."""

    def encode(self, record: Record) -> bytes:
        """A line, but for the end."""
        return b"" if record.terminal else super().encode(record)


class ShowsErrors(JsonLines):
    """Shows what was raised."""

    secret = (AgentInput, ToolCallResult)


class ShowsToolErrors(JsonLines):
    """Shows what a tool said, errors included."""

    secret = (AgentInput, WorkflowFailedEvent)


class ShowsPrompts(JsonLines):
    """Shows what the LLM is asked."""

    secret = (ToolCallResult, WorkflowFailedEvent)


BROKEN: list[tuple[Callable[[], Encoder], str]] = [
    (Text, "it gives bytes for every record"),
    (Choosy, "it gives bytes for every record"),
    (Marking, "records are not changed"),
    (Random, "the same records give the same bytes"),
    (Numbering, "the same records give the same bytes"),
    (Dated, "no clock and no chance"),
    (Clocked, "no clock and no chance"),
    (Sometimes, "no clock and no chance"),
    (Sharing, "readers do not know of each other"),
    (Endless, "the terminal record is told"),
    (Silent, "the terminal record is told"),
    (ShowsErrors, "secrets stay in the process"),
    (ShowsToolErrors, "secrets stay in the process"),
    (ShowsPrompts, "secrets stay in the process"),
]


@pytest.mark.parametrize(("make", "rule"), BROKEN)
def test_broken_encoders(make: Callable[[], Encoder], rule: str) -> None:
    """An encoder that breaks a rule is caught at that rule."""
    with pytest.raises(ContractBroken) as failed:
        check_encoder(make)
    assert failed.value.rule == rule


def test_an_encoder_that_remembers_the_last_reader() -> None:
    """An encoder that goes on where another stopped cannot be resumed."""

    class Remembering(JsonLines):
        longest = 0

        def encode(self, record: Record) -> bytes:
            again = record.seq <= Remembering.longest
            Remembering.longest = max(Remembering.longest, record.seq)
            return self.line(record, again=again)

    with pytest.raises(ContractBroken):
        check_encoder(Remembering)


@pytest.mark.parametrize(
    ("make", "shows"),
    [
        (ShowsErrors, ["errors"]),
        (ShowsToolErrors, ["errors", "raw_output"]),
        (ShowsPrompts, ["prompts"]),
    ],
)
def test_secrets_that_may_be_shown(make: Callable[[], Encoder], shows: list[Any]) -> None:
    """An encoder that was told to show something may."""
    check_encoder(make, shows=shows)


def test_runs_of_ones_own() -> None:
    """Records of a user's own runs are tried as well."""

    class Mine(Event):
        pass

    class Choosy(JsonLines):
        def encode(self, record: Record) -> bytes:
            if isinstance(record.event, Mine):
                raise ValueError("not mine")
            return super().encode(record)

    check_encoder(Choosy)
    with pytest.raises(ContractBroken, match=r"record #2 \(Mine\) of the run 'mine'"):
        check_encoder(Choosy, runs={"mine": records_of(StopEvent(), Mine(), StopEvent())})


def test_the_message() -> None:
    """A breach says who breaks what, at which record of which run."""
    with pytest.raises(ContractBroken) as failed:
        check_encoder(Silent)
    assert str(failed.value).splitlines() == [
        "Silent breaks the rule 'the terminal record is told'.",
        "  expected: a frame for the terminal record",
        "  found:    no bytes for record #6 (StopEvent) of the run 'an answer'",
    ]


def test_writing_to_a_log_is_no_use_of_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    """An encoder may log, which takes the time for itself."""
    with caplog.at_level(logging.DEBUG), clock_and_chance() as asked:
        logging.getLogger(__name__).debug("encoded")
    assert asked == []


@pytest.mark.parametrize(
    "ask",
    [
        time.time,
        time.monotonic_ns,
        uuid.uuid4,
        uuid.uuid1,
        random.random,
        lambda: random.choice("ab"),
    ],
)
def test_clocks_and_chance(ask: Callable[[], object]) -> None:
    """Asking a clock or chance is seen, also inside of what is called."""
    with clock_and_chance() as asked:
        ask()
    assert asked
