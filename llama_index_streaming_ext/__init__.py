"""LlamaIndex streams that any number of readers can follow, that always end and say how.

Change the import, keep the code:

    from llama_index_streaming_ext import FunctionAgent

    handler = FunctionAgent(tools=[...], llm=llm).run(user_msg="Hi")
    async for event in handler.stream_events():
        ...

The names are imported when they are first used, so that importing the package costs next to
nothing and pulls in no llama_index.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.agent.workflow import AgentContext as AgentContext
    from llama_index.core.agent.workflow import BaseWorkflowAgent as BaseWorkflowAgent
    from llama_index.core.agent.workflow import SimpleAgentContext as SimpleAgentContext
    from llama_index.core.workflow import JsonPickleSerializer as JsonPickleSerializer
    from llama_index.core.workflow import JsonSerializer as JsonSerializer
    from llama_index.core.workflow import WorkflowRuntimeError as WorkflowRuntimeError
    from llama_index.core.workflow import WorkflowTimeoutError as WorkflowTimeoutError
    from llama_index.core.workflow import WorkflowValidationError as WorkflowValidationError
    from workflows import Context as Context
    from workflows import step as step

    from llama_index_streaming_ext.agents import AgentWorkflow as AgentWorkflow
    from llama_index_streaming_ext.agents import CodeActAgent as CodeActAgent
    from llama_index_streaming_ext.agents import FunctionAgent as FunctionAgent
    from llama_index_streaming_ext.agents import ReActAgent as ReActAgent
    from llama_index_streaming_ext.codec import register_event as register_event
    from llama_index_streaming_ext.draw import draw_all_possible_flows as draw_all_possible_flows
    from llama_index_streaming_ext.errors import ConnectionLost as ConnectionLost
    from llama_index_streaming_ext.errors import ContentFiltered as ContentFiltered
    from llama_index_streaming_ext.errors import IncompleteResponse as IncompleteResponse
    from llama_index_streaming_ext.errors import LengthLimit as LengthLimit
    from llama_index_streaming_ext.errors import LoopClosed as LoopClosed
    from llama_index_streaming_ext.errors import MissingDependency as MissingDependency
    from llama_index_streaming_ext.errors import MissingInput as MissingInput
    from llama_index_streaming_ext.errors import ModelRefused as ModelRefused
    from llama_index_streaming_ext.errors import NoStructuredAnswer as NoStructuredAnswer
    from llama_index_streaming_ext.errors import NotInStep as NotInStep
    from llama_index_streaming_ext.errors import ProviderFailed as ProviderFailed
    from llama_index_streaming_ext.errors import RunCancelled as RunCancelled
    from llama_index_streaming_ext.errors import RunLost as RunLost
    from llama_index_streaming_ext.errors import StepCancelled as StepCancelled
    from llama_index_streaming_ext.errors import StreamingError as StreamingError
    from llama_index_streaming_ext.errors import StreamStopped as StreamStopped
    from llama_index_streaming_ext.errors import StreamTruncated as StreamTruncated
    from llama_index_streaming_ext.errors import UndecodableRecord as UndecodableRecord
    from llama_index_streaming_ext.errors import UnregisteredEvent as UnregisteredEvent
    from llama_index_streaming_ext.events import AgentChanged as AgentChanged
    from llama_index_streaming_ext.events import AgentInput as AgentInput
    from llama_index_streaming_ext.events import AgentOutput as AgentOutput
    from llama_index_streaming_ext.events import AgentSetup as AgentSetup
    from llama_index_streaming_ext.events import AgentStream as AgentStream
    from llama_index_streaming_ext.events import (
        AgentStreamStructuredOutput as AgentStreamStructuredOutput,
    )
    from llama_index_streaming_ext.events import AnswerDelta as AnswerDelta
    from llama_index_streaming_ext.events import CodeDelta as CodeDelta
    from llama_index_streaming_ext.events import EngineSelected as EngineSelected
    from llama_index_streaming_ext.events import Event as Event
    from llama_index_streaming_ext.events import HumanResponseEvent as HumanResponseEvent
    from llama_index_streaming_ext.events import Incomplete as Incomplete
    from llama_index_streaming_ext.events import InputRequiredEvent as InputRequiredEvent
    from llama_index_streaming_ext.events import LLMCallDelta as LLMCallDelta
    from llama_index_streaming_ext.events import LLMCallFinished as LLMCallFinished
    from llama_index_streaming_ext.events import LLMCallStarted as LLMCallStarted
    from llama_index_streaming_ext.events import NotStreamed as NotStreamed
    from llama_index_streaming_ext.events import PartialObject as PartialObject
    from llama_index_streaming_ext.events import QueryEvent as QueryEvent
    from llama_index_streaming_ext.events import QueryFailed as QueryFailed
    from llama_index_streaming_ext.events import QueryFinished as QueryFinished
    from llama_index_streaming_ext.events import QueryStarted as QueryStarted
    from llama_index_streaming_ext.events import QueryStopped as QueryStopped
    from llama_index_streaming_ext.events import RetrievalStarted as RetrievalStarted
    from llama_index_streaming_ext.events import Retrying as Retrying
    from llama_index_streaming_ext.events import SourcesRetrieved as SourcesRetrieved
    from llama_index_streaming_ext.events import StartEvent as StartEvent
    from llama_index_streaming_ext.events import StepQuery as StepQuery
    from llama_index_streaming_ext.events import StopEvent as StopEvent
    from llama_index_streaming_ext.events import SubAnswer as SubAnswer
    from llama_index_streaming_ext.events import SubQuestion as SubQuestion
    from llama_index_streaming_ext.events import ToolCall as ToolCall
    from llama_index_streaming_ext.events import ToolCallDelta as ToolCallDelta
    from llama_index_streaming_ext.events import ToolCallResult as ToolCallResult
    from llama_index_streaming_ext.events import ToolOutputDelta as ToolOutputDelta
    from llama_index_streaming_ext.events import ToolProgress as ToolProgress
    from llama_index_streaming_ext.events import TruncatedToolCall as TruncatedToolCall
    from llama_index_streaming_ext.events import UnknownEvent as UnknownEvent
    from llama_index_streaming_ext.events import WorkflowCancelledEvent as WorkflowCancelledEvent
    from llama_index_streaming_ext.events import WorkflowFailedEvent as WorkflowFailedEvent
    from llama_index_streaming_ext.events import WorkflowTimedOutEvent as WorkflowTimedOutEvent
    from llama_index_streaming_ext.events.usage import Usage as Usage
    from llama_index_streaming_ext.llm.fallbacks import register_sync_only as register_sync_only
    from llama_index_streaming_ext.llm.finish.reader import (
        register_finish_reason as register_finish_reason,
    )
    from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM as StreamingLLM
    from llama_index_streaming_ext.query.chat.engine import (
        StreamingChatEngine as StreamingChatEngine,
    )
    from llama_index_streaming_ext.query.engine import StreamingQueryEngine as StreamingQueryEngine
    from llama_index_streaming_ext.query.engine import astream_query as astream_query
    from llama_index_streaming_ext.query.engine import stream_query as stream_query
    from llama_index_streaming_ext.query.synthesizer import (
        ResponseSynthesizer as ResponseSynthesizer,
    )
    from llama_index_streaming_ext.query.tool import (
        StreamingQueryEngineTool as StreamingQueryEngineTool,
    )
    from llama_index_streaming_ext.run.forwarding import forward as forward
    from llama_index_streaming_ext.run.handler import StreamingHandler as StreamingHandler
    from llama_index_streaming_ext.run.handler import stream_run as stream_run
    from llama_index_streaming_ext.run.progress import emit_progress as emit_progress
    from llama_index_streaming_ext.run.progress import tool_progress as tool_progress
    from llama_index_streaming_ext.run.stream_writer import stream_writer as stream_writer
    from llama_index_streaming_ext.run.workflow import Workflow as Workflow
    from llama_index_streaming_ext.stream.event_stream import EventStream as EventStream
    from llama_index_streaming_ext.stream.outcome import Outcome as Outcome
    from llama_index_streaming_ext.stream.record import Record as Record
    from llama_index_streaming_ext.stream.snapshot import Snapshot as Snapshot

# Where each public name lives. A leading dot is this package.
_WHERE = {
    "AgentChanged": ".events",
    "AgentContext": "llama_index.core.agent.workflow",
    "AgentInput": ".events",
    "AgentOutput": ".events",
    "AgentSetup": ".events",
    "AgentStream": ".events",
    "AgentStreamStructuredOutput": ".events",
    "AgentWorkflow": ".agents",
    "AnswerDelta": ".events",
    "BaseWorkflowAgent": "llama_index.core.agent.workflow",
    "CodeActAgent": ".agents",
    "CodeDelta": ".events",
    "ConnectionLost": ".errors",
    "ContentFiltered": ".errors",
    "Context": "workflows",
    "EngineSelected": ".events",
    "Event": ".events",
    "EventStream": ".stream",
    "FunctionAgent": ".agents",
    "HumanResponseEvent": ".events",
    "Incomplete": ".events",
    "IncompleteResponse": ".errors",
    "InputRequiredEvent": ".events",
    "JsonPickleSerializer": "llama_index.core.workflow",
    "JsonSerializer": "llama_index.core.workflow",
    "LLMCallDelta": ".events",
    "LLMCallFinished": ".events",
    "LLMCallStarted": ".events",
    "LengthLimit": ".errors",
    "LoopClosed": ".errors",
    "MissingDependency": ".errors",
    "MissingInput": ".errors",
    "ModelRefused": ".errors",
    "NoStructuredAnswer": ".errors",
    "NotInStep": ".errors",
    "NotStreamed": ".events",
    "Outcome": ".stream.outcome",
    "PartialObject": ".events",
    "ProviderFailed": ".errors",
    "QueryEvent": ".events",
    "QueryFailed": ".events",
    "QueryFinished": ".events",
    "QueryStarted": ".events",
    "QueryStopped": ".events",
    "ReActAgent": ".agents",
    "Record": ".stream.record",
    "ResponseSynthesizer": ".query.synthesizer",
    "RetrievalStarted": ".events",
    "Retrying": ".events",
    "RunCancelled": ".errors",
    "RunLost": ".errors",
    "SimpleAgentContext": "llama_index.core.agent.workflow",
    "Snapshot": ".stream.snapshot",
    "SourcesRetrieved": ".events",
    "StartEvent": ".events",
    "StepCancelled": ".errors",
    "StepQuery": ".events",
    "StopEvent": ".events",
    "StreamStopped": ".errors",
    "StreamTruncated": ".errors",
    "StreamingChatEngine": ".query.chat.engine",
    "StreamingError": ".errors",
    "StreamingHandler": ".run.handler",
    "StreamingLLM": ".llm.streaming_llm",
    "StreamingQueryEngine": ".query.engine",
    "StreamingQueryEngineTool": ".query.tool",
    "SubAnswer": ".events",
    "SubQuestion": ".events",
    "ToolCall": ".events",
    "ToolCallDelta": ".events",
    "ToolCallResult": ".events",
    "ToolOutputDelta": ".events",
    "ToolProgress": ".events",
    "TruncatedToolCall": ".events",
    "UndecodableRecord": ".errors",
    "UnknownEvent": ".events",
    "UnregisteredEvent": ".errors",
    "Usage": ".events.usage",
    "Workflow": ".run.workflow",
    "WorkflowCancelledEvent": ".events",
    "WorkflowFailedEvent": ".events",
    "WorkflowRuntimeError": "llama_index.core.workflow",
    "WorkflowTimedOutEvent": ".events",
    "WorkflowTimeoutError": "llama_index.core.workflow",
    "WorkflowValidationError": "llama_index.core.workflow",
    "astream_query": ".query.engine",
    "draw_all_possible_flows": ".draw",
    "emit_progress": ".run.progress",
    "forward": ".run.forwarding",
    "register_event": ".codec",
    "register_finish_reason": ".llm.finish.reader",
    "register_sync_only": ".llm.fallbacks",
    "step": "workflows",
    "stream_query": ".query.engine",
    "stream_run": ".run.handler",
    "stream_writer": ".run.stream_writer",
    "tool_progress": ".run.progress",
}

__all__ = sorted(_WHERE)  # pyright: ignore[reportUnsupportedDunderAll] # the names above
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(where, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
