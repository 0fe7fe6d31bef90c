"""Runs of all kinds, as records, for whoever has to show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import ToolOutput, ToolSelection
from workflows.events import StepState

from llama_index_streaming_ext.events import (
    AgentInput,
    AgentOutput,
    AgentStream,
    AgentStreamStructuredOutput,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StepStateChanged,
    StopEvent,
    ToolCall,
    ToolCallResult,
    UnknownEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from llama_index_streaming_ext.stream.record import Record

SECRETS = {
    "errors": "secret-of-an-exception",
    "prompts": "secret-of-a-prompt",
    "raw_output": "secret-of-a-raw-output",
}
"""Texts that stand in the samples where no client should see them."""

_START = 1_700_000_000.0
_AGENT = "Agent"


class Sample(Event):
    """An event of a user's own, with values of all kinds."""

    value: Any


def records_of(*events: Event) -> list[Record]:
    """A whole run of these events: the last one is terminal, and a quarter second lies between."""
    last = len(events)
    return [
        Record(seq, _START + seq / 4, event, terminal=seq == last)
        for seq, event in enumerate(events, 1)
    ]


def sample_runs() -> dict[str, Sequence[Record]]:
    """Runs of all kinds, by name; new ones each time."""
    return {
        "an answer": records_of(
            _asked(), *_said("It is", " sunny", " ☀ 𝄞\n\n"), _answered(), _stop()
        ),
        "no event but the end": records_of(StopEvent()),
        "tool calls": records_of(*_with_tools(), *_said("Done."), _answered(), _stop()),
        "a human is asked": records_of(
            InputRequiredEvent(prefix="May I?"),  # pyright: ignore[reportCallIssue] # a dynamic field
            HumanResponseEvent(response="Yes"),  # pyright: ignore[reportCallIssue] # a dynamic field
            StopEvent(result={"approved": True}),
        ),
        "events of the user's own": records_of(*_odd(), StopEvent(result=object())),
        "a stop event that a step wrote": records_of(
            StopEvent(result="early"), *_said("late"), StopEvent(result="early")
        ),
        "a failure": records_of(_asked(), *_said("It"), _failed()),
        "a cancelled run": records_of(_asked(), *_said("It"), WorkflowCancelledEvent()),
        "a run that took too long": records_of(
            *_said("It"), WorkflowTimedOutEvent(timeout=1.0, active_steps=["run_agent_step"])
        ),
    }


def _asked() -> AgentInput:
    message = ChatMessage(f"How is the weather? {SECRETS['prompts']}")
    return AgentInput(input=[message], current_agent_name=_AGENT)


def _said(*deltas: str) -> list[AgentStream]:
    response, events = "", list[AgentStream]()
    for delta in deltas:
        response += delta
        events.append(AgentStream(delta=delta, response=response, current_agent_name=_AGENT))
    return events


def _answered() -> AgentOutput:
    message = ChatMessage("It is sunny", role="assistant")
    return AgentOutput(response=message, current_agent_name=_AGENT)


def _stop() -> StopEvent:
    return StopEvent(result=_answered())


def _failed() -> WorkflowFailedEvent:
    error = ValueError(SECRETS["errors"])
    # As a log of this package has it: a failure answers to other namings as well.
    return WorkflowFailedEvent(
        step_name="run_agent_step",
        exception=error,
        exception_type="builtins.ValueError",  # pyright: ignore[reportCallIssue] # a dynamic field
        exception_message=str(error),  # pyright: ignore[reportCallIssue] # a dynamic field
        traceback=f"Traceback ...\nValueError: {error}",  # pyright: ignore[reportCallIssue] # a dynamic field
    )


def _with_tools() -> list[Event]:
    kwargs = {"city": "Paris", "when": {"day": 1, "hours": [1, 2]}}
    calls = [
        ToolSelection(tool_id=tool_id, tool_name="weather", tool_kwargs=kwargs)
        for tool_id in ("call_1", "call_2")
    ]
    running = StepStateChanged(
        name="call_tool", step_state=StepState.RUNNING, worker_id="0", input_event_name="ToolCall"
    )
    chunk = AgentStream(
        delta="", response="", current_agent_name=_AGENT, tool_calls=calls, thinking_delta="Hm."
    )
    asked = AgentOutput(
        response=ChatMessage("", role="assistant"), current_agent_name=_AGENT, tool_calls=calls
    )
    return [
        _asked(),
        chunk,
        asked,
        running,
        *(ToolCall(**call.model_dump()) for call in calls),
        _result(calls[1], _broken_tool()),
        _result(calls[0], _working_tool()),
        AgentStreamStructuredOutput(output={"city": "Paris"}),
    ]


def _result(call: ToolSelection, output: ToolOutput) -> ToolCallResult:
    return ToolCallResult(**call.model_dump(), tool_output=output, return_direct=False)


def _working_tool() -> ToolOutput:
    return ToolOutput(
        tool_name="weather",
        content="sunny",
        raw_input={"kwargs": {"city": "Paris"}},
        raw_output={"text": "sunny", "row": SECRETS["raw_output"]},
    )


def _broken_tool() -> ToolOutput:
    # What core makes of a tool that raises.
    error = ConnectionError(SECRETS["errors"])
    return ToolOutput(
        tool_name="weather",
        content=f"Encountered error: {error}",
        raw_input={"kwargs": {"city": "Paris"}},
        raw_output=str(error),
        is_error=True,
        exception=error,
    )


def _odd() -> list[Event]:
    unserialisable = Sample(value=object())
    dynamic = Event(progress=0.5, note="half\nway")
    return [
        unserialisable,
        dynamic,
        Sample(value={"nested": [1, 2.5, None, "data: x\n\nevent: y\n\n"]}),
        Sample(value=float("nan")),
        Sample(value="\ud800"),
        UnknownEvent(kind="later.version", data=b'{"a":1}'),
    ]
