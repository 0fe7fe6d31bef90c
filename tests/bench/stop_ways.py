"""Runs, queries and turns to be stopped by `stops.py`, ours and upstream's, and how each is.

A way is a generator, sync or async: up to its `yield` it asks for a story, behind it it stops.
"""

# Core marks its own `run(user_msg=...)` as deprecated, and its signatures are not typed in full.
# pyright: reportDeprecated=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent as CoreFunctionAgent
from llama_index.core.base.llms.types import ChatMessage

from llama_index_streaming_ext import (
    AgentStream,
    FunctionAgent,
    StreamingChatEngine,
    StreamingLLM,
    stream_query,
)
from tests.support.query import engines as kinds
from tests.support.query.chat_engines import core_engine

Way = Callable[[Any], Iterator[None] | AsyncIterator[None]]

ASK = "a story"


# Agents


async def _begun(handler: Any) -> None:
    async for event in handler.stream_events():
        if isinstance(event, AgentStream) and event.delta:
            return


async def agent(llm: Any) -> AsyncIterator[None]:
    """Our agent, by `cancel_run`."""
    handler = FunctionAgent(llm=llm).run(user_msg=ASK)
    await _begun(handler)
    yield
    await handler.cancel_run()


async def core_agent(llm: Any) -> AsyncIterator[None]:
    """Core's agent, by `cancel_run`."""
    handler: Any = CoreFunctionAgent(llm=llm).run(user_msg=ASK)
    await _begun(handler)
    yield
    await handler.cancel_run()


async def left_agent(llm: Any) -> AsyncIterator[None]:
    """Our agent, whose reader leaves the block that owns it."""
    async with FunctionAgent(llm=llm).run(user_msg=ASK) as handler:
        await _begun(handler)
        yield


async def left_core_agent(llm: Any) -> AsyncIterator[None]:
    """Core's agent, whose reader has left the loop; there is no block (U12)."""
    handler: Any = CoreFunctionAgent(llm=llm).run(user_msg=ASK)
    await _begun(handler)
    yield
    del handler


async def nested(llm: Any) -> AsyncIterator[None]:
    """Our agent, a tool of which waits for another."""

    async def ask() -> str:
        """Asks the other agent."""
        return str(await FunctionAgent(name="inner", llm=llm).run(user_msg=ASK))

    handler = FunctionAgent(llm=llm, tools=[ask]).run(user_msg=ASK)
    yield
    await handler.cancel_run()


async def core_nested(llm: Any) -> AsyncIterator[None]:
    """Core's agent, a tool of which waits for another (U5)."""

    async def ask() -> str:
        """Asks the other agent."""
        inner: Any = CoreFunctionAgent(name="inner", llm=llm).run(user_msg=ASK)
        return str(await inner)

    handler: Any = CoreFunctionAgent(llm=llm, tools=[ask]).run(user_msg=ASK)
    yield
    await handler.cancel_run()


# An LLM alone


async def llm_alone(llm: Any) -> AsyncIterator[None]:
    """The stream of an LLM as it is, by `aclose` (U58)."""
    stream = await llm.astream_chat([ChatMessage(ASK)])
    await anext(stream)
    yield
    await stream.aclose()


async def streaming_llm(llm: Any) -> AsyncIterator[None]:
    """The same of a StreamingLLM."""
    async for _ in llm_alone(StreamingLLM(llm)):
        yield


def sync_llm_alone(llm: Any) -> Iterator[None]:
    """The sync stream of an LLM as it is, by `close` (U58)."""
    stream = llm.stream_chat([ChatMessage(ASK)])
    next(stream)
    yield
    stream.close()


def sync_streaming_llm(llm: Any) -> Iterator[None]:
    """The same of a StreamingLLM."""
    yield from sync_llm_alone(StreamingLLM(llm))


# Query engines


def _engine(kind: str, llm: Any, *, streaming: bool) -> Any:
    # A page, so that compact needs one call, whose answer upstream streams too.
    if kind == "compact":
        return kinds.page(llm, streaming)
    return kinds.KINDS[kind].build(llm, streaming)


def query(kind: str) -> Way:
    """A sync query over a kind of engine, by `close`."""

    def way(llm: Any) -> Iterator[None]:
        engine = _engine(kind, llm, streaming=False)
        response: Any = stream_query(engine, kinds.QUESTION, show="calls")
        yield
        response.close()

    return way


def aquery(kind: str) -> Way:
    """An async query over a kind of engine, by `aclose`."""

    async def way(llm: Any) -> AsyncIterator[None]:
        engine = _engine(kind, llm, streaming=False)
        response: Any = stream_query(engine, kinds.QUESTION, show="calls")
        yield
        await response.aclose()

    return way


def core_query(llm: Any) -> Iterator[None]:
    """Core's compact engine, whose response is dropped after a token (U58)."""
    response = _engine("compact", llm, streaming=True).query(kinds.QUESTION)
    tokens = response.response_gen
    next(tokens)
    yield
    del response, tokens


async def core_aquery(llm: Any) -> AsyncIterator[None]:
    """Core's compact engine, whose async response is dropped after a token (U58)."""
    response = await _engine("compact", llm, streaming=True).aquery(kinds.QUESTION)
    tokens = response.async_response_gen()
    await anext(tokens)
    yield
    del response, tokens


def cancelled_aquery(kind: str) -> Way:
    """Core's engine that has no response yet, by cancelling the task that waits for it."""

    async def way(llm: Any) -> AsyncIterator[None]:
        # One that streams holds up the loop for as long as its inner engines write (U57).
        engine = _engine(kind, llm, streaming=False)
        asking = asyncio.create_task(engine.aquery(kinds.QUESTION))
        yield
        asking.cancel()
        await asyncio.wait([asking])

    return way


# Chat engines


def chat(llm: Any) -> Iterator[None]:
    """A turn, by `close`."""
    response = StreamingChatEngine(core_engine("simple", llm)).stream_chat(kinds.QUESTION)
    yield
    response.close()


async def achat(llm: Any) -> AsyncIterator[None]:
    """An async turn, by `aclose`."""
    engine = StreamingChatEngine(core_engine("simple", llm))
    response = await engine.astream_chat(kinds.QUESTION)
    yield
    await response.aclose()


def core_chat(llm: Any) -> Iterator[None]:
    """A turn of core's, whose response is dropped unread.

    To drop a generator that has been read waits for the end of the answer.
    """
    response = core_engine("simple", llm).stream_chat(kinds.QUESTION)
    yield
    del response


async def core_achat(llm: Any) -> AsyncIterator[None]:
    """An async turn of core's, whose response is dropped unread."""
    response = await core_engine("simple", llm).astream_chat(kinds.QUESTION)
    yield
    del response
