"""How core's engines ask their parts, which observing and streaming them builds on."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.evaluation import BaseEvaluator, EvaluationResult
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.query_engine import RetryQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.response_synthesizers import CompactAndRefine, Refine, TreeSummarize
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel

from tests.support.upstream.llms import SyncLLM

NODES = [NodeWithScore(node=TextNode(text="a fact"), score=1.0)]


class Prompts:
    """What every part of core's must have."""

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, *prompts: Any, **named: Any) -> None:
        """There are none."""


class Passes(Prompts, BaseEvaluator):
    """An evaluator that finds everything good."""

    def evaluate(self, *args: Any, **kwargs: Any) -> EvaluationResult:
        """Good. Core's own makes an event loop for it, and leaves that open."""
        return EvaluationResult(passing=True)

    async def aevaluate(self, *args: Any, **kwargs: Any) -> EvaluationResult:
        """Good."""
        return EvaluationResult(passing=True)


class Answering(Prompts, BaseQueryEngine):
    """An engine that gives what it is told, and notes how it is asked."""

    def __init__(self, response: Any) -> None:
        super().__init__(None)
        self.response = response
        self.asked: list[str] = []

    def query(self, str_or_query_bundle: Any) -> Any:
        """The response."""
        self.asked.append("query")
        return self.response

    def _query(self, query_bundle: QueryBundle) -> Any:
        self.asked.append("_query")
        return self.response

    async def _aquery(self, query_bundle: QueryBundle) -> Any:
        self.asked.append("_aquery")
        return self.response


class Asks(Prompts, BaseQuestionGenerator):
    """Makes one sub-question for the engine of that name."""

    def __init__(self, tool_name: str) -> None:
        self.made = [SubQuestion(sub_question="why", tool_name=tool_name)]

    def generate(self, tools: Any, query: Any) -> list[SubQuestion]:
        """The one."""
        return self.made

    async def agenerate(self, tools: Any, query: Any) -> list[SubQuestion]:
        """The one."""
        return self.made


def _sub_questions(engine: BaseQueryEngine, tool_name: str = "t") -> SubQuestionQueryEngine:
    made = QueryEngineTool.from_defaults(engine, name="t", description="facts")
    synthesizer = TreeSummarize(llm=SyncLLM("hello"))
    return SubQuestionQueryEngine(Asks(tool_name), synthesizer, [made], verbose=False)


def test_u54_a_retry_engine_hands_out_a_drained_stream() -> None:
    """U54: what it hands out after evaluation has no chunk left."""
    inner = Answering(StreamingResponse(piece for piece in ("hel", "lo")))
    response: Any = RetryQueryEngine(inner, Passes()).query("why")
    assert (list(response.response_gen), response.response_txt) == ([], "hello")


def test_a_retry_engine_asks_by_the_private_method() -> None:
    """`_query`, past `query`: both must be watched."""
    inner = Answering(Response("hello"))
    RetryQueryEngine(inner, Passes()).query("why")
    assert inner.asked == ["_query"]


async def test_u54_an_async_retry_engine_is_a_sync_one() -> None:
    """U54: `aquery` asks the engine within by its sync method."""
    inner = Answering(Response("hello"))
    await RetryQueryEngine(inner, Passes()).aquery("why")
    assert inner.asked == ["_query"]


class Said(Response):
    """A response that notes when its text is taken."""

    times = 0

    def __str__(self) -> str:
        Said.times += 1
        return "hello"


async def test_u57_the_text_of_a_sub_answer_is_taken_at_once() -> None:
    """U57: by str(), which freezes the loop where the sub-answer is an async stream."""
    before = Said.times
    await _sub_questions(Answering(Said("hello"))).aquery("why")
    assert Said.times > before


async def test_u54_the_error_of_a_sub_question_is_hidden() -> None:
    """Also where there is no engine of the name that the LLM has chosen."""
    response = await _sub_questions(Answering(Response("hello")), tool_name="gone").aquery("why")
    assert str(response) == "Empty Response"


class Person(BaseModel):
    """A structured answer."""

    name: str


def test_u63_tree_summarize_forgets_the_class_when_it_streams() -> None:
    """U63: with `output_cls` and streaming it gives plain text."""
    synthesizer = TreeSummarize(llm=SyncLLM("hel", "lo"), output_cls=Person, streaming=True)
    assert isinstance(synthesizer.synthesize("why", NODES), StreamingResponse)


def test_u63_a_structured_llm_cannot_stream() -> None:
    """U63: it has no stream for prompts, and the stream of a chat is parsed as if it were JSON."""
    llm = SyncLLM("hello").as_structured_llm(Person)
    synthesizer = TreeSummarize(llm=llm, streaming=True)
    with pytest.raises((ValueError, NotImplementedError)):
        synthesizer.synthesize("why", NODES)


def test_u51_compact_hands_out_tokens() -> None:
    """U51: a refine step hands out the tokens as they come."""
    synthesizer = CompactAndRefine(llm=SyncLLM("hel", "lo"), streaming=True)
    response: Any = synthesizer.synthesize("why", NODES)
    assert list(response.response_gen) == ["hel", "lo"]


async def test_u51_compact_hands_out_tokens_to_async_callers() -> None:
    """U51: an async refine step hands out the tokens as they come."""
    synthesizer = CompactAndRefine(llm=SyncLLM("hel", "lo"), streaming=True)
    response = await synthesizer.asynthesize("why", NODES)
    assert isinstance(response, AsyncStreamingResponse)
    assert [piece async for piece in response.async_response_gen()] == ["hel", "lo"]


def test_the_flag_of_refine_is_its_own() -> None:
    """`_streaming` is read from the synthesizer, not from what its program factory is bound to."""
    source = inspect.getsource(getattr(Refine, "_default_program_factory"))  # noqa: B009 -- loose
    assert "_streaming" not in source


def test_u61_start_and_end_of_a_retrieval_have_one_span() -> None:
    """U61: by which they belong together; after an error there is a SpanDropEvent of that span."""
    seen: list[tuple[str, str | None]] = []

    class Seeing(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            seen.append((event.class_name(), event.span_id))

    class Failing(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            if query_bundle.query_str == "fail":
                raise ConnectionError("no index")
            return NODES

    root = get_dispatcher()
    before = root.event_handlers
    root.event_handlers = [Seeing()]
    try:
        Failing().retrieve("why")
        with pytest.raises(ConnectionError):
            Failing().retrieve("fail")
    finally:
        root.event_handlers = before
    names = [name for name, _ in seen if re.match("Retrieval|SpanDrop", name)]
    assert names[:3] == ["RetrievalStartEvent", "RetrievalEndEvent", "RetrievalStartEvent"]
    assert "SpanDropEvent" in names
    spans = [span for _, span in seen]
    assert spans[0] == spans[1] is not None
    assert spans[2] in spans[3:]


def test_settings_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canaries above need no default LLM."""
    monkeypatch.setattr(Settings, "_llm", None)
    assert str(_sub_questions(Answering(Response("hello"))).query("why")) == "hello"
