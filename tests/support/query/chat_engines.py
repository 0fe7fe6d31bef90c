"""One of each of core's chat engines, over the library of the examples."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager
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
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer

from llama_index_streaming_ext.query.chat.engine import StreamingChatEngine
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text
from tests.support.query.users_engines import library

QUESTION = "How high is the lighthouse?"
TOKENS = ("It", " is", " 38", " metres", " high.")
ANSWER = "".join(TOKENS)
ASKED_BEFORE = [ChatMessage("Where is it?"), ChatMessage("On Gull Rock.", role="assistant")]

NAMES = ("simple", "context", "condense_question", "condense_plus_context")
MULTI_MODAL = ("multi_modal_context", "multi_modal_condense_plus_context")
RETRIEVING = (*NAMES[1:], *MULTI_MODAL)


def answering(*parts: Any) -> FakeStreamingLLM:
    """An LLM that always answers the same."""
    return FakeStreamingLLM([Turn(*(parts or (text(*TOKENS),)))], repeat_last=True)


def memory() -> ChatMemoryBuffer:
    """A memory that has nothing yet."""
    return ChatMemoryBuffer(token_limit=3000, tokenizer_fn=str.split)


def core_engine(name: str, llm: Any, remembered: BaseMemory | None = None) -> Any:
    """One of core's chat engines."""
    kept: Any = remembered if remembered is not None else memory()
    if name == "simple":
        return SimpleChatEngine(llm, kept, prefix_messages=[])
    retriever = library.bm25(top_k=2)
    nothing: Any = {"context_prompt": None, "context_refine_prompt": None, "condense_prompt": None}
    if name == "context":
        return ContextChatEngine(retriever, llm, kept, prefix_messages=[])
    if name == "condense_plus_context":
        return CondensePlusContextChatEngine(retriever, llm, kept, **nothing)
    if name == "condense_question":
        engine: Any = library.vector_index("lighthouse").as_query_engine(llm=llm)
        made: Any = CondenseQuestionChatEngine
        return made.from_defaults(engine, llm=llm, memory=kept)
    if name == "multi_modal_context":
        return MultiModalContextChatEngine(retriever, llm, kept, system_prompt="Be brief.")
    return MultiModalCondensePlusContextChatEngine(
        retriever, llm, kept, system_prompt="Be brief.", callback_manager=CallbackManager([])
    )


def chatting(name: str, llm: Any = None, **options: Any) -> StreamingChatEngine:
    """One of core's chat engines, as ours."""
    engine: BaseChatEngine = core_engine(name, llm if llm is not None else answering())
    return StreamingChatEngine(engine, **options)


def said(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    """Who has said what."""
    return [(message.role.value, message.content or "") for message in messages]


TURN = [("user", QUESTION), ("assistant", ANSWER)]
"""What a memory has after one turn."""
