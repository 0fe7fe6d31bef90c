# The names of the package, for type checkers: at run time they are imported when first used.
# ruff: noqa: I001

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

__version__: str
__all__: list[str]
