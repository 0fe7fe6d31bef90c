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

# ruff: noqa: I001 # one import a module, with its names
if TYPE_CHECKING:
    from llama_index.core.agent.workflow import (
        AgentContext as AgentContext,
        BaseWorkflowAgent as BaseWorkflowAgent,
        SimpleAgentContext as SimpleAgentContext,
    )
    from llama_index.core.response_synthesizers import (
        get_response_synthesizer as get_response_synthesizer,  # pyright: ignore[reportUnknownVariableType] # core
    )
    from llama_index.core.workflow import (
        JsonPickleSerializer as JsonPickleSerializer,
        JsonSerializer as JsonSerializer,
        WorkflowRuntimeError as WorkflowRuntimeError,
        WorkflowTimeoutError as WorkflowTimeoutError,
        WorkflowValidationError as WorkflowValidationError,
    )
    from workflows import (
        Context as Context,
        step as step,
    )

    from llama_index_streaming_ext.agents import (
        AgentWorkflow as AgentWorkflow,
        CodeActAgent as CodeActAgent,
        FunctionAgent as FunctionAgent,
        ReActAgent as ReActAgent,
    )
    from llama_index_streaming_ext.codec import (
        register_event as register_event,
    )
    from llama_index_streaming_ext.draw import (
        draw_all_possible_flows as draw_all_possible_flows,
    )
    from llama_index_streaming_ext.errors import (
        ConnectionLost as ConnectionLost,
        ContentFiltered as ContentFiltered,
        IncompleteResponse as IncompleteResponse,
        LengthLimit as LengthLimit,
        LoopClosed as LoopClosed,
        MissingDependency as MissingDependency,
        MissingInput as MissingInput,
        ModelRefused as ModelRefused,
        NoStructuredAnswer as NoStructuredAnswer,
        NotInStep as NotInStep,
        ProviderFailed as ProviderFailed,
        RunCancelled as RunCancelled,
        RunLost as RunLost,
        StepCancelled as StepCancelled,
        StreamingError as StreamingError,
        StreamStopped as StreamStopped,
        StreamTruncated as StreamTruncated,
        UndecodableRecord as UndecodableRecord,
        UnregisteredEvent as UnregisteredEvent,
    )
    from llama_index_streaming_ext.events import (
        AgentChanged as AgentChanged,
        AgentInput as AgentInput,
        AgentOutput as AgentOutput,
        AgentSetup as AgentSetup,
        AgentStream as AgentStream,
        AgentStreamStructuredOutput as AgentStreamStructuredOutput,
        AnswerDelta as AnswerDelta,
        CodeDelta as CodeDelta,
        EngineSelected as EngineSelected,
        Event as Event,
        HumanResponseEvent as HumanResponseEvent,
        Incomplete as Incomplete,
        InputRequiredEvent as InputRequiredEvent,
        LLMCallDelta as LLMCallDelta,
        LLMCallFinished as LLMCallFinished,
        LLMCallStarted as LLMCallStarted,
        NotStreamed as NotStreamed,
        PartialObject as PartialObject,
        QueryEvent as QueryEvent,
        QueryFailed as QueryFailed,
        QueryFinished as QueryFinished,
        QueryStarted as QueryStarted,
        QueryStopped as QueryStopped,
        RetrievalStarted as RetrievalStarted,
        Retrying as Retrying,
        SourcesRetrieved as SourcesRetrieved,
        StartEvent as StartEvent,
        StepQuery as StepQuery,
        StopEvent as StopEvent,
        SubAnswer as SubAnswer,
        SubQuestion as SubQuestion,
        ToolCall as ToolCall,
        ToolCallDelta as ToolCallDelta,
        ToolCallResult as ToolCallResult,
        ToolOutputDelta as ToolOutputDelta,
        ToolProgress as ToolProgress,
        TruncatedToolCall as TruncatedToolCall,
        UnknownEvent as UnknownEvent,
        WorkflowCancelledEvent as WorkflowCancelledEvent,
        WorkflowFailedEvent as WorkflowFailedEvent,
        WorkflowTimedOutEvent as WorkflowTimedOutEvent,
    )
    from llama_index_streaming_ext.events.usage import (
        Usage as Usage,
    )
    from llama_index_streaming_ext.llm.fallbacks import (
        register_sync_only as register_sync_only,
    )
    from llama_index_streaming_ext.llm.finish.reader import (
        register_finish_reason as register_finish_reason,
    )
    from llama_index_streaming_ext.llm.streaming_llm import (
        StreamingLLM as StreamingLLM,
    )
    from llama_index_streaming_ext.query.chat.engine import (
        StreamingChatEngine as StreamingChatEngine,
    )
    from llama_index_streaming_ext.query.drop_in.chat_engines import (
        CondensePlusContextChatEngine as CondensePlusContextChatEngine,
        CondenseQuestionChatEngine as CondenseQuestionChatEngine,
        ContextChatEngine as ContextChatEngine,
        SimpleChatEngine as SimpleChatEngine,
    )
    from llama_index_streaming_ext.query.drop_in.engines import (
        CitationQueryEngine as CitationQueryEngine,
        MultiStepQueryEngine as MultiStepQueryEngine,
        NLSQLTableQueryEngine as NLSQLTableQueryEngine,
        RetrieverQueryEngine as RetrieverQueryEngine,
        RetryGuidelineQueryEngine as RetryGuidelineQueryEngine,
        RetryQueryEngine as RetryQueryEngine,
        RetrySourceQueryEngine as RetrySourceQueryEngine,
        RouterQueryEngine as RouterQueryEngine,
        SQLAutoVectorQueryEngine as SQLAutoVectorQueryEngine,
        SQLJoinQueryEngine as SQLJoinQueryEngine,
        SubQuestionQueryEngine as SubQuestionQueryEngine,
        ToolRetrieverRouterQueryEngine as ToolRetrieverRouterQueryEngine,
        TransformQueryEngine as TransformQueryEngine,
    )
    from llama_index_streaming_ext.query.drop_in.indexes import (
        ComposableGraph as ComposableGraph,
        DocumentSummaryIndex as DocumentSummaryIndex,
        KeywordTableIndex as KeywordTableIndex,
        PropertyGraphIndex as PropertyGraphIndex,
        RAKEKeywordTableIndex as RAKEKeywordTableIndex,
        SimpleKeywordTableIndex as SimpleKeywordTableIndex,
        SummaryIndex as SummaryIndex,
        TreeIndex as TreeIndex,
        VectorStoreIndex as VectorStoreIndex,
        load_index_from_storage as load_index_from_storage,
        load_indices_from_storage as load_indices_from_storage,
    )
    from llama_index_streaming_ext.query.drop_in.streaming import (
        streaming as streaming,
    )
    from llama_index_streaming_ext.query.drop_in.tools import QueryEngineTool as QueryEngineTool
    from llama_index_streaming_ext.query.engine import (
        StreamingQueryEngine as StreamingQueryEngine,
        astream_query as astream_query,
        stream_query as stream_query,
    )
    from llama_index_streaming_ext.query.synthesizer import (
        ResponseSynthesizer as ResponseSynthesizer,
    )
    from llama_index_streaming_ext.query.tool import (
        StreamingQueryEngineTool as StreamingQueryEngineTool,
    )
    from llama_index_streaming_ext.run.forwarding import (
        forward as forward,
    )
    from llama_index_streaming_ext.run.handler import (
        StreamingHandler as StreamingHandler,
        stream_run as stream_run,
    )
    from llama_index_streaming_ext.run.progress import (
        emit_progress as emit_progress,
        tool_progress as tool_progress,
    )
    from llama_index_streaming_ext.run.stream_writer import (
        stream_writer as stream_writer,
    )
    from llama_index_streaming_ext.run.workflow import (
        Workflow as Workflow,
    )
    from llama_index_streaming_ext.stream import (
        EventStream as EventStream,
    )
    from llama_index_streaming_ext.stream.outcome import (
        Outcome as Outcome,
    )
    from llama_index_streaming_ext.stream.record import (
        Record as Record,
    )
    from llama_index_streaming_ext.stream.snapshot import (
        Snapshot as Snapshot,
    )

