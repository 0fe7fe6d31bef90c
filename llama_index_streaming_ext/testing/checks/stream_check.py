"""`check_stream`: whether a stream keeps the laws."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llama_index_streaming_ext.testing.checks import laws, rereading
from llama_index_streaming_ext.testing.checks.laws import LAWS
from llama_index_streaming_ext.testing.recording.recorder import log_of, record
from llama_index_streaming_ext.testing.recording.recording import Recording

_CHECKS: dict[str, Callable[[Recording], str | None]] = {
    "L1": laws.check_l1,
    "L2": laws.check_l2,
    "L3": laws.check_l3,
    "L4": laws.check_l4,
    "L5": laws.check_l5,
    "L7": laws.check_l7,
}
_LIVE_READERS = 3


@dataclass(frozen=True, slots=True, repr=False)
class LawReport:
    """The laws that a stream was found to keep, and those that were not checked.

    Attributes:
        recording: the stream.
        held: the laws that were checked, such as `"L1"`.
        skipped: why each of the others does not apply.
    """

    recording: Recording
    held: tuple[str, ...]
    skipped: dict[str, str]

    def __repr__(self) -> str:
        return f"<LawReport: held {' '.join(self.held)}, skipped {' '.join(self.skipped)}>"

    def __str__(self) -> str:
        lines = [f"{law} holds: {LAWS[law]}" for law in self.held]
        lines += [f"{law} was not checked: {why}" for law, why in self.skipped.items()]
        return "\n".join(sorted(lines))


async def check_stream(
    source: Any,
    *,
    responses: bool = True,
    readers: int = 8,
    seed: int = 0,
    timeout: float | None = None,
) -> LawReport:
    """Check that a stream keeps the laws L1 to L7 (`testing.laws` lists them).

    Laws that a source cannot keep or break (upstream's handlers have no `seq`) are skipped, and
    the report says why. L5 looks at events that have a `tool_id` and a `delta`.

    Args:
        source: a recording, or whatever `record` takes. Give the handler rather than its iterator:
            it says how the run ended.
        responses: check L3, that `response` grows by exactly `delta`. LLMs that are fakes of this
            package keep it (in the dialect "responses" they are as faithful as the class they
            imitate, which breaks it); of other classes some do not. False skips it.
        readers: how many readers at random read a log again, for L6.
        seed: what these readers are made from.
        timeout: as for `record`.

    Raises:
        StreamLawBroken: a law is broken. It says which, at which record, and shows the others
            around it.

    Example:
        >>> print(await check_stream(agent.run(user_msg="How is the weather?")))
        L1 holds: `seq` is 1..n without gaps, and `ts` never goes back
        ...
    """
    chance = random.Random(seed)
    if isinstance(source, Recording):
        rec = source
        live: list[rereading.Reader] = []
    else:
        rec, live = await _record_among(source, chance, min(readers, _LIVE_READERS), timeout)
    report = check_recording(rec, responses=responses)
    stream = rec.stream
    if stream is None or rec.outcome.status == "lost":
        return report
    later = rereading.readers(stream, readers, chance, last=len(rec.records))
    for reader in later:
        await reader.read()
    for reader in live + later:
        reader.check(rec)
    skipped = {law: why for law, why in report.skipped.items() if law != "L6"}
    return LawReport(rec, tuple(sorted((*report.held, "L6"))), skipped)


def check_recording(rec: Recording, *, responses: bool = True) -> LawReport:
    """Check the laws that a recording alone can tell of: all but L6.

    Args:
        rec: the recording.
        responses: as for `check_stream`.

    Raises:
        StreamLawBroken: a law is broken.
    """
    held: list[str] = []
    skipped = {"L6": "the source cannot be read again"}
    if rec.stream is not None:
        skipped["L6"] = "only check_stream(...) reads a stream again"
    for law, check in _CHECKS.items():
        why = "responses=False" if law == "L3" and not responses else check(rec)
        if why is None:
            held.append(law)
        else:
            skipped[law] = why
    return LawReport(rec, tuple(held), dict(sorted(skipped.items())))


async def _record_among(
    source: Any, chance: random.Random, count: int, timeout: float | None
) -> tuple[Recording, list[rereading.Reader]]:
    """Record a source while others read it as well, if it can be read by many."""
    stream = log_of(source)
    if stream is None:
        return await record(source, timeout=timeout), []
    live = rereading.readers(stream, count, chance, last=_LIVE_READERS)
    reading = [asyncio.create_task(reader.read()) for reader in live]
    try:
        rec = await record(source, timeout=timeout)
        if rec.outcome.status != "lost" or stream.done:
            await asyncio.gather(*reading)
    finally:
        await _cancelled(reading)
    return rec, live


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
