"""The provider whose own wire is known to stand behind an LLM.

Classes of many packages are subclasses of LlamaIndex's `OpenAI`, and talk to other servers: what
holds for OpenAI's own may not hold for them. So it is not the class that decides, but the package
that it is from, and, for users' subclasses, the server that they talk to.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from llama_index.core.llms import LLM

from llama_index_streaming_ext.llm.overlay import inner_of

# By name: an LLM of a package that is not installed cannot come, and none is to be imported here.
_INTEGRATIONS = "llama_index.llms"
_REAL: dict[tuple[str, str], Literal["chat", "responses"]] = {
    ("llama_index.llms.openai", "OpenAI"): "chat",
    ("llama_index.llms.openai", "OpenAIResponses"): "responses",
}
_STREAMING = frozenset(
    face + method
    for face in ("", "a", "_", "_a")
    for method in ("stream_chat", "stream_complete", "stream_chat_with_tools")
)


class Provider(NamedTuple):
    """The provider that is known to stand behind an LLM."""

    dialect: Literal["chat", "responses"]
    """The API of OpenAI that the LLM speaks."""
    faithful: bool
    """True if chunks come as that API sent them, so that no user's class changes them."""


def provider_of(llm: LLM) -> Provider | None:
    """Return the provider behind an LLM, None if it is unknown.

    Known are `OpenAI` and `OpenAIResponses` of llama-index-llms-openai, whatever their `api_base`,
    and classes that say so themselves, with their subclasses: `speaks_openai = True` in the body of
    the class, and an attribute `dialect` with the API. Subclasses from other integrations
    (`OpenAILike`, `AzureOpenAI`, ...) are not known. A user's own subclass is, if its `api_base`
    is OpenAI's.

    Args:
        llm: any LLM, wrapped or not.
    """
    llm = inner_of(llm)
    own: list[type] = []
    for cls in type(llm).__mro__:
        if vars(cls).get("speaks_openai") is True:
            return Provider(cast("Any", llm).dialect, faithful=not _streams(own))
        for (package, name), dialect in _REAL.items():
            if _is(cls, package, name):
                known = not own or _at_openai(llm)
                return Provider(dialect, faithful=not _streams(own)) if known else None
        if _within(cls, _INTEGRATIONS):
            return None
        own.append(cls)
    return None


def _is(cls: type, package: str, name: str) -> bool:
    return cls.__name__ == name and _within(cls, package)


def _within(cls: type, package: str) -> bool:
    return cls.__module__ == package or cls.__module__.startswith(f"{package}.")


def _streams(classes: list[type]) -> bool:
    return any(not _STREAMING.isdisjoint(vars(cls)) for cls in classes)


def _at_openai(llm: LLM) -> bool:
    base: object = getattr(llm, "api_base", None)
    host = urlsplit(base).hostname if isinstance(base, str) else None
    return host is not None and (host == "openai.com" or host.endswith(".openai.com"))
