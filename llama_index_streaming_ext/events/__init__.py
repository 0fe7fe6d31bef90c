"""The events of a stream: core's own classes, by identity, and ours.

A reader can write `isinstance(ev, AgentStream)` with the class from here or with core's: they are
the same object.
"""

from __future__ import annotations

from .agents import AgentChanged, ToolOutputDelta, ToolProgress
from .calls import (
    CodeDelta,
    Incomplete,
    LLMCallFinished,
    LLMCallStarted,
    NotStreamed,
    Retrying,
    ToolCallDelta,
    TruncatedToolCall,
)
from .unknown import UnknownEvent
from .upstream import (
    AgentInput,
    AgentOutput,
    AgentSetup,
    AgentStream,
    AgentStreamStructuredOutput,
    AgentWorkflowStartEvent,
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
    ToolCall,
    ToolCallResult,
    UnhandledEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowIdleEvent,
    WorkflowTimedOutEvent,
)

__all__ = [
    "AgentChanged",
    "AgentInput",
    "AgentOutput",
    "AgentSetup",
    "AgentStream",
    "AgentStreamStructuredOutput",
    "AgentWorkflowStartEvent",
    "CodeDelta",
    "CollectionReleaseEvent",
    "Event",
    "HumanResponseEvent",
    "IdleReleasedEvent",
    "Incomplete",
    "InputRequiredEvent",
    "InternalDispatchEvent",
    "LLMCallFinished",
    "LLMCallStarted",
    "NotStreamed",
    "Retrying",
    "StartEvent",
    "StepFailedEvent",
    "StepStateChanged",
    "StopEvent",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallResult",
    "ToolOutputDelta",
    "ToolProgress",
    "TruncatedToolCall",
    "UnhandledEvent",
    "UnknownEvent",
    "WorkflowCancelledEvent",
    "WorkflowFailedEvent",
    "WorkflowIdleEvent",
    "WorkflowTimedOutEvent",
]
