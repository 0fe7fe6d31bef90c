"""The real OpenAI classes, answered in process by a script."""

from __future__ import annotations

import json
from typing import Any

import httpx
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_streaming_ext.testing import Playback, Request, Turn
from llama_index_streaming_ext.testing.wire.encode import (
    before_answer,
    full_response,
    sse,
    wire_items,
)
from llama_index_streaming_ext.testing.wire.items import Dialect, Http, WireItem


class Provider:
    """Answers the requests of the real classes with the turns of a script."""

    def __init__(self, script: list[Turn], dialect: Dialect) -> None:
        self._playback = Playback(script)
        self._dialect: Dialect = dialect

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answers a request with the next turn."""
        asked = Request.from_body(json.loads(request.content), self._dialect)
        turn, asked = self._playback.take(asked)
        items = list(wire_items(turn, asked, self._dialect))
        first = next(iter(items if asked.stream else before_answer(turn)), None)
        if isinstance(first, Http):
            return httpx.Response(first.status, json=first.body(), headers=first.headers())
        if not asked.stream:
            return httpx.Response(200, json=full_response(turn, asked, self._dialect))
        return httpx.Response(
            200, content=_body(items), headers={"content-type": "text/event-stream"}
        )


def _body(items: list[WireItem]) -> bytes:
    return b"".join(sse(item) for item in items)


def real(script: list[Turn], dialect: Dialect, **kwargs: Any) -> FunctionCallingLLM:
    """The real class of a dialect, for which a script answers."""
    transport = httpx.MockTransport(Provider(script, dialect))
    cls = OpenAI if dialect == "chat" else OpenAIResponses
    return cls(
        model="gpt-4o-mini",
        api_key="not-a-key",
        http_client=httpx.Client(transport=transport),
        async_http_client=httpx.AsyncClient(transport=transport),
        **kwargs,
    )
