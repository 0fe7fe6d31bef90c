"""Private attributes and methods by which LlamaIndex's OpenAI classes get and keep their clients.

Canary of all: `tests/upstream/test_openai_clients.py` (U66).
"""

from __future__ import annotations

from typing import Any, cast

from llama_index_streaming_ext.upstream.state import PrivateAttribute

CLIENT, ACLIENT = PrivateAttribute[Any]("_client"), PrivateAttribute[Any]("_aclient")
"""The clients of an LLM: one that the user gave, one that the class made, or None."""

GIVEN_HTTP = PrivateAttribute[Any]("_http_client")
"""The HTTP client that the user gave an LLM for its sync client, or None."""

GIVEN_ASYNC_HTTP = PrivateAttribute[Any]("_async_http_client")
"""The HTTP client that the user gave an LLM for its async client, or None."""

GET_CLIENT, GET_ACLIENT = "_get_client", "_get_aclient"
"""The methods by which an LLM gets its clients. Their names differ from those of other twins."""

_SETTINGS = (
    "api_key",
    "base_url",
    "organization",
    "project",
    "timeout",
    "max_retries",
    "_custom_headers",
    "_custom_query",
)


def credentials_of(llm: object) -> dict[str, Any]:
    """Return the arguments with which an LLM's class would make its async client."""
    return cast("Any", llm)._get_credential_kwargs(is_async=True)


def http_of(client: Any) -> Any:
    """Return the HTTP client within a client of the SDK."""
    return client._client


def have_equal_settings(client: Any, other: Any) -> bool:
    """Return True if two clients of the SDK, sync or async, send the same request."""
    return all(getattr(client, name) == getattr(other, name) for name in _SETTINGS)
