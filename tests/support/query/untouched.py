"""What an engine consists of, so that it shows when it has been changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from llama_index.core import SQLDatabase
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM
from llama_index.core.schema import BaseNode
from llama_index.core.storage.docstore import BaseDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore

_LEAVES = (
    LLM,
    BaseIndex,
    BaseNode,
    BaseEmbedding,
    BaseDocumentStore,
    BasePydanticVectorStore,
    CallbackManager,
    SQLDatabase,
    type,
)
"""What is looked at as one thing: it is the same thing afterwards, or it is not."""


def parts(engine: Any) -> dict[str, Any]:
    """All that is reachable from an engine, by the way that leads to it."""
    found: dict[str, Any] = {}
    _collect("engine", engine, found, set())
    return found


def _collect(path: str, part: Any, found: dict[str, Any], seen: set[int]) -> None:
    found[path] = part
    if id(part) in seen:
        return
    seen.add(id(part))
    for name, inner in _inside(part):
        _collect(f"{path}.{name}", inner, found, seen)


def _inside(part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, _LEAVES):
        return
    if isinstance(part, dict):
        yield from ((str(key), value) for key, value in cast("dict[Any, Any]", part).items())
    elif isinstance(part, list | tuple):
        values = cast("list[Any]", part)
        yield from ((str(index), value) for index, value in enumerate(values))
    elif type(part).__module__.partition(".")[0] not in {"builtins", "typing", "functools"}:
        yield from getattr(part, "__dict__", {}).items()
        yield from (getattr(part, "__pydantic_private__", None) or {}).items()
