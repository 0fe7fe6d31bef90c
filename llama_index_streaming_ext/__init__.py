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

    from .agents import AgentWorkflow as AgentWorkflow
    from .agents import CodeActAgent as CodeActAgent
    from .agents import FunctionAgent as FunctionAgent
    from .agents import ReActAgent as ReActAgent
    from .codec import register_event as register_event
    from .draw import draw_all_possible_flows as draw_all_possible_flows
    from .errors import ConnectionLost as ConnectionLost
    from .errors import ContentFiltered as ContentFiltered
    from .errors import IncompleteResponse as IncompleteResponse
    from .errors import LengthLimit as LengthLimit
    from .errors import LoopClosed as LoopClosed
    from .errors import MissingDependency as MissingDependency
    from .errors import MissingInput as MissingInput
    from .errors import ModelRefused as ModelRefused
    from .errors import NoStructuredAnswer as NoStructuredAnswer
    from .errors import NotInStep as NotInStep
    from .errors import ProviderFailed as ProviderFailed
    from .errors import RunCancelled as RunCancelled
    from .errors import RunLost as RunLost
    from .errors import StepCancelled as StepCancelled
    from .errors import StreamingError as StreamingError
    from .errors import StreamStopped as StreamStopped
    from .errors import StreamTruncated as StreamTruncated
    from .errors import UndecodableRecord as UndecodableRecord
    from .errors import UnregisteredEvent as UnregisteredEvent
    from .events import AgentChanged as AgentChanged
    from .events import AgentInput as AgentInput
    from .events import AgentOutput as AgentOutput
    from .events import AgentSetup as AgentSetup
    from .events import AgentStream as AgentStream
    from .events import AgentStreamStructuredOutput as AgentStreamStructuredOutput
    from .events import AnswerDelta as AnswerDelta
    from .events import CodeDelta as CodeDelta
    from .events import EngineSelected as EngineSelected
    from .events import Event as Event
    from .events import HumanResponseEvent as HumanResponseEvent
    from .events import Incomplete as Incomplete
    from .events import InputRequiredEvent as InputRequiredEvent
    from .events import LLMCallDelta as LLMCallDelta
    from .events import LLMCallFinished as LLMCallFinished
    from .events import LLMCallStarted as LLMCallStarted
    from .events import NotStreamed as NotStreamed
    from .events import PartialObject as PartialObject
    from .events import QueryEvent as QueryEvent
    from .events import QueryFailed as QueryFailed
    from .events import QueryFinished as QueryFinished
    from .events import QueryStarted as QueryStarted
    from .events import QueryStopped as QueryStopped
    from .events import RetrievalStarted as RetrievalStarted
    from .events import Retrying as Retrying
    from .events import SourcesRetrieved as SourcesRetrieved
    from .events import StartEvent as StartEvent
    from .events import StepQuery as StepQuery
    from .events import StopEvent as StopEvent
    from .events import SubAnswer as SubAnswer
    from .events import SubQuestion as SubQuestion
    from .events import ToolCall as ToolCall
    from .events import ToolCallDelta as ToolCallDelta
    from .events import ToolCallResult as ToolCallResult
    from .events import ToolOutputDelta as ToolOutputDelta
    from .events import ToolProgress as ToolProgress
    from .events import TruncatedToolCall as TruncatedToolCall
    from .events import UnknownEvent as UnknownEvent
    from .events import WorkflowCancelledEvent as WorkflowCancelledEvent
    from .events import WorkflowFailedEvent as WorkflowFailedEvent
    from .events import WorkflowTimedOutEvent as WorkflowTimedOutEvent
    from .forwarding import forward as forward
    from .handler import StreamingHandler as StreamingHandler
    from .handler import stream_run as stream_run
    from .llm.fallbacks import register_sync_only as register_sync_only
    from .llm.finish import register_finish_reason as register_finish_reason
    from .llm.streaming import StreamingLLM as StreamingLLM
    from .outcome import Outcome as Outcome
    from .outcome import Snapshot as Snapshot
    from .progress import emit_progress as emit_progress
    from .progress import tool_progress as tool_progress
    from .query.chat import StreamingChatEngine as StreamingChatEngine
    from .query.engine import StreamingQueryEngine as StreamingQueryEngine
    from .query.engine import astream_query as astream_query
    from .query.engine import stream_query as stream_query
    from .query.synthesizer import ResponseSynthesizer as ResponseSynthesizer
    from .query.tool import StreamingQueryEngineTool as StreamingQueryEngineTool
    from .record import Record as Record
    from .steps import stream_writer as stream_writer
    from .stream import EventStream as EventStream
    from .usage import Usage as Usage
    from .workflow import Workflow as Workflow

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
    "Outcome": ".outcome",
    "PartialObject": ".events",
    "ProviderFailed": ".errors",
    "QueryEvent": ".events",
    "QueryFailed": ".events",
    "QueryFinished": ".events",
    "QueryStarted": ".events",
    "QueryStopped": ".events",
    "ReActAgent": ".agents",
    "Record": ".record",
    "ResponseSynthesizer": ".query.synthesizer",
    "RetrievalStarted": ".events",
    "Retrying": ".events",
    "RunCancelled": ".errors",
    "RunLost": ".errors",
    "SimpleAgentContext": "llama_index.core.agent.workflow",
    "Snapshot": ".outcome",
    "SourcesRetrieved": ".events",
    "StartEvent": ".events",
    "StepCancelled": ".errors",
    "StepQuery": ".events",
    "StopEvent": ".events",
    "StreamStopped": ".errors",
    "StreamTruncated": ".errors",
    "StreamingChatEngine": ".query.chat",
    "StreamingError": ".errors",
    "StreamingHandler": ".handler",
    "StreamingLLM": ".llm.streaming",
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
    "Usage": ".usage",
    "Workflow": ".workflow",
    "WorkflowCancelledEvent": ".events",
    "WorkflowFailedEvent": ".events",
    "WorkflowRuntimeError": "llama_index.core.workflow",
    "WorkflowTimedOutEvent": ".events",
    "WorkflowTimeoutError": "llama_index.core.workflow",
    "WorkflowValidationError": "llama_index.core.workflow",
    "astream_query": ".query.engine",
    "draw_all_possible_flows": ".draw",
    "emit_progress": ".progress",
    "forward": ".forwarding",
    "register_event": ".codec",
    "register_finish_reason": ".llm.finish",
    "register_sync_only": ".llm.fallbacks",
    "step": "workflows",
    "stream_query": ".query.engine",
    "stream_run": ".handler",
    "stream_writer": ".steps",
    "tool_progress": ".progress",
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
