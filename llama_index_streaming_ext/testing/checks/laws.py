"""The laws of a stream, each as a function of a recording.

L1  `seq` is 1..n without gaps; `ts` never goes back.
L2  There is exactly one terminal record, and it is the last.
L3  In one LLM call, `response` grows by exactly `delta`.
L4  Every ToolCallResult has an earlier ToolCall with its `tool_id`, and every ToolCall of a
    completed run has a result.
L5  The joined deltas of a tool call's arguments parse to the `tool_kwargs` that it was called with.
L6  Every reader sees the same records. (`rereading.py`)
L7  The text of the outcome is what a reader of the deltas has seen.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

from llama_index_streaming_ext.events import (
    AgentInput,
    AgentStream,
    CodeDelta,
    Event,
    LLMCallStarted,
    ToolCall,
    ToolCallResult,
    ToolOutputDelta,
)
from llama_index_streaming_ext.testing.recording.recording import Recording
from llama_index_streaming_ext.testing.recording.timeline import delta_of, kind_of, table

LAWS = {
    "L1": "`seq` is 1..n without gaps, and `ts` never goes back",
    "L2": "there is exactly one terminal record, and it is the last",
    "L3": "in one LLM call, `response` grows by exactly `delta`",
    "L4": "every ToolCallResult has an earlier ToolCall, and every ToolCall one result",
    "L5": "the joined deltas of a tool call's arguments parse to its `tool_kwargs`",
    "L6": "every reader sees the same records, whenever it starts and however it is interrupted",
    "L7": "the text of the outcome is what a reader of the deltas has seen",
}
"""The laws, by name."""


class StreamLawBroken(AssertionError):
    """A stream breaks one of the laws.

    Attributes:
        law: its name, such as `"L4"`.
        seq: the record at which it is broken, None where there is none.
        expected: what should have been.
        found: what was.
        recording: the stream.
    """

    def __init__(
        self, law: str, recording: Recording, at: int | None, expected: str, found: str
    ) -> None:
        self.law = law
        self.seq = recording.records[at].seq if at is not None else None
        self.expected = expected
        self.found = found
        self.recording = recording
        where = f" at record #{self.seq}" if self.seq is not None else ""
        shown = "\n".join(table(recording.records, recording.times, mark=at))
        super().__init__(
            f"{law} is broken{where}: {LAWS[law]}.\n"
            f"  expected: {expected}\n  found:    {found}\n{shown}"
        )


def check_l1(rec: Recording) -> str | None:
    """`seq` is 1..n without gaps, and `ts` never goes back.

    Returns:
        Why it does not apply, None if it holds; so do all of these functions.

    Raises:
        StreamLawBroken: it is broken; so do all of these functions.
    """
    if rec.origin not in ("log", "records"):
        return "the source does not number what it streams"
    before = None
    for at, record in enumerate(rec.records):
        last = before.seq if before is not None else 0
        # A reader of records is not shown internal events, so that it may see gaps.
        if record.seq != last + 1 and (rec.origin == "log" or record.seq <= last):
            more = "" if rec.origin == "log" else " or more"
            raise StreamLawBroken("L1", rec, at, f"seq {last + 1}{more}", f"seq {record.seq}")
        if before is not None and record.ts < before.ts:
            raise StreamLawBroken("L1", rec, at, f"ts {before.ts!r} or later", f"ts {record.ts!r}")
        before = record
    return None


def check_l2(rec: Recording) -> str | None:
    """There is exactly one terminal record, and it is the last."""
    if rec.origin not in ("log", "handler", "records"):
        return "a bare iterator does not say which event is the last of its run"
    last = len(rec.records) - 1
    for at, record in enumerate(rec.records):
        if record.terminal and at != last:
            behind = ", ".join(kind_of(record.event) for record in rec.records[at + 1 : at + 4])
            raise StreamLawBroken("L2", rec, at, "nothing behind the terminal record", behind)
    if rec.records and rec.records[-1].terminal:
        return None
    if rec.origin == "records":
        return "the reader did not read to the end"
    found = "no record at all" if last < 0 else f"a {kind_of(rec.records[-1].event)}"
    if rec.error is not None:
        found += f", and then {rec.error!r}"
    raise StreamLawBroken(
        "L2", rec, last if last >= 0 else None, "a terminal record at the end", found
    )


def check_l3(rec: Recording) -> str | None:
    """In one LLM call, `response` grows by exactly `delta`."""
    if rec.origin == "text":
        return "bare strings have no response"
    if rec.origin == "chunks":
        return _check_chunks(rec)
    calls = _Calls()
    seen = False
    for at, record in enumerate(rec.records):
        event = record.event
        if isinstance(event, AgentStream):
            seen = True
            if not calls.take(event):
                raise StreamLawBroken(
                    "L3", rec, at, calls.expected(event), f"response={event.response!r}" + _L3
                )
        else:
            calls.between(event)
    return None if seen else "there is no AgentStream"


_L3 = (
    "\n            (Some LLM classes break this upstream. Pass responses=False where that is not "
    "what you test.)"
)


def _check_chunks(rec: Recording) -> None:
    """The chunks of one LLM call, as the LLM itself yields them."""
    said = ""
    for at, record in enumerate(rec.records):
        chunk = cast("Any", record.event)
        said += delta_of(chunk)
        message = getattr(chunk, "message", None)
        text = (message.content or "") if message is not None else getattr(chunk, "text", None)
        if text is not None and text != said:
            raise StreamLawBroken("L3", rec, at, f"text {said!r}", f"text {text!r}" + _L3)


class _Calls:
    """The LLM calls of a run, told apart by agent and by what they have said so far."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {}
        self._to_begin: Counter[str] = Counter()
        self._announced: set[str] = set()
        self._running_tools: Counter[str] = Counter()

    def between(self, event: Event) -> None:
        """Note an event that is no chunk."""
        if isinstance(event, AgentInput):
            self._announced.add(event.current_agent_name)
            self._to_begin[event.current_agent_name] += 1
        elif isinstance(event, LLMCallStarted) and event.agent is not None:
            # An agent that gives its last word says no AgentInput.
            self._to_begin[event.agent] = max(1, self._to_begin[event.agent])
        elif isinstance(event, ToolCall):
            self._running_tools[event.tool_id] += 1
        elif isinstance(event, ToolCallResult):
            self._running_tools.pop(event.tool_id, None)
        # Where no agent says that it asks its LLM, any other event may stand between two calls.
        for name in self._said.keys() - self._announced:
            self._to_begin[name] = 1

    def take(self, event: AgentStream) -> bool:
        """Return True if a chunk goes on with a call of its agent, or may begin one."""
        name, delta, response = event.current_agent_name, event.delta, event.response
        calls = self._said.setdefault(name, [])
        for at in reversed(range(len(calls))):
            if response == calls[at] + delta:
                calls[at] = response
                return True
        if response != delta or not self._may_begin(name):
            return False
        self._to_begin[name] = max(0, self._to_begin[name] - 1)
        calls.append(response)
        return True

    def expected(self, event: AgentStream) -> str:
        """Return the text that the chunk should have had."""
        calls = self._said.get(event.current_agent_name, [])
        said = calls[-1] if calls else ""
        return f"response={said + event.delta!r}"

    def _may_begin(self, name: str) -> bool:
        # A tool may forward the chunks of an agent of its own, without that one's AgentInput.
        return bool(not self._said[name] or self._to_begin[name] > 0 or +self._running_tools)


