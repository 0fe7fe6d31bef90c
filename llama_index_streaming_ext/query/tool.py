"""`StreamingQueryEngineTool`: a query engine as a tool, whose work the agent's run shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from contextlib import aclosing, closing, contextmanager
from typing import Any, Self

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import PydanticResponse, Response
from llama_index.core.tools import QueryEngineTool, ToolMetadata, ToolOutput
from llama_index.core.tools.query_engine import DEFAULT_DESCRIPTION, DEFAULT_NAME
from pydantic import BaseModel

from llama_index_streaming_ext.events import StopEvent, ToolOutputDelta
from llama_index_streaming_ext.query.engine import StreamingQueryEngine
from llama_index_streaming_ext.query.engine_copy.blocking import blocks_the_loop
from llama_index_streaming_ext.query.execution.query_run import QueryRun
from llama_index_streaming_ext.run.progress import ToolAtWork, current_tool
from llama_index_streaming_ext.stream.cursor import Cursor
from llama_index_streaming_ext.stream.deltas import AnswerText, Token
from llama_index_streaming_ext.stream.record import Record


class StreamingQueryEngineTool(QueryEngineTool):
    """A tool that asks a query engine, and lets readers of the agent's run see what that does.

    Within an agent of this package, the answer's tokens appear in the agent's stream as
    `ToolOutputDelta`, and what the query does as the events of queries (`QueryStarted`,
    `SourcesRetrieved`, `LLMCallStarted`, ...), while they happen. The `origin` of their records has
    the `tool_id`; that of the query's events has the query's `run_id`, too, so that their text is
    not the agent's while their usage is counted. The agent gets the whole answer, as from core's
    tool, and so does everybody else.

    The event loop is never held up: an engine whose async face blocks is asked by its sync
    face, in a thread of its own. Cancelling the agent's run stops the query.

    Args:
        query_engine: any query engine; a `StreamingQueryEngine` brings its options, such as
            `show="calls"`.
        metadata: the tool's name, description and `return_direct`.
        resolve_input_errors: take whatever arguments the model gives for the question.
        use_async: whether `acall` asks the engine by its async methods, in a task, or by its sync
            methods, in a thread. None asks by the async methods, but for engines of core, and
            engines over parts, whose async methods are core's own and are known to block. A
            `StreamingQueryEngine` that has a `use_async` brings it.

    Example:
        >>> from llama_index.core import MockEmbedding, SummaryIndex
        >>> from llama_index.core.llms import MockLLM
        >>> index = SummaryIndex([], embed_model=MockEmbedding(2))
        >>> engine = index.as_query_engine(llm=MockLLM())
        >>> tool = StreamingQueryEngineTool.from_defaults(engine, name="library")
        >>> tool.call("Who wrote it?").tool_name
        'library'
    """

    def __init__(
        self,
        query_engine: BaseQueryEngine,
        metadata: ToolMetadata,
        resolve_input_errors: bool = True,
        use_async: bool | None = None,
    ) -> None:
        # Raises what it raises: here, and not in the middle of an agent's run.
        StreamingQueryEngine(query_engine)
        super().__init__(query_engine, metadata, resolve_input_errors)
        self._use_async = use_async

    @classmethod
    def from_defaults(
        cls,
        query_engine: BaseQueryEngine,
        name: str | None = None,
        description: str | None = None,
        return_direct: bool = False,
        resolve_input_errors: bool = True,
        use_async: bool | None = None,
    ) -> Self:
        """Make a tool of an engine, as core's `QueryEngineTool.from_defaults` does.

        Args:
            query_engine: any query engine, or a `StreamingQueryEngine`.
            name: what the model calls the tool.
            description: what the model is told of it.
            return_direct: whether the answer is the agent's answer.
            resolve_input_errors: take whatever arguments the model gives for the question.
            use_async: whether `acall` asks the engine by its async methods; None to go by what is
                known of core's.

        Raises:
            TypeError: `query_engine` is no query engine.
        """
        metadata = ToolMetadata(
            name=name or DEFAULT_NAME,
            description=description or DEFAULT_DESCRIPTION,
            return_direct=return_direct,
        )
        return cls(query_engine, metadata, resolve_input_errors, use_async)

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Ask the engine by its sync face, and wait for the whole answer.

        Args:
            *args: the question.
            **kwargs: the question, as `input`.

        Raises:
            Exception: what the query fails with.
        """
        question = self._get_query_str(*args, **kwargs)
        run = self._streaming_engine().start(question)
        with stopping(run), closing(run.stream.follow_sync(_Entries())) as entries:
            show = _Shown(run)
            for entry in entries:
                show.put(entry)
        return self._output(run, question)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Ask the engine without holding up the event loop, and wait for the whole answer.

        Args:
            *args: the question.
            **kwargs: the question, as `input`.

        Raises:
            Exception: what the query fails with.
        """
        question = self._get_query_str(*args, **kwargs)
        engine = self._streaming_engine()
        run = engine.start(question, is_async=self._asks_async(engine))
        with stopping(run):
            async with aclosing(run.stream.follow(_Entries())) as entries:
                show = _Shown(run)
                async for entry in entries:
                    show.put(entry)
        return self._output(run, question)

    def _streaming_engine(self) -> StreamingQueryEngine:
        engine = self._query_engine
        return engine if isinstance(engine, StreamingQueryEngine) else StreamingQueryEngine(engine)

    def _asks_async(self, engine: StreamingQueryEngine) -> bool:
        use_async = engine.use_async if self._use_async is None else self._use_async
        return not blocks_the_loop(engine.engine) if use_async is None else use_async

    def _output(self, run: QueryRun, question: str) -> ToolOutput:
        if run.error is not None:
            raise run.error
        return ToolOutput(
            content=run.text,
            tool_name=self.metadata.get_name(),
            raw_input={"input": question},
            raw_output=_response_of(run),
        )


class _Entries(Cursor[Token | Record]):
    """Reads a log as it is kept."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0, (), internal=True)

    def take(self, seq: int, entry: Token | Record) -> Token | Record | None:
        """The entry, whatever it is."""
        return entry


