"""The real OpenAI classes, for which recorded bodies or a fake provider answer."""

from __future__ import annotations

from typing import Any

import httpx
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_streaming_ext.testing import FakeOpenAI
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.paths import DATA

WIRE = DATA / "wire"
DIALECTS: list[Dialect] = ["chat", "responses"]


def real(fake: FakeOpenAI, dialect: Dialect, **kwargs: Any) -> FunctionCallingLLM:
    """The real class of a dialect, pointed at a fake."""
    return fake.llm(**kwargs) if dialect == "chat" else fake.responses_llm(**kwargs)


def body(name: str) -> bytes:
    """A recorded stream, byte by byte as it came."""
    return (WIRE / f"{name}.sse").read_bytes()


def answered_by(*bodies: bytes, dialect: Dialect = "chat") -> FunctionCallingLLM:
    """The real class, for which bodies answer one after the other, the last again and again."""
    left = list(bodies)

    def answer(request: httpx.Request) -> httpx.Response:
        content = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(200, content=content, headers={"content-type": "text/event-stream"})

    transport = httpx.MockTransport(answer)
    cls = OpenAI if dialect == "chat" else OpenAIResponses
    return cls(
        model="gpt-4o-mini",
        api_key="not-a-key",
        http_client=httpx.Client(transport=transport),
        async_http_client=httpx.AsyncClient(transport=transport),
    )


def recorded(name: str) -> FunctionCallingLLM:
    """The real class, for which a recorded stream answers."""
    return answered_by(body(name), dialect="responses" if name.startswith("responses") else "chat")
