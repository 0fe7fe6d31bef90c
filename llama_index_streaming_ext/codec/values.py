"""Values inside of events, to JSON and back.

JSON's own types are written as they are. Everything else is an object with a single key that
begins with `$`, and an object of the user's that looks like one is escaped with a second `$`:

    $event                       [kind, payload]: the event
    $error                       [type name, message]: a builtin exception, or else an
                                 UnreconstructedException
    $model                       [name, fields]: a data model of core (ChatMessage, ToolOutput, a
                                 node, ...); or [name or "", fields, type name]: a subclass of such
                                 a model, or any other model or dataclass, which comes back as a
                                 dict unless the annotation of its field says what it is
    $lost                        [type name, text]: Unserialisable
    $bytes, $base64              bytes that are UTF-8, and that are not
    $float, $int                 NaN and infinities; integers too long for decimal digits
    $tuple, $set, $frozenset     a list of the members
    $dict                        pairs: a dict with keys that are not strings
    $datetime, $date, $time, $timedelta, $decimal, $uuid, $path, $url

An enum is written as its value, and is an enum again where the annotation of its field says so.
No class is ever found by a name in the data: names are looked up in closed tables only.
"""

from __future__ import annotations

import base64
import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from io import BytesIO
from pathlib import PurePath
from typing import Any, TypeAlias, cast
from uuid import UUID

from llama_index.core import schema
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms import types as llms
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.memory.types import BaseMemory
from llama_index.core.tools import ToolOutput
from pydantic import (
    AnyUrl,
    BaseModel,
    RootModel,
)
from workflows.events import Event, UnreconstructedException

from llama_index_streaming_ext.upstream.event_data import DYNAMIC, EXCEPTION, RESULT

Json: TypeAlias = Any
"""A JSON value, as `json.loads` returns it."""

MAX_DEPTH = 64
"""Values nested deeper than this are replaced: a reader has a stack too."""

_MAX_TEXT = 200
_MAX_BITS = 2_120  # 638 digits; 640 is the lowest limit that Python lets a program set
KEPT_PRIVATE = (DYNAMIC, RESULT, EXCEPTION)
"""The private attributes of events that are written; no other is."""


@dataclass(frozen=True, slots=True)
class Unserialisable:
    """The stand-in, in a decoded event, for a value that has no JSON form.

    Attributes:
        type_name: qualified name of the class of the value.
        text: its repr, cut to 200 characters, or in `<...>` why there is none.
    """

    type_name: str
    text: str


