"""JSON, as `codec.values` writes it, back to values.

Nothing is imported, called or instantiated by a name in the data: names are looked up in closed
tables (the registry of events, core's data models, the builtin exceptions).
"""

from __future__ import annotations

import base64
import builtins
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

from llama_index.core.schema import BaseNode
from pydantic import (
    AnyUrl,
    BaseModel,
    ConfigDict,
    InstanceOf,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticUndefinedAnnotation
from workflows.events import Event, UnreconstructedException

from llama_index_streaming_ext.codec.values import KEPT_PRIVATE, MODELS, Json, Unserialisable
from llama_index_streaming_ext.upstream.event_data import DYNAMIC

_M = TypeVar("_M", bound=BaseModel)


class Malformed(ValueError):
    """JSON that is not what the writer writes. `field` is the dotted path to it."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(f"field '{field}': {reason}" if field else reason)
        self.reason = reason
        self.field = field

    def inside(self, name: str) -> Malformed:
        """Return the same error, as seen from the model that has the field `name`."""
        return Malformed(self.reason, f"{name}.{self.field}" if self.field else name)


class Reader:
    """The reader of one record: it turns JSON that a `Writer` wrote back into values.

    Args:
        read_event: builds the event that is nested as `[kind, payload]`, with this reader.

    Attributes:
        stand_ins: how many values so far are not what they were: `Unserialisable`, events of
            unknown kinds, dicts in place of a model. A field may hold such a one against its
            annotation: it was written in good order, and nothing may be lost.
    """

    def __init__(self, read_event: Callable[[Reader, str, Json], Event]) -> None:
        self.read_event = read_event
        self.stand_ins = 0

    def value(self, data: Json) -> Any:
        """Return the value that was written.

        Raises:
            Malformed: the JSON is nothing that a `Writer` writes.
        """
        if isinstance(data, list):
            return [self.value(item) for item in cast("list[Json]", data)]
        if not isinstance(data, dict):
            return data
        members = cast("dict[str, Json]", data)
        if len(members) == 1:
            ((key, held),) = members.items()
            if key.startswith("$$"):
                return {key[1:]: self.value(held)}
            if key.startswith("$"):
                return self._tagged(key, held)
        return {key: self.value(held) for key, held in members.items()}

    def _tagged(self, tag: str, held: Json) -> Any:
        read = _TAGS.get(tag)
        if read is None:
            raise Malformed(f"'{tag}' is no tag of this version")
        try:
            return read(self, held)
        except (Malformed, RecursionError):
            raise
        except Exception as error:  # `Decimal`, `UUID`, ...: each complains in its own way
            raise Malformed(f"'{tag}' holds something else than it should") from error

    def model(self, cls: type[_M], data: Json) -> _M:
        """Return a model with the fields in `data`.

        Fields are held against their annotations, but neither the model's own validators nor its
        `__init__` run: what was valid when it was written is restored, not judged again (a file
        that a path names may be gone; core's ChatMessage would append its images a second time).

        Raises:
            Malformed: a field is missing, or is not of its type.
        """
        if not isinstance(data, dict):
            raise Malformed("an object with fields was expected")
        rest = dict(cast("dict[str, Json]", data))
        private = {name: rest.pop(name) for name in KEPT_PRIVATE if name in rest}
        state: dict[str, Any] = {}
        for name, field in cls.__pydantic_fields__.items():
            if name in rest:
                state[name] = self._field(cls, name, rest.pop(name))
            elif not field.is_required():
                state[name] = field.get_default(call_default_factory=True, validated_data=state)
            elif field.exclude:
                state[name] = None
            else:
                raise Malformed("is missing", name)
        # Fields of a newer version stay readable, as an event's dynamic attributes.
        extra = {name: self._inside(name, held) for name, held in rest.items()}
        try:
            model = new_model(cls, state)
        except Exception as error:  # `model_post_init` is the user's code
            raise Malformed(f"{cls.__name__} cannot be made of its fields") from error
        self._set_private(model, private, extra)
        return model

    def _field(self, cls: type[BaseModel], name: str, data: Json) -> Any:
        stand_ins = self.stand_ins
        value = self._inside(name, data)
        adapter = _adapter(cls, name)
        if adapter is None:
            return value
        try:
            return adapter.validate_python(value, strict=False, by_alias=True, by_name=True)
        except RecursionError:
            raise
        except Exception as error:  # a model of the user's has validators that raise anything
            problem = _problem(name, error)
            if problem is None or self.stand_ins > stand_ins:
                return value
            raise problem from error

    def _inside(self, name: str, data: Json) -> Any:
        try:
            return self.value(data)
        except Malformed as error:
            raise error.inside(name) from error

    def _set_private(
        self, model: BaseModel, private: dict[str, Json], extra: dict[str, Any]
    ) -> None:
        held = model.__pydantic_private__
        for name, data in private.items():
            if held is None or name not in held:
                raise Malformed(f"{type(model).__name__} has no such attribute", name)
            held[name] = self._inside(name, data)
        if isinstance(model, Event):
            dynamic = held and held[DYNAMIC]
            if not isinstance(dynamic, dict):
                raise Malformed("an object was expected", DYNAMIC)
            cast("dict[str, Any]", dynamic).update(extra)


def _problem(name: str, error: Exception) -> Malformed | None:
    if not isinstance(error, ValidationError):
        return Malformed(f"its validator raised {type(error).__name__}", name)
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if any(problem["type"].startswith("path_not") for problem in problems):
        return None  # a file that was there when the event was written may be gone by now
    place = ".".join(str(part) for part in (name, *problems[0]["loc"]))
    return Malformed(problems[0]["msg"], place)


def new_model(cls: type[_M], state: dict[str, Any], private: dict[str, Any] | None = None) -> _M:
    """Return a model with these fields, as pydantic's `model_construct` does.

    `model_construct` itself is not used: it knows aliases and not names, and an event of upstream
    takes what it does not know by `__setattr__`.

    Args:
        cls: the class, exactly.
        state: a value for every field.
        private: a value for every private attribute; without it, they get their defaults and
            `model_post_init` runs, which takes longer than all the rest.
    """
    model = cls.__new__(cls)
    object.__setattr__(model, "__dict__", state)
    object.__setattr__(model, "__pydantic_fields_set__", set(state))
    object.__setattr__(model, "__pydantic_extra__", None)
    object.__setattr__(model, "__pydantic_private__", private)
    if private is None and cls.__pydantic_post_init__:
        model.model_post_init(None)
    return model


def _read_model(reader: Reader, held: Json) -> Any:
    name, data, *is_another = held
    cls = MODELS.get(name)
    if cls is None or is_another:
        reader.stand_ins += 1
    if cls is not None:
        return reader.model(cls, data)
    return {str(key): reader.value(member) for key, member in data.items()}


def _read_error(_: Reader, held: Json) -> Exception:
    name, message = held
    if not (isinstance(name, str) and isinstance(message, str)):
        raise Malformed("a type name and a message were expected")
    cls = vars(builtins).get(name.removeprefix("builtins."))
    if not (name.startswith("builtins.") and isinstance(cls, type) and issubclass(cls, Exception)):
        return UnreconstructedException(message, original_type=name)
    try:
        error = cls(_key(message) if cls is KeyError else message)
        if str(error) == message:
            return error
    except (TypeError, ValueError):
        pass  # it takes other arguments than a message, as UnicodeDecodeError does
    return UnreconstructedException(message, original_type=name)


def _key(message: str) -> str | int:
    # str(KeyError(key)) is the repr of the key. No `literal_eval`: it warns, and it may run long.
    return int(message) if message.isdecimal() else message[1:-1]


def _read_lost(reader: Reader, held: Json) -> Unserialisable:
    type_name, text = held
    if not (isinstance(type_name, str) and isinstance(text, str)):
        raise Malformed("a type name and a text were expected")
    reader.stand_ins += 1
    return Unserialisable(type_name, text)


def _read_list(reader: Reader, held: Json) -> list[Any]:
    if not isinstance(held, list):
        raise Malformed("a list was expected")
    return reader.value(held)


_TAGS: dict[str, Callable[[Reader, Json], Any]] = {
    "$event": lambda reader, held: reader.read_event(reader, *held),
    "$error": _read_error,
    "$model": _read_model,
    "$lost": _read_lost,
    "$tuple": lambda reader, held: tuple(_read_list(reader, held)),
    "$set": lambda reader, held: set(_read_list(reader, held)),
    "$frozenset": lambda reader, held: frozenset(_read_list(reader, held)),
    "$dict": lambda reader, held: {reader.value(k): reader.value(v) for k, v in held},
    "$bytes": lambda _, held: held.encode(),
    "$base64": lambda _, held: base64.b64decode(held, validate=True),
    "$float": lambda _, held: float(held),
    "$int": lambda _, held: int(held, 16),
    "$datetime": lambda _, held: datetime.fromisoformat(held),
    "$date": lambda _, held: date.fromisoformat(held),
    "$time": lambda _, held: time.fromisoformat(held),
    "$timedelta": lambda _, held: timedelta(*held),
    "$decimal": lambda _, held: Decimal(held),
    "$uuid": lambda _, held: UUID(held),
    "$path": lambda _, held: Path(held),
    "$url": lambda _, held: AnyUrl(held),
}


@cache
def _adapter(cls: type[BaseModel], name: str) -> TypeAdapter[Any] | None:
    """Return the validator of a field's annotation; None if pydantic has none."""
    field = cls.__pydantic_fields__[name]
    annotation: Any = _as_built(field.annotation)
    if annotation is field.annotation and field.metadata:
        annotation = Annotated[(annotation, *field.metadata)]
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        pass  # a model, a dataclass or a typed dict has a config of its own
    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, PydanticUndefinedAnnotation):
        return None


_BUILT = (Event, BaseException, BaseNode, *MODELS.values())


def _as_built(annotation: Any) -> Any:
    """Return an annotation that only checks the class of objects that are built already.

    Upstream's `SerializableEvent` and `SerializableException` validate by importing the class that
    the data names. Core's models validate anew even where they are given an instance.
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is None:
        tested = isinstance(annotation, type) and issubclass(annotation, _BUILT)
        return InstanceOf[cast("Any", annotation)] if tested else cast("Any", annotation)
    inner = tuple(_as_built(arg) for arg in args)
    if all(new is old for new, old in zip(inner, args, strict=True)):
        return annotation
    if origin is Annotated:
        return inner[0]
    if origin is type:
        return type
    return Union[inner] if origin in (Union, UnionType) else origin[inner]  # noqa: UP007