class _Shown:
    """The events of a query, written into the run of the agent whose tool asks it.

    Args:
        run: the query.
    """

    def __init__(self, run: QueryRun) -> None:
        tool = current_tool()
        self._tool = tool
        self._query = _as_inner(tool, run.id) if tool is not None else None

    def put(self, entry: Token | Record) -> None:
        """Write the next entry of the query's log, but for its end, which is no end here."""
        tool, query = self._tool, self._query
        if tool is None or query is None:
            return
        if isinstance(entry, Record):
            if not isinstance(entry.event, StopEvent):
                query.write(entry.event)
        elif isinstance(entry.series, AnswerText):
            delta = entry.delta
            tool.write(ToolOutputDelta(tool_id=tool.tool_id, tool_name=tool.tool_name, delta=delta))
        else:
            query.write(entry.event())


def _as_inner(tool: ToolAtWork, run_id: str) -> ToolAtWork:
    """A tool call as the writer of what an inner run does."""
    origin = tool.origin._replace(run_id=run_id, parent=tool.origin)
    return dataclasses.replace(tool, origin=origin)


@contextmanager
def stopping(run: QueryRun) -> Generator[None, None, None]:
    """Whoever breaks off waiting for a query stops it."""
    try:
        yield
    finally:
        # Does nothing to one that has ended.
        run.stop()


def _response_of(run: QueryRun) -> Response | PydanticResponse:
    """Return the raw output that core's tool gives: the complete response."""
    if isinstance(run.object, BaseModel):
        return PydanticResponse(run.object, run.sources, run.metadata)
    return Response(run.text, run.sources, run.metadata)