def qualified_name(cls: type) -> str:
    """Return `module.Qualname`, the name that a class has in records."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _marker(value: object, text: str | None = None) -> Json:
    if text is None:
        try:
            text = repr(value)[:_MAX_TEXT]
        except Exception:  # a __repr__ is the user's code: it may raise anything
            text = "<its repr failed>"
    return {"$lost": [qualified_name(type(value)), text]}


class Writer:
    """The writer of one record: it turns values into JSON.

    Args:
        root: the event of the record.
        write_event: gives `[kind, payload]` of an event that is nested in it.
    """

    def __init__(self, root: Event, write_event: Callable[[Writer, Event], Json]) -> None:
        self._path = {id(root)}
        self.write_event = write_event

    def value(self, value: object) -> Json:
        """Return the JSON of a value. Never raises: what cannot be written becomes a marker."""
        if value is None or type(value) in (str, bool):
            return value
        if id(value) in self._path:
            return _marker(value, "<circular reference>")
        if len(self._path) >= MAX_DEPTH:
            return _marker(value, f"<nested deeper than {MAX_DEPTH} levels>")
        self._path.add(id(value))
        try:
            cls: type[object] = type(value)
            return _rule_for(cls)(self, value)
        except Exception:  # U36: the value's own code runs here and may raise anything
            return _marker(value)
        finally:
            self._path.discard(id(value))

    def model_fields(self, model: BaseModel) -> dict[str, Json]:
        """Return the fields of a model by name, without those that upstream excludes."""
        state = model.__dict__
        written: dict[str, Json] = {}
        for name, field in type(model).__pydantic_fields__.items():
            if field.exclude or name not in state:
                continue
            if state[name] is not None or field.default is not None:
                written[name] = self.value(state[name])
        private = model.__pydantic_private__ or {}
        for name in KEPT_PRIVATE:
            kept = private.get(name)
            if kept is not None and not (name == DYNAMIC and not kept):
                written[name] = self.value(kept)
        return written


_UNHASHABLE = frozenset(("$model", "$dict", "$set", "$event"))

_Rule: TypeAlias = Callable[[Writer, Any], Json]


def _write_int(_: Writer, value: int) -> Json:
    return value if value.bit_length() <= _MAX_BITS else {"$int": hex(value)}


def _write_float(_: Writer, value: float) -> Json:
    return float(value) if math.isfinite(value) else {"$float": float.__repr__(value)}


def _write_dict(writer: Writer, value: dict[Any, Any]) -> Json:
    # `list`: another thread may add a key meanwhile (U3: events are passed by reference)
    items = [(k.value if isinstance(k, Enum) else k, v) for k, v in list(value.items())]
    if not all(isinstance(key, str) for key, _ in items):
        return {"$dict": [[_hashable(writer, key), writer.value(v)] for key, v in items]}
    if len(items) == 1 and items[0][0].startswith("$"):
        return {"$" + items[0][0]: writer.value(items[0][1])}
    return {key: writer.value(v) for key, v in items}


def _hashable(writer: Writer, value: Any) -> Json:
    """Write a key or a member of a set: it has to be hashable again when it is read."""
    written = writer.value(value)
    return written if _reads_hashable(written) else _marker(value)


def _reads_hashable(written: Json) -> bool:
    if not isinstance(written, dict):
        return not isinstance(written, list)
    members = cast("dict[str, Json]", written)
    tag = next(iter(members), "")
    if len(members) != 1 or not tag.startswith("$") or tag.startswith("$$"):
        return False
    return all(map(_reads_hashable, members[tag])) if tag == "$tuple" else tag not in _UNHASHABLE


def _write_list(writer: Writer, value: list[Any]) -> Json:
    return [writer.value(item) for item in list(value)]


def _write_set(writer: Writer, value: set[Any] | frozenset[Any]) -> Json:
    members = [_hashable(writer, item) for item in list(value)]
    # the order of a set differs from process to process; the bytes may not
    members.sort(key=json.dumps)
    return {"$frozenset" if isinstance(value, frozenset) else "$set": members}


def _write_bytes(_: Writer, value: bytes | bytearray | memoryview) -> Json:
    try:
        return {"$bytes": bytes(value).decode()}
    except UnicodeDecodeError:
        return {"$base64": base64.b64encode(value).decode()}


def _write_error(_: Writer, error: BaseException) -> Json:
    name = qualified_name(type(error))
    if isinstance(error, UnreconstructedException):
        name = error.original_type or name  # so that a second trip changes nothing
    try:
        message = str(error)
    except Exception:  # a __str__ is the user's code, and an exception stays one without it
        message = "<its str failed>"
    return {"$error": [name, message]}


def _write_model(writer: Writer, model: BaseModel) -> Json:
    cls = type(model)
    extra = {key: writer.value(v) for key, v in (model.__pydantic_extra__ or {}).items()}
    named = writer.model_fields(model) | extra
    if cls in _MODEL_NAMES:
        return {"$model": [_MODEL_NAMES[cls], named]}
    # Some integrations have subclasses of core's models: they come back as core's.
    known = [_MODEL_NAMES[base] for base in cls.__mro__ if base in _MODEL_NAMES]
    return {"$model": [known[0] if known else "", named, qualified_name(cls)]}


def _write_root_model(writer: Writer, model: RootModel[Any]) -> Json:
    return writer.value(model.root)


def _write_other(writer: Writer, value: Any) -> Json:
    if is_dataclass(value):
        named = {f.name: writer.value(getattr(value, f.name)) for f in fields(value)}
        return {"$model": ["", named, qualified_name(type(value))]}
    cls = cast("type[object]", type(value))
    if hasattr(cls, "dtype") and hasattr(cls, "tolist"):
        plain: object = value.tolist()  # numpy's arrays and scalars, torch's tensors
        if type(plain) in (bool, int, float, str, list):
            return writer.value(plain)
    return _marker(value)


def _write_live(_: Writer, value: Any) -> Json:
    # An LLM or a memory is no data, and its repr may show an API key.
    return _marker(value, "<a live object>")


def _write_text(tag: str, text: Callable[[Any], Json]) -> _Rule:
    return lambda _, value: {tag: text(value)}


# The first row that fits wins: an enum may be a str, a datetime is a date, a bool is an int.
_RULES: tuple[tuple[tuple[type, ...], _Rule], ...] = (
    ((Unserialisable,), lambda _, value: {"$lost": [value.type_name, value.text]}),
    ((Enum,), lambda writer, value: writer.value(value.value)),
    ((bool, str), lambda _, value: value),
    ((int,), _write_int),
    ((float,), _write_float),
    ((Event,), lambda writer, value: {"$event": writer.write_event(writer, value)}),
    ((BaseException,), _write_error),
    ((BaseLLM, BaseMemory, BaseEmbedding), _write_live),
    ((RootModel,), _write_root_model),
    ((BaseModel,), _write_model),
    ((dict,), _write_dict),
    ((list, deque), _write_list),
    ((tuple,), lambda writer, value: {"$tuple": _write_list(writer, value)}),
    ((set, frozenset), _write_set),
    ((bytes, bytearray, memoryview), _write_bytes),
    ((BytesIO,), lambda writer, value: _write_bytes(writer, value.getvalue())),
    ((datetime,), _write_text("$datetime", datetime.isoformat)),
    ((date,), _write_text("$date", date.isoformat)),
    ((time,), _write_text("$time", time.isoformat)),
    ((timedelta,), _write_text("$timedelta", lambda v: [v.days, v.seconds, v.microseconds])),
    ((Decimal,), _write_text("$decimal", str)),
    ((UUID,), _write_text("$uuid", str)),
    ((PurePath,), _write_text("$path", str)),
    ((AnyUrl,), _write_text("$url", str)),
)


@lru_cache(maxsize=1024)
def _rule_for(cls: type) -> _Rule:
    return next((rule for classes, rule in _RULES if issubclass(cls, classes)), _write_other)


MODELS: dict[str, type[BaseModel]] = {
    "message": llms.ChatMessage,
    "text": llms.TextBlock,
    "image": llms.ImageBlock,
    "audio": llms.AudioBlock,
    "video": llms.VideoBlock,
    "document": llms.DocumentBlock,
    "cache": llms.CachePoint,
    "cache_control": llms.CacheControl,
    "citable": llms.CitableBlock,
    "citation": llms.CitationBlock,
    "thinking": llms.ThinkingBlock,
    "tool_call": llms.ToolCallBlock,
    "tool_selection": ToolSelection,
    "tool_output": ToolOutput,
    "chat_response": llms.ChatResponse,
    "completion_response": llms.CompletionResponse,
    "logprob": llms.LogProb,
    "scored_node": schema.NodeWithScore,
    "related_node": schema.RelatedNodeInfo,
    "media": schema.MediaResource,
    "node": schema.Node,
    "node_text": schema.TextNode,
    "node_image": schema.ImageNode,
    "node_index": schema.IndexNode,
    "node_document": schema.Document,
    "node_image_document": schema.ImageDocument,
}
_MODEL_NAMES: dict[type, str] = {cls: name for name, cls in MODELS.items()}
