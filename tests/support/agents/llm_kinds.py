"""The LLMs that our agents are tested with: the fake one, and OpenAI's classes over a fake wire."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Literal

import httpx
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_streaming_ext.testing import FakeOpenAI, FakeStreamingLLM, Request
from llama_index_streaming_ext.testing.fake_llm.calls import request_of
from llama_index_streaming_ext.testing.script.turns import Script
from tests.support.provider_llms import real

Kind = Literal["fake", "chat", "responses"]
KINDS: list[Kind] = ["fake", "chat", "responses"]

OLD_MODEL = "gpt-4-0314"
"""A model that OpenAI's classes know as one that calls no functions."""


class LLMs:
    """Makes LLMs of one kind, each with a script of its own.

    Args:
        kind: the fake LLM, or OpenAI's class for Chat Completions or for Responses.
        stack: what holds the fake providers open.
    """

    def __init__(self, kind: Kind, stack: ExitStack) -> None:
        self.kind: Kind = kind
        self._stack = stack
        self._fakes: list[tuple[Any, FakeOpenAI]] = []

    def __call__(
        self, script: Script, *, repeat_last: bool = False, calls_functions: bool = True
    ) -> FunctionCallingLLM:
        """An LLM that answers as a script says, and counts what it uses."""
        if self.kind == "fake":
            return FakeStreamingLLM(
                script,
                repeat_last=repeat_last,
                usage="always",
                is_function_calling_model=calls_functions,
            )
        fake = FakeOpenAI(script, repeat_last=repeat_last)
        self._stack.enter_context(fake.mock(base_url=f"https://{len(self._fakes)}.test/v1"))
        model: dict[str, Any] = {} if calls_functions else {"model": OLD_MODEL}
        llm = real(fake, self.kind, **model, **_clients())
        self._fakes.append((llm, fake))
        return llm

    def asked(self, llm: Any) -> list[Request]:
        """What the provider has been asked, a request for each call."""
        if isinstance(llm, FakeStreamingLLM):
            return [
                request_of(call.messages, call.kwargs, stream=True, dialect=llm.dialect)
                for call in llm.calls
            ]
        dialect = "responses" if self.kind == "responses" else "chat"
        return [Request.from_body(got.json, dialect) for got in self._fake(llm).requests]

    def sent(self, llm: Any) -> int:
        """How much the provider has sent so far: chunks of the fake LLM, or bytes."""
        if isinstance(llm, FakeStreamingLLM):
            return sum(call.chunks for call in llm.calls)
        return sum(got.bytes_sent for got in self._fake(llm).requests)

    async def left(self, llm: Any) -> bool:
        """Wait until the first answer is over; whether its reader has broken it off."""
        async with asyncio.timeout(120):
            if isinstance(llm, FakeStreamingLLM):
                return await llm.calls[0].ended() in ("CancelledError", "GeneratorExit")
            return await self._fake(llm).requests[0].await_closed()

    def _fake(self, llm: Any) -> FakeOpenAI:
        return next(fake for made, fake in self._fakes if made is llm)


@contextmanager
def llms_of(kind: Kind) -> Generator[LLMs]:
    """LLMs of a kind, for as long as the block runs."""
    with ExitStack() as stack:
        yield LLMs(kind, stack)


@cache
def _clients() -> dict[str, Any]:
    # Each client reads all certificates of the machine, which takes longer than most tests.
    return {"http_client": httpx.Client(), "async_http_client": httpx.AsyncClient()}


def check_history(request: Request) -> list[str]:
    """Each tool call has its result, before anything else is said; gives the ids of the calls."""
    called: list[str] = []
    waiting: set[str] = set()
    for message in request.messages:
        if result := result_id(message):
            waiting.remove(result)
            continue
        # In Responses each of several calls is an item of its own.
        assert not waiting or message.get("type") == "function_call", (message, waiting)
        ids = call_ids(message)
        waiting.update(ids)
        called.extend(ids)
    assert not waiting
    assert len(set(called)) == len(called)
    return called


def call_ids(message: dict[str, Any]) -> list[str]:
    """The ids of the tool calls in a message, in either dialect."""
    if message.get("type") == "function_call":
        return [message["call_id"]]
    return [call["id"] for call in message.get("tool_calls") or ()]


def result_id(message: dict[str, Any]) -> str | None:
    """The id of the call whose result a message is, in either dialect."""
    if message.get("type") == "function_call_output":
        return message["call_id"]
    # Core puts the id into the assistant's message, too, where a tool's output is the answer.
    return message.get("tool_call_id") if message.get("role") == "tool" else None
