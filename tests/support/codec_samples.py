"""Events and values that the tests of the codec share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic import field_validator as validates
from workflows.events import (
    SerializableEventType,
    SerializableException,
)

from llama_index_streaming_ext.codec import decode, encode, register_event, registered_events
from llama_index_streaming_ext.events import AgentStream, Event, StopEvent


class Colour(Enum):
    """An enum of a user's."""

    RED = "red"


@dataclass
class Point:
    """A dataclass of a user's."""

    x: int
    y: int


class Shape(BaseModel):
    """A model of a user's, with a field that its JSON calls otherwise."""

    name: str = Field(alias="label")
    model_config = ConfigDict(populate_by_name=True)


class Circle(Shape):
    """A subclass, in a field that is annotated with its base."""

    radius: int


class Strict(BaseModel):
    """A model that the fields of a `Circle` do not fit."""

    must: int


class Opaque:
    """A class that pydantic knows nothing of."""


@dataclass
class Holder:
    """A dataclass that pydantic cannot validate on its own."""

    held: Opaque


class Moody(Event):
    """A registered event with typed fields of many kinds."""

    colour: Colour = Colour.RED
    at: datetime | None = None
    price: Decimal = Decimal(0)
    point: Point | None = None
    shape: Shape | None = None
    strict: Strict | None = None
    tags: set[str] = Field(default_factory=set[str])
    limit: int = Field(default=1, gt=0)
    holder: Holder | None = None
    kept_out: Any = Field(exclude=True)
    _private: list[int] = PrivateAttr(default_factory=lambda: [1])

    @validates("limit")
    @classmethod
    def _judge(cls, value: int) -> int:
        raise AssertionError("validators judge new events, not restored ones")

    def model_post_init(self, context: Any, /) -> None:
        """Refuse to be made in one case."""
        if self.price < 0:
            raise RuntimeError("no")


class Answer(StopEvent):
    """A registered stop event with a field and an `__init__` of its own."""

    score: float

    def __init__(self, *, points: int, **kwargs: Any) -> None:
        super().__init__(score=points / 10, **kwargs)


class Failure(BaseModel):
    """A model of a user's whose field upstream validates by importing the class named."""

    error: SerializableException


class Wrapped(Event):
    """Has such a model as a field."""

    failure: Failure
    cls: SerializableEventType | None = None


class Stranger(Event):
    """An event that nobody registered."""

    text: str


class OwnStream(AgentStream):
    """An unregistered subclass of a registered class."""


register_event(Moody, "test.moody")
register_event(Answer, "test.answer")
register_event(Wrapped, "test.wrapped")


def there_and_back(event: Event) -> Any:
    """Give what a reader of the record sees."""
    return decode(*encode(event))


def result_of(value: object) -> Any:
    """Give what a reader sees of the result of a workflow."""
    return there_and_back(StopEvent(result=value)).result


def token(**fields: Any) -> AgentStream:
    """Give an AgentStream; fields that are not said are of a plain token."""
    said: dict[str, Any] = {"delta": "lo", "response": "hello", "current_agent_name": "me"}
    said["raw"] = {"id": 1}
    return AgentStream(**said | fields)


keys = st.sampled_from(["$event", "$$event", "$lost", "$", "", "a", "d", "_data", "\ud800"])
scalars = st.integers() | st.floats(allow_nan=False) | st.text(st.characters())


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give lists and dicts of values."""
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)


json_like = st.recursive(st.none() | st.booleans() | scalars, containers, max_leaves=12)


CORE_EVENTS = [c for k, c in registered_events().items() if not k.startswith("test.")]
