"""The certain part of a pydantic object while a model still writes its JSON.

What is shown is always a prefix of the object in the end: fields appear, strings and lists grow.
Fields that are complete are validated and dumped as the whole object will be, so a coerced or
cleaned value shows as it will be. The field that is being written shows as far as it goes only
where nothing can change it any more: plain strings, and lists, dicts and models of such.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from annotated_types import MaxLen, MinLen
from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import from_json

# A number at the end may go on.
_NUMBER = re.compile(r"([:\[,]\s*)-?\d[-+.\deE]*$")
# A text is parsed at each piece while it is that short, and then again when it has grown by a
# sixteenth of what is above that, so that all is linear work.
_SHORT = 256
_GROWTH = 16
_CHANGE_STRINGS = ("str_strip_whitespace", "str_to_lower", "str_to_upper")


class _Missing:
    """Nothing is certain yet."""


_MISSING = _Missing()


class GrowingObject:
    """An object whose JSON is being written.

    At first every piece is looked at, later only when the text has grown by about a sixteenth: all
    together costs a constant times the length of the text.

    Args:
        cls: the class of the object.
    """

    def __init__(self, cls: type[BaseModel]) -> None:
        self._text = ""
        self._pieces: list[str] = []
        self._length = 0
        self._parse_at = 1
        self._object = PartialModel(cls)
        self._newest: dict[str, Any] = {}

    def feed(self, piece: str) -> dict[str, Any] | None:
        """Take in the next piece of the text, from the first brace on.

        Returns:
            What was certain before, where there is more now; so it is never the whole object.
        """
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length < self._parse_at:
            return None
        self._text += "".join(self._pieces)
        self._pieces.clear()
        self._parse_at = self._length + 1 + max(self._length - _SHORT, 0) // _GROWTH
        return self._grown(self._object.shown(_parsed(self._text)))

    def _grown(self, now: dict[str, Any]) -> dict[str, Any] | None:
        before = self._newest
        if now == before:
            return None
        self._newest = now
        return before or None


class PartialModel:
    """A model's object of which more and more is known.

    Nothing of it is certain before the end where the class has validators or serialisers of the
    whole object or a `model_post_init`, is a RootModel, or is frozen.

    Args:
        cls: the class of the object.
    """

    def __init__(self, cls: type[BaseModel]) -> None:
        self._cls = cls
        self._fields = {} if _is_opaque(cls) else _fields_by_key(cls)
        self._object = cls.model_construct() if self._fields else None
        self._done: dict[str, Any] = {}
        self._stopped = False

    @property
    def known(self) -> bool:
        """True if anything of it can be certain before the end."""
        return self._object is not None

    def shown(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Return the certain part of the object, given the text so far.

        Args:
            written: the fields as JSON values, of which the last may not be complete.
        """
        if not written:
            return {}
        *complete, last = written
        for key in complete:
            self._complete(key, written)
        if self._stopped or last not in self._fields:
            return dict(self._done)
        name = self._fields[last]
        dumped = _dumped_name(self._cls, name)
        value = self._open(name, written[last])
        if dumped in self._done or value is _MISSING:
            return dict(self._done)
        return {**self._done, dumped: value}

    def _complete(self, key: str, written: Mapping[str, Any]) -> None:
        name = self._fields.get(key)
        if name is None or self._stopped or _dumped_name(self._cls, name) in self._done:
            return
        try:
            self._cls.__pydantic_validator__.validate_assignment(self._object, name, written[key])
        except ValidationError:
            # The whole object will not be valid either.
            self._stopped = True
            return
        self._done.update(cast(BaseModel, self._object).model_dump(mode="json", include={name}))

    def _open(self, name: str, value: Any) -> Any:
        field = self._cls.model_fields[name]
        if name in _changed(self._cls) or field.exclude:
            return _MISSING
        if not all(_keeps_the_value(said) for said in field.metadata):
            return _MISSING
        return _open_value(field.annotation, value)