_NAMES = {
    ".agents": "AgentWorkflow CodeActAgent FunctionAgent ReActAgent",
    ".codec": "register_event",
    ".draw": "draw_all_possible_flows",
    ".errors": (
        "ConnectionLost ContentFiltered IncompleteResponse LengthLimit LoopClosed "
        "MissingDependency MissingInput ModelRefused NoStructuredAnswer NotInStep "
        "ProviderFailed RunCancelled RunLost StepCancelled StreamStopped StreamTruncated "
        "StreamingError UndecodableRecord UnregisteredEvent"
    ),
    ".events": (
        "AgentChanged AgentInput AgentOutput AgentSetup AgentStream "
        "AgentStreamStructuredOutput AnswerDelta CodeDelta EngineSelected Event "
        "HumanResponseEvent Incomplete InputRequiredEvent LLMCallDelta LLMCallFinished "
        "LLMCallStarted NotStreamed PartialObject QueryEvent QueryFailed QueryFinished "
        "QueryStarted QueryStopped RetrievalStarted Retrying SourcesRetrieved StartEvent "
        "StepQuery StopEvent SubAnswer SubQuestion ToolCall ToolCallDelta ToolCallResult "
        "ToolOutputDelta ToolProgress TruncatedToolCall UnknownEvent WorkflowCancelledEvent "
        "WorkflowFailedEvent WorkflowTimedOutEvent"
    ),
    ".events.usage": "Usage",
    ".llm.fallbacks": "register_sync_only",
    ".llm.finish.reader": "register_finish_reason",
    ".llm.streaming_llm": "StreamingLLM",
    ".query.chat.engine": "StreamingChatEngine",
    ".query.drop_in.chat_engines": (
        "CondensePlusContextChatEngine CondenseQuestionChatEngine ContextChatEngine "
        "SimpleChatEngine"
    ),
    ".query.drop_in.engines": (
        "CitationQueryEngine MultiStepQueryEngine NLSQLTableQueryEngine "
        "RetrieverQueryEngine RetryGuidelineQueryEngine RetryQueryEngine "
        "RetrySourceQueryEngine RouterQueryEngine SQLAutoVectorQueryEngine "
        "SQLJoinQueryEngine SubQuestionQueryEngine ToolRetrieverRouterQueryEngine "
        "TransformQueryEngine"
    ),
    ".query.drop_in.indexes": (
        "ComposableGraph DocumentSummaryIndex KeywordTableIndex PropertyGraphIndex "
        "RAKEKeywordTableIndex SimpleKeywordTableIndex SummaryIndex TreeIndex "
        "VectorStoreIndex load_index_from_storage load_indices_from_storage"
    ),
    ".query.drop_in.streaming": "streaming",
    ".query.drop_in.tools": "QueryEngineTool",
    ".query.engine": "StreamingQueryEngine astream_query stream_query",
    ".query.synthesizer": "ResponseSynthesizer",
    ".query.tool": "StreamingQueryEngineTool",
    ".run.forwarding": "forward",
    ".run.handler": "StreamingHandler stream_run",
    ".run.progress": "emit_progress tool_progress",
    ".run.stream_writer": "stream_writer",
    ".run.workflow": "Workflow",
    ".stream": "EventStream",
    ".stream.outcome": "Outcome",
    ".stream.record": "Record",
    ".stream.snapshot": "Snapshot",
    "llama_index.core.agent.workflow": "AgentContext BaseWorkflowAgent SimpleAgentContext",
    "llama_index.core.response_synthesizers": "get_response_synthesizer",
    "llama_index.core.workflow": (
        "JsonPickleSerializer JsonSerializer WorkflowRuntimeError WorkflowTimeoutError "
        "WorkflowValidationError"
    ),
    "workflows": "Context step",
}
"""The public names, by the module that has them. A leading dot is this package."""

_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll] # the names above
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
