"""Outcomes and snapshots of a log."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import ToolOutput

from llama_index_streaming_ext import (
    AgentInput,
    AgentOutput,
    AgentStream,
    Event,
    EventStream,
    Outcome,
    StopEvent,
    ToolCall,
    ToolCallResult,
)
from llama_index_streaming_ext.events.usage import Usage
from llama_index_streaming_ext.stream.outcome import Status
from llama_index_streaming_ext.stream.record import Ending


class Rated(AgentStream):
    """A chunk that a user's agent has enriched."""

    score: float = 0.0


def chunk(delta: str, response: str, agent: str = "agent", raw: Any = None) -> AgentStream:
    """A chunk of an LLM call."""
    return AgentStream(delta=delta, response=response, current_agent_name=agent, raw=raw)


def output(agent: str = "agent", raw: Any = None) -> AgentOutput:
    """The end of an LLM call."""
    return AgentOutput(response=ChatMessage("?"), current_agent_name=agent, raw=raw)


def counts(prompt: int, completion: int) -> dict[str, Any]:
    """A raw chunk with nothing but usage."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


def call(tool_id: str) -> ToolCall:
    """A call of a tool."""
    return ToolCall(tool_name="add", tool_kwargs={"a": 1}, tool_id=tool_id)


def result(tool_id: str) -> ToolCallResult:
    """Return the output of the tool of a call."""
    said = ToolOutput(content="2", tool_name="add", raw_input={}, raw_output=2)
    return ToolCallResult(
        tool_name="add",
        tool_kwargs={"a": 1},
        tool_id=tool_id,
        tool_output=said,
        return_direct=False,
    )


def written(*events: Event) -> EventStream:
    """The log of a run that goes on."""
    stream = EventStream("run")
    for event in events:
        stream.append(event)
    return stream


async def outcome(*events: Event, ending: Ending | None = None) -> Outcome:
    """The outcome of a run that wrote these events."""
    stream = written(*events)
    stream.close(StopEvent(), ending or Ending("completed"))
    return await stream.outcome()


async def test_text_is_all_deltas() -> None:
    """The text is what was streamed, of all calls."""
    found = await outcome(chunk("a", "a"), chunk("b", "ab"), output(), chunk("c", "c"))
    assert found.text == "abc"


async def test_text_of_subclasses() -> None:
    """Deltas of chunks that a user's class has enriched are in the text, too."""
    rated = Rated(delta="b", response="b", current_agent_name="agent", score=1.0)
    assert (await outcome(chunk("a", "a"), rated)).text == "ab"


ENDINGS: list[tuple[Status, BaseException | None]] = [
    ("completed", None),
    ("failed", ValueError("no")),
    ("cancelled", RuntimeError("stopped")),
    ("timed_out", TimeoutError()),
    ("lost", RuntimeError("closed")),
]


@pytest.mark.parametrize(("status", "error"), ENDINGS)
async def test_outcome_never_raises(status: Status, error: BaseException | None) -> None:
    """However a run ended, its outcome says so, with the error as a value."""
    found = await outcome(chunk("so far", "so far"), ending=Ending(status, error=error))
    assert (found.status, found.error, found.text) == (status, error, "so far")


async def test_result() -> None:
    """A completed run's outcome has its result."""
    assert (await outcome(ending=Ending("completed", result=42))).result == 42


async def test_steps_of_a_timeout() -> None:
    """A timed-out run's outcome has the steps that were active."""
    found = await outcome(ending=Ending("timed_out", steps=("slow", "slower")))
    assert found.steps == ("slow", "slower")


async def test_times() -> None:
    """A run's outcome says when it started and ended, by the stream's clock."""
    times = iter([100.0, 101.0, 103.5])
    stream = EventStream("run", clock=lambda: next(times))
    stream.append(Event())
    stream.close(StopEvent(), Ending("completed"))
    found = await stream.outcome()
    assert (found.started, found.ended, found.seconds) == (100.0, 103.5, 3.5)


async def test_outcome_twice() -> None:
    """Asking again gives the same."""
    stream = written(chunk("a", "a"), chunk("", "a", raw=counts(1, 2)))
    stream.close(StopEvent(), Ending("completed"))
    assert await stream.outcome() == await stream.outcome()


