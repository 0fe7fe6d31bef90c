"""The endpoints of the provider: the answer to each request, and the requests it refuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

from llama_index_streaming_ext.testing.errors import UnexpectedLLMCall
from llama_index_streaming_ext.testing.fake_llm.playback import Playback
from llama_index_streaming_ext.testing.fake_openai.answers import (
    Steps,
    answer,
    error_answer,
    json_answer,
    model,
    models,
)
from llama_index_streaming_ext.testing.fake_openai.received import ReceivedRequest
from llama_index_streaming_ext.testing.history.refusal import refusal_of
from llama_index_streaming_ext.testing.script.request import Request
from llama_index_streaming_ext.testing.script.turns import Turn
from llama_index_streaming_ext.testing.wire.items import Dialect, Disconnect, Gate, Http, Wait

_logger = logging.getLogger(__name__)

_CALLS: dict[str, tuple[Dialect, str]] = {
    "/v1/chat/completions": ("chat", "messages"),
    "/v1/responses": ("responses", "input"),
}


class Endpoints:
    """The provider's API over one script.

    Args:
        playback: the script and the position in it.
        model_names: what `GET /v1/models` lists; any other name is answered too.
        comments: whether a keep-alive comment goes before every event of a stream.
        crlf: whether the lines of a stream end in CR LF.
        strict_history: whether a conversation that OpenAI refuses is refused.
    """

    def __init__(
        self,
        playback: Playback,
        model_names: Sequence[str],
        *,
        comments: bool,
        crlf: bool,
        strict_history: bool = True,
    ) -> None:
        self.unexpected: list[UnexpectedLLMCall] = []
        self._failed: dict[bytes, tuple[Turn, Request]] = {}
        self._playback = playback
        self._model_names = tuple(model_names)
        self._comments = comments
        self._crlf = crlf
        self._strict_history = strict_history

    def answer(self, received: ReceivedRequest) -> Steps:
        """The answer to a request; a call of a model takes a turn of the script."""
        path = received.path.partition("?")[0]
        if received.method == "POST" and path in _CALLS:
            return self._call(received, *_CALLS[path])
        if received.method == "GET" and path == "/v1/models":
            return json_answer(200, models(self._model_names))
        if received.method == "GET" and path.startswith("/v1/models/"):
            return json_answer(200, model(path.removeprefix("/v1/models/")))
        return error_answer(404, f"Invalid URL ({received.method} {path})")

    def _call(self, received: ReceivedRequest, dialect: Dialect, required: str) -> Steps:
        body: object = received.json
        if not isinstance(body, dict):
            return error_answer(400, _NOT_JSON)
        asked = cast("Mapping[str, Any]", body)
        for name in ("model", required):
            if not asked.get(name):
                message = f"Missing required parameter: '{name}'."
                return error_answer(400, message, param=name, code="missing_required_parameter")
        request = Request.from_body(asked, dialect)
        refusal = refusal_of(request.messages) if self._strict_history else None
        if refusal is not None:
            return error_answer(400, refusal, param=required)
        return self._turn(received, request)

    def _turn(self, received: ReceivedRequest, request: Request) -> Steps:
        try:
            turn, request = self._take(received, request)
        except UnexpectedLLMCall as error:
            self.unexpected.append(error)
            message = f"UnexpectedLLMCall: {error}"
            return error_answer(400, message, code="unexpected_llm_call")
        except Exception as error:
            # The user's function: it runs in the server, so its error has to travel as an answer.
            _logger.exception("The script's function failed")
            message = f"The script's function raised {type(error).__name__}: {error}"
            return error_answer(400, message, code="script_failed")
        retry = self._playback.answers(request)
        if not retry and _refuses(turn):
            self._failed[received.body] = turn, request
        return answer(turn, request, retry=retry, comments=self._comments, crlf=self._crlf)

    def _take(self, received: ReceivedRequest, request: Request) -> tuple[Turn, Request]:
        try:
            return self._playback.take(request)
        except UnexpectedLLMCall:
            # A script that ends in a failure ends in it however often the client tries again.
            if received.body not in self._failed or not _may_be_retry(received, request):
                raise
            return self._failed[received.body]


def _refuses(turn: Turn) -> bool:
    """Return True if there is no answer at all, so that clients try again."""
    real = [part for part in turn.parts if not isinstance(part, Wait | Gate)]
    return bool(real) and isinstance(real[0], Http | Disconnect)


def _may_be_retry(received: ReceivedRequest, request: Request) -> bool:
    """The SDK counts its retries; LlamaIndex, where it does not stream, tries again in silence."""
    return not request.stream or received.headers.get("x-stainless-retry-count", "0") != "0"


_NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The OpenAI API expects a JSON payload.)"
)
