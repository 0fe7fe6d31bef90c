"""Errors of LLMs as JSON, and back."""

from __future__ import annotations

import builtins
import importlib
import json
from collections.abc import Mapping
from typing import Any, cast

from llama_index_streaming_ext.testing.cassette.errors import ReplayedError
from llama_index_streaming_ext.testing.cassette.format.fields import kept
from llama_index_streaming_ext.testing.cassette.format.values import json_of
from llama_index_streaming_ext.testing.errors import ProviderError

_MOST_CAUSES = 3
_OURS = f"{ProviderError.__module__}.{ProviderError.__qualname__}"
_HEADERS = ("retry-after", "retry-after-ms", "x-should-retry", "x-request-id")


def error_json(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """An error: its type, its message, and what the provider said.

    Args:
        error: the error.
        depth: how many errors it is the cause of.
    """
    cls = type(error)
    said: dict[str, Any] = {
        "type": f"{cls.__module__}.{cls.__qualname__}",
        "message": str(error),
        "args": _plain_args(error),
        "status": getattr(error, "status_code", None),
        "body": kept(json_of(getattr(error, "body", None))),
        "headers": _headers(error),
    }
    if isinstance(error, json.JSONDecodeError):
        said["args"] = [error.msg, error.doc, error.pos]
    if error.__cause__ is not None and depth < _MOST_CAUSES:
        said["cause"] = error_json(error.__cause__, depth + 1)
    return {name: value for name, value in said.items() if value not in (None, {}, [])}


def _plain_args(error: BaseException) -> list[Any] | None:
    plain = all(isinstance(arg, str | int | float | bool | None) for arg in error.args)
    return list(error.args) if plain and error.args != (str(error),) else None


def _headers(error: BaseException) -> dict[str, str]:
    response: Any = getattr(error, "response", None)
    headers: dict[str, str] = getattr(response, "headers", None) or {}
    return {name: headers[name] for name in _HEADERS if name in headers}


def error_of(stored: Mapping[str, Any]) -> Exception:
    """The error that `error_json` wrote, of its own type where that is one of a few.

    Built-in errors and those of openai and httpx are made again; others are a `ReplayedError`.
    Without the openai package, its errors are a `ProviderError`.

    Args:
        stored: what was written.
    """
    name, message = str(stored.get("type", "")), str(stored.get("message", ""))
    error = _made(name, message, stored)
    if error is None:
        error = ReplayedError(f"{name}: {message}", name)
    if "cause" in stored:
        error.__cause__ = error_of(stored["cause"])
    return error


def _made(name: str, message: str, stored: Mapping[str, Any]) -> Exception | None:
    module, _, cls = name.rpartition(".")
    package = module.partition(".")[0]
    if module == "builtins":
        return _builtin(cls, message, stored)
    if name == "json.decoder.JSONDecodeError" and len(stored.get("args", ())) == 3:
        return json.JSONDecodeError(*stored["args"])
    if package == "httpx":
        return _of_httpx(cls, message)
    if package == "openai" and _imported("openai"):
        return _of_openai(cls, message, stored)
    if package == "openai" or name == _OURS:
        return ProviderError(message, status_code=stored.get("status"), body=stored.get("body"))
    return None


def _builtin(name: str, message: str, stored: Mapping[str, Any]) -> Exception | None:
    cls = _error_class(builtins, name)
    if cls is None:
        return None
    try:
        return cls(*stored.get("args", [message]))
    except TypeError:
        return None


def _of_httpx(name: str, message: str) -> Exception | None:
    httpx = _imported("httpx")
    cls = _error_class(httpx, name)
    if cls is None or not issubclass(cls, httpx.RequestError):
        return None
    return cast("Any", cls)(message, request=httpx.Request("POST", _URL))


def _of_openai(name: str, message: str, stored: Mapping[str, Any]) -> Exception | None:
    openai, httpx = _imported("openai"), _imported("httpx")
    cls: Any = _error_class(openai, name)
    if cls is None or not issubclass(cls, openai.APIError):
        return None
    request = httpx.Request("POST", _URL)
    error = cls.__new__(cls)
    # Each class takes other arguments than the next; what they set is the same.
    openai.APIError.__init__(error, message, request, body=stored.get("body"))
    if issubclass(cls, openai.APIStatusError):
        status, headers = stored.get("status", 500), stored.get("headers", {})
        error.response = httpx.Response(status, headers=headers, request=request)
        error.status_code = status
        error.request_id = headers.get("x-request-id")
    return error


_URL = "https://api.openai.com/v1"


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _error_class(module: Any, name: str) -> type[Exception] | None:
    found: object = getattr(module, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None