def _parsed(text: str) -> dict[str, Any]:
    try:
        whole = from_json(_NUMBER.sub(r"\1", text), allow_partial="trailing-strings")
    except ValueError:
        return {}
    return cast("dict[str, Any]", whole) if isinstance(whole, dict) else {}


def _open_value(annotation: Any, value: Any) -> Any:
    """Return the certain part of a value that may go on."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return value
    if annotation is str:
        return value if isinstance(value, str) else _MISSING
    if origin is Annotated:
        kept = all(_keeps_the_value(said) for said in args[1:])
        return _open_value(args[0], value) if kept else _MISSING
    if origin in (Union, UnionType):
        others = [arg for arg in args if arg is not NoneType]
        return _open_value(others[0], value) if len(others) == 1 else _MISSING
    return _open_container(annotation, origin, args, value)


def _open_container(annotation: Any, origin: Any, args: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, list) and origin in (list, Sequence):
        return _open_list(args[0], cast("list[Any]", value))
    if not isinstance(value, dict):
        return _MISSING
    written = cast("dict[str, Any]", value)
    if origin in (dict, Mapping) and args[0] is str:
        return _open_dict(args[1], written)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        partial = PartialModel(annotation)
        return partial.shown(written) if partial.known else _MISSING
    return _MISSING


def _open_list(item: Any, values: list[Any]) -> Any:
    certain = _closed_value(list[item], values[:-1])
    if certain is _MISSING or not values:
        return certain
    last = _open_value(item, values[-1])
    return certain if last is _MISSING else [*certain, last]


def _open_dict(item: Any, values: dict[str, Any]) -> Any:
    if not values:
        return {}
    *complete, last = values
    certain = _closed_value(dict[str, item], {key: values[key] for key in complete})
    if certain is _MISSING:
        return certain
    value = _open_value(item, values[last])
    return certain if value is _MISSING else {**certain, last: value}


def _closed_value(annotation: Any, value: Any) -> Any:
    adapter = _adapter(annotation)
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json")
    except ValidationError:
        return _MISSING


@functools.lru_cache(maxsize=32)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


# What a class says of its fields


def _is_opaque(cls: type[BaseModel]) -> bool:
    """Return True if the whole object decides what becomes of its fields."""
    said = cls.__pydantic_decorators__
    whole = said.model_validators or said.model_serializers or said.root_validators
    if whole or issubclass(cls, RootModel):
        return True
    return cls.__pydantic_post_init__ is not None or bool(cls.model_config.get("frozen"))


def _fields_by_key(cls: type[BaseModel]) -> dict[str, str]:
    """The names of the fields, by the keys that JSON has for them."""
    by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
    fields: dict[str, str] = {}
    for name, field in cls.model_fields.items():
        key = field.validation_alias or name
        if isinstance(key, str) and not field.frozen:
            fields[key] = name
        if by_name and not field.frozen:
            fields[name] = name
    return fields


def _dumped_name(cls: type[BaseModel], name: str) -> str:
    alias = cls.model_fields[name].serialization_alias
    return alias if alias and cls.model_config.get("serialize_by_alias") else name


def _changed(cls: type[BaseModel]) -> set[str]:
    """The fields that validators or serialisers of their own may change."""
    said = cls.__pydantic_decorators__
    if any(cls.model_config.get(option) for option in _CHANGE_STRINGS):
        return set(cls.model_fields)
    changers = [
        *said.validators.values(),
        *said.field_validators.values(),
        *said.field_serializers.values(),
    ]
    names = {name for changer in changers for name in changer.info.fields}
    return set(cls.model_fields) if "*" in names else names


def _keeps_the_value(metadata: Any) -> bool:
    """Return True if what is said of a type only describes or checks its values."""
    if isinstance(metadata, FieldInfo):
        return all(_keeps_the_value(said) for said in metadata.metadata)
    return isinstance(metadata, str | MinLen | MaxLen)
