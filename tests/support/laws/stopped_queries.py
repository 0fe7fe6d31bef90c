"""Query engines and chat engines, to be stopped anywhere, and the ways to stop them."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from llama_index.core import PromptHelper
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import (
    ResponseMode,
    get_response_synthesizer,
)
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext import StreamingChatEngine, StreamingQueryEngine
from llama_index_streaming_ext.query.chat.response import AsyncLiveChatResponse, LiveChatResponse
from llama_index_streaming_ext.query.response.sync import AsyncLiveResponse, LiveResponse
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text
from llama_index_streaming_ext.testing.script.request import Request

QUESTION = "why?"
SUB_QUESTIONS = [{"sub_question": f"why {name}?", "tool_name": name} for name in "ab"]


class Answers:
    """A script that says the same to everything, but to who asks for sub-questions.

    Args:
        turn: what it says.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __call__(self, request: Request) -> Turn:
        """What a request is answered with."""
        if "<Tools>" in request.text:
            return Turn(text(f"```json\n{json.dumps({'items': SUB_QUESTIONS})}\n```"))
        return self._turn


class Pages(BaseRetriever):
    """A retriever that finds some pages."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        page = "A page about a lighthouse. " * 12
        return [NodeWithScore(node=TextNode(text=f"{n}: {page}", id_=f"n{n}")) for n in range(3)]


def _engine(llm: Any, mode: str) -> RetrieverQueryEngine:
    synthesizer = get_response_synthesizer(
        llm=llm, response_mode=ResponseMode(mode), prompt_helper=PromptHelper(chunk_size_limit=120)
    )
    return RetrieverQueryEngine(Pages(), synthesizer)


def _sub_questions(llm: Any) -> SubQuestionQueryEngine:
    tools = [
        QueryEngineTool.from_defaults(_engine(llm, "compact"), name=name, description="Pages.")
        for name in "ab"
    ]
    return SubQuestionQueryEngine.from_defaults(
        tools,
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm=llm),
        verbose=False,
    )


def _chat(llm: Any, name: str) -> Any:
    memory: Any = ChatMemoryBuffer(token_limit=3000, tokenizer_fn=str.split)
    nothing: Any = {"context_prompt": None, "context_refine_prompt": None, "condense_prompt": None}
    if name == "simple":
        return SimpleChatEngine(llm, memory, prefix_messages=[])
    if name == "context":
        return ContextChatEngine(Pages(), llm, memory, prefix_messages=[])
    if name == "condense_plus_context":
        return CondensePlusContextChatEngine(Pages(), llm, memory, **nothing)
    made: Any = CondenseQuestionChatEngine
    return made.from_defaults(_engine(llm, "compact"), llm=llm, memory=memory)


MODES = ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate"]
CHATS = ["simple", "context", "condense_plus_context", "condense_question"]
KINDS = [*MODES, "sub_question", *CHATS]
"""Every kind of engine."""


def started(kind: str, llm: FakeStreamingLLM, is_async: bool, **options: Any) -> tuple[Any, Any]:
    """A query or a turn that has been started: the run, and the response that people have."""
    if kind in CHATS:
        engine: Any = StreamingChatEngine(_chat(llm, kind), **options)
        response = AsyncLiveChatResponse if is_async else LiveChatResponse
    else:
        asked = _sub_questions(llm) if kind == "sub_question" else _engine(llm, kind)
        engine = StreamingQueryEngine(asked, **options)
        response = AsyncLiveResponse if is_async else LiveResponse
    run = engine.start(QUESTION, is_async=is_async)
    made: Any = response
    return run, made(run)


# Each way is given a list with the response, so that it can forget it.

Held = list[Any]


def close(held: Held) -> None:
    """Close it."""
    held[0].close()


def leave(held: Held) -> None:
    """Leave the block that owns it."""
    with held[0]:
        pass


def leave_by_error(held: Held) -> None:
    """Leave the block that owns it because of an error in the block."""
    with suppress(ZeroDivisionError), held[0]:
        raise ZeroDivisionError


def forget(held: Held) -> None:
    """Forget it: it is collected, unread."""
    held.clear()
    gc.collect()


def close_twice(held: Held) -> None:
    """Close it, and once more."""
    held[0].close()
    held[0].close()


WAYS: list[Callable[[Held], None]] = [close, leave, leave_by_error, forget, close_twice]
"""Ways to stop a query, in a thread."""
