"""The events of a stream: core's own classes, by identity, and ours.

A reader can write `isinstance(ev, AgentStream)` with the class from here or with core's: they are
the same object.
"""

from __future__ import annotations

from llama_index.core.agent.workflow import (
    AgentInput,
    AgentOutput,
    AgentSetup,
    AgentStream,
    AgentStreamStructuredOutput,
    ToolCall,
    ToolCallResult,
)
from llama_index.core.agent.workflow.workflow_events import AgentWorkflowStartEvent
from workflows.events import (
    CollectionReleaseEvent,
    Event,
    HumanResponseEvent,
    IdleReleasedEvent,
    InputRequiredEvent,
    InternalDispatchEvent,
    StartEvent,
    StepFailedEvent,
    StepStateChanged,
    StopEvent,
    UnhandledEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowIdleEvent,
    WorkflowTimedOutEvent,
)

__all__ = [
    "AgentInput",
    "AgentOutput",
    "AgentSetup",
    "AgentStream",
    "AgentStreamStructuredOutput",
    "AgentWorkflowStartEvent",
    "CollectionReleaseEvent",
    "Event",
    "HumanResponseEvent",
    "IdleReleasedEvent",
    "InputRequiredEvent",
    "InternalDispatchEvent",
    "StartEvent",
    "StepFailedEvent",
    "StepStateChanged",
    "StopEvent",
    "ToolCall",
    "ToolCallResult",
    "UnhandledEvent",
    "UnknownEvent",
    "WorkflowCancelledEvent",
    "WorkflowFailedEvent",
    "WorkflowIdleEvent",
    "WorkflowTimedOutEvent",
]


class UnknownEvent(Event):
    """A record whose kind this process does not know: its payload is kept, untouched.

    It comes out of the codec where a newer version, or a program with event classes of its own,
    wrote the record. Encoding it again gives the same kind and bytes.
    """

    kind: str
    """The kind that the record was written with."""
    data: bytes
    """The payload of the record, as it was written (JSON)."""
