"""Messages and chunks as JSON, and back."""

from __future__ import annotations

import enum
import functools
import hashlib
import importlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from pydantic import BaseModel

from llama_index_streaming_ext.testing.cassette.format.fields import kept

Face: TypeAlias = 'Literal["chat", "complete"]'
"""The kind of the call: messages ("chat") or a prompt ("complete")."""
Answer: TypeAlias = "ChatResponse | CompletionResponse"

_TYPE = "$type"
_NOT_TYPE = "="
_PROVIDER = re.compile(r"openai\.types(\.[a-z0-9_]+)*\.[A-Z][A-Za-z0-9]*")


def json_of(value: Any) -> Any:
    """A value as JSON. What the provider said keeps the name of its type.

    Args:
        value: anything; what JSON has no form for becomes None.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, BaseModel):
        return _json_of_model(value)
    if isinstance(value, type):
        return {"class": value.__name__}
    if isinstance(value, Mapping):
        named = {str(k): json_of(v) for k, v in cast("Mapping[Any, Any]", value).items()}
        return {_TYPE: _NOT_TYPE, _NOT_TYPE: named} if _TYPE in named else named
    if isinstance(value, list | tuple | set | frozenset):
        return [json_of(item) for item in cast("Iterable[Any]", value)]
    return json_of(value.value) if isinstance(value, enum.Enum) else None


def _json_of_model(value: BaseModel) -> dict[str, Any]:
    said = value.model_dump(
        mode="json", by_alias=True, exclude_unset=True, warnings=False, fallback=_nothing
    )
    cls = type(value)
    return {_TYPE: f"{cls.__module__}.{cls.__qualname__}", **said}


def _nothing(_: object) -> None:
    return None


def value_of(stored: Any) -> Any:
    """A value that `json_of` wrote: openai's own types where it is installed, or else dicts."""
    if isinstance(stored, list):
        return [value_of(item) for item in cast("list[Any]", stored)]
    if not isinstance(stored, dict):
        return stored
    fields = dict(cast("dict[str, Any]", stored))
    name = fields.pop(_TYPE, None)
    if name == _NOT_TYPE:
        return {k: value_of(v) for k, v in fields.get(_NOT_TYPE, {}).items()}
    cls = _provider_type(name) if isinstance(name, str) else None
    if cls is None:
        return {k: value_of(v) for k, v in fields.items()}
    return cls.model_construct(**fields)


@functools.cache
def _provider_type(name: str) -> type[BaseModel] | None:
    # A cassette is data: nothing but what the provider says is looked up by name.
    if not _PROVIDER.fullmatch(name):
        return None
    module, _, cls = name.rpartition(".")
    try:
        found: object = getattr(importlib.import_module(module), cls, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def message_json(message: ChatMessage, *, asked: bool = False) -> dict[str, Any]:
    """A message.

    Args:
        message: the message.
        asked: whether it is a part of a request: images and the like are then told apart by
            their hash only.
    """
    blocks = [
        {
            name: _hashed(value) if asked and name in _BLOBS else value
            for name, value in block.model_dump(
                mode="json", exclude_none=True, warnings=False, fallback=_nothing
            ).items()
        }
        for block in message.blocks
    ]
    extra = json_of(message.additional_kwargs)
    return kept({"role": message.role.value, "blocks": blocks, "additional_kwargs": extra})


_BLOBS = frozenset({"image", "audio", "video", "data"})


def _hashed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()


def chunk_json(answer: Answer) -> dict[str, Any]:
    """A chunk, or a whole answer.

    Args:
        answer: what the LLM gave.
    """
    extra = cast("dict[str, Any]", answer.additional_kwargs)  # pyright: ignore[reportUnknownMemberType]
    said: dict[str, Any] = {
        "delta": answer.delta,
        "additional_kwargs": kept(json_of(extra)),
        "raw": kept(json_of(answer.raw)),
    }
    if answer.logprobs is not None:
        said["logprobs"] = [
            [probable.model_dump(mode="json") for probable in token] for token in answer.logprobs
        ]
    if isinstance(answer, CompletionResponse):
        return said | {"text": answer.text}
    return said | {"message": message_json(answer.message)}


def answer_of(stored: Mapping[str, Any]) -> Answer:
    """The chunk, or the whole answer, that `chunk_json` wrote.

    Args:
        stored: what was written.
    """
    fields: dict[str, Any] = {
        "delta": stored.get("delta"),
        "raw": value_of(stored.get("raw")),
        "additional_kwargs": value_of(stored.get("additional_kwargs", {})),
        "logprobs": stored.get("logprobs"),
    }
    if "message" not in stored:
        return CompletionResponse(text=stored.get("text", ""), **fields)
    message: dict[str, Any] = dict(stored["message"])
    extra = value_of(message.pop("additional_kwargs", {}))
    return ChatResponse(message=ChatMessage(**message, additional_kwargs=extra), **fields)