def test_empty_snapshot() -> None:
    """Before the first record there is nothing."""
    empty = written().snapshot()
    assert (empty.seq, empty.text, empty.tool_calls, empty.usage) == (0, "", (), None)
    assert empty.current_agent is None
    assert not empty.done


async def test_snapshot_and_the_rest() -> None:
    """A snapshot's text and what is read from its seq on are the whole text."""
    stream = written(chunk("a", "a"), chunk("b", "ab"))
    seen = stream.snapshot()
    stream.append(chunk("c", "abc"))
    stream.close(StopEvent(), Ending("completed"))
    rest = [record.event.delta async for record in stream.read(seen.seq, types=AgentStream)]
    assert seen.text + "".join(rest) == "abc"


def test_snapshots_do_not_change() -> None:
    """A snapshot stays what it was when the run goes on."""
    stream = written(chunk("a", "a"), call("1"))
    first = stream.snapshot()
    stream.append(result("1"))
    stream.append(chunk("b", "b"))
    assert (first.text, first.seq, first.tool_calls[0].result) == ("a", 2, None)


def test_snapshot_of_an_ended_run() -> None:
    """A run that has ended is done, and its terminal record is counted."""
    stream = written(chunk("a", "a"))
    stream.close(StopEvent(), Ending("completed"))
    seen = stream.snapshot()
    assert (seen.done, seen.seq) == (True, stream.last_seq)


def test_tool_calls() -> None:
    """Tool calls are there in the order they were made, with the results so far."""
    seen = written(call("1"), call("2"), result("2")).snapshot()
    assert [(tool.tool_id, tool.result is not None) for tool in seen.tool_calls] == [
        ("1", False),
        ("2", True),
    ]


def test_a_tool_call() -> None:
    """A tool call has its name, its arguments and its result."""
    [tool] = written(call("1"), result("1")).snapshot().tool_calls
    assert (tool.tool_name, tool.tool_kwargs) == ("add", {"a": 1})
    assert tool.result is not None
    assert tool.result.content == "2"


@pytest.mark.parametrize(
    "last", [AgentInput(input=[], current_agent_name="b"), chunk("", "", "b"), output("b")]
)
def test_current_agent(last: Event) -> None:
    """The agent at work is the last one that was heard of."""
    assert written(chunk("a", "a", "a"), last).snapshot().current_agent == "b"


def test_usage_of_two_calls() -> None:
    """The usage of an agent's calls adds up."""
    seen = written(
        chunk("a", "a", raw=counts(10, 1)), output(), chunk("b", "b", raw=counts(20, 2)), output()
    ).snapshot()
    assert seen.usage == Usage(30, 3, calls=2)


def test_usage_that_counts_up() -> None:
    """The last chunk counts if every chunk has the usage so far."""
    seen = written(*(chunk("a", "a" * n, raw=counts(10, n)) for n in (1, 2, 3))).snapshot()
    assert seen.usage == Usage(10, 3, calls=1)


def test_usage_that_comes_in_two_parts() -> None:
    """Input tokens of one chunk and output tokens of a later one are added."""
    seen = written(
        chunk("a", "a", raw={"message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}),
        chunk("b", "ab", raw={"type": "message_delta", "usage": {"output_tokens": 7}}),
    ).snapshot()
    assert seen.usage == Usage(10, 7, calls=1)


def test_usage_before_a_call_is_over() -> None:
    """The usage has the tokens of a call before that call ends."""
    assert written(chunk("a", "a", raw=counts(10, 1))).snapshot().usage == Usage(10, 1, calls=1)


def test_usage_of_a_call_that_was_not_streamed() -> None:
    """The output of a call gives the usage if no chunk does."""
    assert written(output(raw=counts(10, 1))).snapshot().usage == Usage(10, 1, calls=1)


def test_usage_is_not_counted_twice() -> None:
    """The output of a call repeats the raw of its last chunk."""
    raw = counts(10, 1)
    assert written(chunk("a", "a", raw=raw), output(raw=raw)).snapshot().usage == Usage(10, 1, 1)


def test_usage_of_agents_of_one_name_at_once() -> None:
    """Calls of agents of one name that overlap are each counted once."""
    first, second = counts(10, 1), counts(10, 2)
    seen = written(
        chunk("a", "a", raw=first),
        chunk("b", "b", raw=second),
        output(raw=first),
        output(raw=second),
    ).snapshot()
    assert seen.usage == Usage(20, 3, calls=2)
