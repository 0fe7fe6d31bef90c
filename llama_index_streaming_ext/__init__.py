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
from typing import Any

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
