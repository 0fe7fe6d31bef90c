"""The openai package's own types and errors, where it is installed; dicts where it is not.

A fold reads both through `get`, so that it is written once.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from llama_index_streaming_ext.testing.errors import ProviderError
from llama_index_streaming_ext.testing.wire.items import Http

_URL = "https://api.openai.com/v1"
_STATUS_ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


@functools.cache
def _openai(name: str = "openai") -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def get(said: Any, name: str, default: Any = None) -> Any:
    """A field of what the provider said, be it an object or a dict."""
    if isinstance(said, dict):
        return cast("dict[str, Any]", said).get(name, default)
    return getattr(said, name, default)


def put(said: Any, name: str, value: Any) -> None:
    """Set a field of what the provider said, be it an object or a dict."""
    if isinstance(said, dict):
        said[name] = value
    else:
        setattr(said, name, value)


def dump(said: Any) -> dict[str, Any]:
    """Return the provider's object as a dict."""
    return said.model_dump() if isinstance(said, BaseModel) else dict(said)


def copied(said: Any) -> Any:
    """A copy that shares nothing with what the provider said."""
    if isinstance(said, BaseModel):
        return said.model_copy(deep=True)
    if isinstance(said, dict):
        return {k: copied(v) for k, v in cast("dict[str, Any]", said).items()}
    if isinstance(said, list):
        return [copied(item) for item in cast("list[Any]", said)]
    return said


def chat_chunk(data: dict[str, Any]) -> Any:
    """A chunk of Chat Completions: `ChatCompletionChunk` or a dict."""
    return _constructed("openai.types.chat", "ChatCompletionChunk", data)


def chat_completion(data: dict[str, Any]) -> Any:
    """An answer of Chat Completions: `ChatCompletion` or a dict."""
    return _constructed("openai.types.chat", "ChatCompletion", data)


def response(data: dict[str, Any]) -> Any:
    """An answer of the Responses API: `Response` or a dict."""
    return _constructed("openai.types.responses", "Response", data)


def response_event(data: dict[str, Any]) -> Any:
    """An event of the Responses API: a member of `ResponseStreamEvent` or a dict."""
    classes = _event_classes()
    if not classes:
        return copied(data)
    cls = classes.get(str(data.get("type")))
    if cls is None:
        # The SDK shows an event that it does not know as the first that it does.
        return next(iter(classes.values())).model_construct(**data)
    try:
        return cls.model_validate(data)
    except ValidationError:
        # The SDK shows also what does not fit its types.
        return cls.model_construct(**data)


def _constructed(module: str, name: str, data: dict[str, Any]) -> Any:
    found = _openai(module)
    if found is None:
        return copied(data)
    cls: type[BaseModel] = getattr(found, name)
    try:
        # The same as constructing it, for data that fits, at a tenth of the cost.
        return cls.model_validate(data, strict=True)
    except ValidationError:
        return cls.model_construct(**data)


@functools.cache
def _event_classes() -> Mapping[str, type[BaseModel]]:
    module = _openai("openai.types.responses")
    if module is None:
        return {}
    union: Any = get_args(module.ResponseStreamEvent)[0]
    classes: tuple[type[BaseModel], ...] = get_args(union)
    return {get_args(cls.model_fields["type"].annotation)[0]: cls for cls in classes}


def stream_error(data: Mapping[str, Any]) -> Exception:
    """The error for an error object in a stream.

    Args:
        data: the payload of the event, with the error object in `error`.
    """
    body: Any = data["error"]
    message = get(body, "message")
    if not message or not isinstance(message, str):
        message = "An error occurred during streaming"
    module = _openai()
    if module is None:
        return ProviderError(message, status_code=None, body=body)
    return module.APIError(message, _request(), body=body)


def status_error(answer: Http) -> Exception:
    """The error for an answer with an error status."""
    body = answer.body()
    message, module = f"Error code: {answer.status} - {body}", _openai()
    if module is None:
        return ProviderError(message, status_code=answer.status, body=body["error"])
    import httpx

    other = "InternalServerError" if answer.status >= 500 else "APIStatusError"
    cls = getattr(module, _STATUS_ERRORS.get(answer.status, other))
    said = httpx.Response(answer.status, headers=answer.headers(), json=body, request=_request())
    return cls(message, response=said, body=body["error"])


def no_answer_error() -> Exception:
    """The error for a connection that broke before any answer."""
    module = _openai()
    cause = reset_error()
    if module is None:
        error: Exception = ProviderError("Connection error.", status_code=None, body=None)
    else:
        error = module.APIConnectionError(request=_request())
    error.__cause__ = cause
    return error


def reset_error() -> Exception:
    """The error for a connection that broke in the middle of an answer."""
    import httpx

    return httpx.ReadError("Connection reset by peer", request=_request())


def _request() -> Any:
    import httpx

    return httpx.Request("POST", _URL)
