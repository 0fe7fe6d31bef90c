"""U60: what core's chat engines do that ours are built on, or do otherwise."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportPrivateUsage=false

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Generator
from typing import Any

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.chat_engine.multi_modal_condense_plus_context import (
    MultiModalCondensePlusContextChatEngine,
)
from llama_index.core.chat_engine.multi_modal_context import MultiModalContextChatEngine
from llama_index.core.chat_engine.types import StreamingAgentChatResponse
from llama_index.core.memory import ChatMemoryBuffer, ChatSummaryMemoryBuffer
from llama_index.core.schema import TextNode

from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, gate, text
from llama_index_streaming_ext.upstream import chat_engines


def memory() -> ChatMemoryBuffer:
    """A memory that has nothing yet."""
    return ChatMemoryBuffer(token_limit=3000, tokenizer_fn=str.split)


def condense_question(llm: Any) -> Any:
    """Core's condense-question engine, over an index of one node."""
    index = VectorStoreIndex([TextNode(text="a fact")], embed_model=MockEmbedding(2))
    made: Any = CondenseQuestionChatEngine
    return made.from_defaults(index.as_query_engine(llm=llm), llm=llm, memory=memory())


def answering() -> FakeStreamingLLM:
    """An LLM that always answers the same."""
    return FakeStreamingLLM([Turn(text("It", " is."))], repeat_last=True)


def chunks(error: BaseException) -> Generator[ChatResponse, None, None]:
    """A stream that breaks after a token."""
    yield ChatResponse(message=ChatMessage("It", role="assistant"), delta="It")
    raise error


async def test_u60_condense_question_loses_its_sources_on_async() -> None:
    """U60: an async streaming answer of condense_question has no `source_nodes`."""
    response = await condense_question(answering()).astream_chat("why?")
    async for _ in response.async_response_gen():
        pass
    assert response.source_nodes == []


def test_u60_condense_question_streams_by_a_shared_flag() -> None:
    """U60: while one turn waits for its LLM, the engine that others use has `_streaming` set."""
    llm = FakeStreamingLLM([Turn(text("A fact.")), Turn(gate("go"), text("It"))], strict=False)
    engine = condense_question(llm)
    synthesizer = engine._query_engine._response_synthesizer
    seen: list[bool] = []
    query = engine._query_engine.query

    def noting(question: str) -> Any:
        seen.append(synthesizer._streaming)
        return query(question)

    engine._query_engine.query = noting
    llm.open("go")
    engine.stream_chat("why?")
    assert (seen, synthesizer._streaming) == ([True], False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_u60_a_writer_that_is_broken_off_tells_nobody(error: BaseException) -> None:
    """U60: after what is no Exception, `is_done` and `exception` say that it still goes on."""
    response = StreamingAgentChatResponse(chat_stream=chunks(error))
    writer = threading.Thread(target=response.write_response_to_history, args=(memory(),))
    writer.start()
    writer.join()
    assert (response.is_done, response.exception) == (False, None)


def test_u60_an_empty_stream_is_half_remembered() -> None:
    """U60: of an empty stream the memory gets the question, and no answer."""
    kept = memory()
    response = StreamingAgentChatResponse(chat_stream=(one for one in ()))
    kept.put(ChatMessage("why?"))
    response.write_response_to_history(kept)
    assert len(kept.get_all()) == 1


def test_u60_an_error_leaves_the_question_alone() -> None:
    """U60: the text that there was is not remembered, so the next turn has two questions."""
    kept = memory()
    kept.put(ChatMessage("why?"))
    response = StreamingAgentChatResponse(chat_stream=chunks(ValueError("no")))
    with pytest.raises(ValueError, match="no"):
        response.write_response_to_history(kept)
    assert len(kept.get_all()) == 1


def test_the_names_that_answers_are_made_by() -> None:
    """U60: ours has `chat()` run, and puts something around these methods of the turn's copy."""
    for engine in (ContextChatEngine, CondensePlusContextChatEngine):
        made = getattr(engine, chat_engines.MAKE_SYNTHESIZER)
        assert "streaming" in inspect.signature(made).parameters
        assert inspect.iscoroutinefunction(getattr(engine, chat_engines.ARETRIEVE))
        assert inspect.isfunction(getattr(engine, chat_engines.RETRIEVE))
    for engine in (MultiModalContextChatEngine, MultiModalCondensePlusContextChatEngine):
        assert "streaming" in inspect.signature(engine.synthesize).parameters
        assert "streaming" in inspect.signature(engine.asynthesize).parameters
    for engine in (CondenseQuestionChatEngine, CondensePlusContextChatEngine):
        assert inspect.isfunction(getattr(engine, chat_engines.CONDENSE))
        assert inspect.iscoroutinefunction(getattr(engine, chat_engines.ACONDENSE))


def test_core_engines_keep_their_parts_under_these_names() -> None:
    """U60: a simple engine has `_llm`, a condense-question engine `_query_engine`."""
    llm = answering()
    assert chat_engines.LLM.of(SimpleChatEngine(llm, memory(), prefix_messages=[])) is llm
    engine = condense_question(llm)
    assert chat_engines.QUERY_ENGINE.is_on(engine)
    assert isinstance(chat_engines.MEMORY.of(engine), ChatMemoryBuffer)


def test_a_summary_memory_counts_its_tokens_under_this_name() -> None:
    """A summary memory says what it counts by a method, and has nothing to set it."""
    kept = ChatSummaryMemoryBuffer.from_defaults(tokenizer_fn=str.split)
    chat_engines.TOKEN_COUNT.set(kept, 7)
    assert kept.get_token_count() == 7


def test_a_simple_engine_asks_once() -> None:
    """U60: `chat()` of a simple engine makes one call, so that it is known as the answer's."""
    llm = answering()
    SimpleChatEngine(llm, memory(), prefix_messages=[]).chat("why?")
    assert len(llm.calls) == 1


def test_upstreams_response_class_cannot_be_registered_with() -> None:
    """U60: it is a plain dataclass, so that ours derives of it to be one by `isinstance`."""
    assert not hasattr(StreamingAgentChatResponse, "register")
    assert StreamingAgentChatResponse.__mro__ == (StreamingAgentChatResponse, object)
