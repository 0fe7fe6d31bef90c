"""The kinds of upstream's events and of ours."""

from __future__ import annotations

from llama_index.core.chat_ui.events import ArtifactEvent, SourceNodesEvent, UIEvent

from llama_index_streaming_ext import events as ev
from llama_index_streaming_ext.events import Event

# The kinds are in stored records: they may be added to, never changed (tests/data/codec_kinds.json)
KINDS: dict[type[Event], str] = {
    ev.AgentInput: "agent.input",
    ev.AgentOutput: "agent.output",
    ev.AgentSetup: "agent.setup",
    ev.AgentStream: "agent.stream",
    ev.AgentStreamStructuredOutput: "agent.structured_output",
    ev.AgentWorkflowStartEvent: "agent.start",
    ev.ToolCall: "tool.call",
    ev.ToolCallResult: "tool.result",
    ev.Event: "event",
    ev.StartEvent: "workflow.start",
    ev.StopEvent: "workflow.stop",
    ev.WorkflowCancelledEvent: "workflow.cancelled",
    ev.WorkflowFailedEvent: "workflow.failed",
    ev.WorkflowTimedOutEvent: "workflow.timed_out",
    ev.IdleReleasedEvent: "workflow.idle_released",
    ev.StepFailedEvent: "workflow.step_failed",
    ev.CollectionReleaseEvent: "workflow.collection_release",
    ev.InternalDispatchEvent: "workflow.internal",
    ev.StepStateChanged: "workflow.step_state",
    ev.UnhandledEvent: "workflow.unhandled",
    ev.WorkflowIdleEvent: "workflow.idle",
    ev.InputRequiredEvent: "human.input_required",
    ev.HumanResponseEvent: "human.response",
    ev.AgentChanged: "agent.changed",
    ev.CodeDelta: "agent.code_delta",
    ev.Retrying: "agent.retrying",
    ev.Incomplete: "llm.incomplete",
    ev.LLMCallFinished: "llm.call_finished",
    ev.LLMCallStarted: "llm.call_started",
    ev.NotStreamed: "llm.not_streamed",
    ev.ToolCallDelta: "tool.call_delta",
    ev.ToolOutputDelta: "tool.output_delta",
    ev.ToolProgress: "tool.progress",
    ev.TruncatedToolCall: "tool.call_truncated",
    ev.AnswerDelta: "query.answer_delta",
    ev.EngineSelected: "query.engine_selected",
    ev.LLMCallDelta: "query.llm_delta",
    ev.PartialObject: "query.partial_object",
    ev.QueryEvent: "query.event",
    ev.QueryFailed: "query.failed",
    ev.QueryFinished: "query.finished",
    ev.QueryStarted: "query.started",
    ev.QueryStopped: "query.stopped",
    ev.RetrievalStarted: "query.retrieval_started",
    ev.SourcesRetrieved: "query.sources",
    ev.StepQuery: "query.step",
    ev.SubAnswer: "query.sub_answer",
    ev.SubQuestion: "query.sub_question",
    ArtifactEvent: "ui.artifact",
    SourceNodesEvent: "ui.source_nodes",
    UIEvent: "ui.event",
}
"""The kind of each class."""