def check_l4(rec: Recording) -> str | None:
    """Every ToolCallResult has an earlier ToolCall, and every ToolCall one result."""
    called: Counter[str] = Counter()
    waiting: dict[str, int] = {}
    for at, record in enumerate(rec.records):
        event = record.event
        if isinstance(event, ToolCall):
            # U34: a step that asks a human runs again, and streams its call twice.
            called[event.tool_id] += 1
            waiting[event.tool_id] = at
        elif isinstance(event, ToolCallResult):
            _check_called(rec, at, event, called)
            waiting.pop(event.tool_id, None)
    if waiting and _has_completed(rec):
        tool_id, at = next(iter(waiting.items()))
        raise StreamLawBroken(
            "L4", rec, at, f"a ToolCallResult for tool_id={tool_id!r}", "none to the end"
        )
    return None if called else "there is no ToolCall"


def _check_called(rec: Recording, at: int, event: ToolCallResult, called: Counter[str]) -> None:
    tool_id = event.tool_id
    if tool_id not in called:
        known = ", ".join(repr(name) for name in called) or "none"
        raise StreamLawBroken(
            "L4", rec, at, f"an earlier ToolCall with tool_id={tool_id!r}", f"only {known}"
        )
    called[tool_id] -= 1
    if called[tool_id] < 0:
        raise StreamLawBroken("L4", rec, at, f"one result for tool_id={tool_id!r}", "one more")


def _has_completed(rec: Recording) -> bool:
    """Return True if the run is known to have ended, and ended well."""
    ended = bool(rec.records) and rec.records[-1].terminal
    return ended and rec.outcome.status == "completed"


def check_l5(rec: Recording) -> str | None:
    """The joined deltas of a tool call's arguments parse to its `tool_kwargs`.

    It looks at every event that has a `tool_id` and a `delta`, but for what tools give.
    """
    said: dict[str, list[str]] = {}
    seen = False
    for at, record in enumerate(rec.records):
        event = record.event
        tool_id, delta = getattr(event, "tool_id", None), getattr(event, "delta", None)
        if isinstance(event, ToolOutputDelta | CodeDelta):
            # What a tool says, and code: neither is JSON.
            continue
        if isinstance(tool_id, str) and isinstance(delta, str):
            said.setdefault(tool_id, []).append(delta)
            seen = True
        elif isinstance(event, ToolCall) and event.tool_id in said:
            _check_arguments(rec, at, event, "".join(said.pop(event.tool_id)))
    return None if seen else "no event brings the arguments of a tool call piece by piece"


def _check_arguments(rec: Recording, at: int, event: ToolCall, said: str) -> None:
    kwargs = cast("dict[str, Any]", event.tool_kwargs)  # pyright: ignore[reportUnknownMemberType] # core says dict
    try:
        parsed = json.loads(said)
    except ValueError as error:
        expected = f"deltas that are the JSON of {kwargs!r}"
        raise StreamLawBroken("L5", rec, at, expected, repr(said)) from error
    if parsed != kwargs:
        expected, found = f"tool_kwargs={parsed!r}", f"tool_kwargs={kwargs!r}"
        raise StreamLawBroken("L5", rec, at, expected, found)


def check_l7(rec: Recording) -> str | None:
    """The text of the outcome is what a reader of the deltas of this very run has seen.

    Deltas that were forwarded from inner runs (`record.origin.run_id`) are not among them.
    """
    if rec.origin != "log":
        return "the source has no outcome of its own"
    if rec.outcome.text != rec.text:
        at = len(rec.records) - 1 if rec.records else None
        raise StreamLawBroken("L7", rec, at, f"outcome.text={rec.text!r}", f"{rec.outcome.text!r}")
    return None
