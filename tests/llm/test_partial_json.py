"""What is certain of an object while its JSON is written."""

from __future__ import annotations

import itertools
import json
from datetime import date
from enum import Enum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    field_serializer,
    field_validator,
    model_validator,
)

from llama_index_streaming_ext.llm.partial_json import GrowingObject


class Colour(Enum):
    """A field that is coerced."""

    RED = "red"
    REDDISH = "reddish"


class Sight(BaseModel):
    """A nested object."""

    title: str
    stars: int = 0


class City(BaseModel):
    """Fields of many kinds."""

    name: str
    sights: list[Sight] = []
    nicknames: dict[str, str] = {}
    motto: str | None = None
    colour: Colour | None = None
    founded: date | None = None
    people: int = 0
    tags: list[Annotated[str, Field(max_length=20)]] = []
    anything: Any = None
    long_name: str = Field(default="", alias="longName")
    secret: str = Field(default="", exclude=True)
    shouted: Annotated[str, AfterValidator(str.upper)] = ""


def growth(cls: type[BaseModel], *pieces: str) -> list[dict[str, Any]]:
    """What is said of an object whose JSON comes in these pieces."""
    growing = GrowingObject(cls)
    said = [growing.feed(piece) for piece in pieces]
    return [so_far for so_far in said if so_far is not None]


def is_prefix(part: Any, whole: Any) -> bool:
    """Whether a JSON value can grow to be another."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_prefix(part[key], whole[key]) for key in part)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(part, list) and isinstance(whole, list):
        short = len(part) <= len(whole)  # pyright: ignore[reportUnknownArgumentType]
        return short and all(is_prefix(a, b) for a, b in zip(part, whole, strict=False))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    return part == whole


TEXT = st.text(max_size=8)
WRITTEN = st.fixed_dictionaries(
    {"name": TEXT},
    optional={
        "sights": st.lists(
            st.fixed_dictionaries({"title": TEXT}, optional={"stars": st.integers()}), max_size=3
        ),
        "nicknames": st.dictionaries(TEXT, TEXT, max_size=3),
        "motto": st.none() | TEXT,
        "colour": st.none() | st.sampled_from(["red", "reddish"]),
        "founded": st.none() | st.dates().map(str),
        "people": st.integers() | st.integers(0, 9).map(float) | st.integers().map(str),
        "tags": st.lists(TEXT, max_size=3),
        "anything": st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(-9, 9) | TEXT,
            lambda values: st.lists(values, max_size=2) | st.dictionaries(TEXT, values, max_size=2),
            max_leaves=4,
        ),
        "longName": TEXT,
        "secret": TEXT,
        "shouted": TEXT,
        "unknown": TEXT,
    },
)


@given(written=WRITTEN, order=st.randoms(use_true_random=False), size=st.integers(1, 7))
def test_what_is_said_is_a_prefix_of_the_object(
    written: dict[str, Any], order: Any, size: int
) -> None:
    """Whatever is written, in whatever order and pieces: each is less than the next and the end."""
    keys = list(written)
    order.shuffle(keys)
    text = json.dumps({key: written[key] for key in keys}, ensure_ascii=size % 2 == 0)
    said = growth(City, *(text[at : at + size] for at in range(0, len(text), size)))
    whole = json.loads(City.model_validate_json(text).model_dump_json())
    for part, more in itertools.pairwise([*said, whole]):
        assert part != more
        assert is_prefix(part, more), (part, more)


def test_strings_and_lists_grow() -> None:
    """A string shows as far as it is written; so do the items of a list."""
    said = growth(City, '{"name":"Pa', 'ris","sights":[{"ti', 'tle":"To', 'wer"}', ",{", "}")
    assert said == [
        {"name": "Pa"},
        {"name": "Paris", "sights": [{}]},
        {"name": "Paris", "sights": [{"title": "To"}]},
        {"name": "Paris", "sights": [{"title": "Tower"}]},
    ]


def test_a_number_shows_when_it_is_complete() -> None:
    """12 may be going to be 123."""
    assert growth(City, '{"people":1', "2", '3,"name":"', "x", "y") == [
        {"people": 123, "name": ""},
        {"people": 123, "name": "x"},
    ]


def test_a_coerced_value_shows_when_it_is_complete() -> None:
    """What is red now may be going to be reddish."""
    assert growth(City, '{"colour":"red', 'dish","name":"', "x", "y") == [
        {"colour": "reddish", "name": ""},
        {"colour": "reddish", "name": "x"},
    ]


def test_names_are_those_of_the_dump() -> None:
    """The model writes aliases; the object has names."""
    assert growth(City, '{"longName":"a', "b", "c") == [{"long_name": "a"}, {"long_name": "ab"}]


def test_nothing_more_is_said_once_a_value_is_not_valid() -> None:
    """The object will not be there either."""
    assert growth(City, '{"people":"many",', '"name":"x', "y", "z") == []


def test_text_that_is_no_json_says_nothing() -> None:
    """A model that writes something else is no error here."""
    assert growth(City, "{nonsense", " and more", "}") == []


def test_the_whole_object_is_never_said() -> None:
    """That is for the one who has validated it."""
    assert growth(City, '{"name":"x"', "}") == []
    assert growth(City, '{"name":"x"}') == []


class Whole(BaseModel):
    """Validated as a whole."""

    name: str

    @model_validator(mode="after")
    def check(self) -> Whole:
        """Anything may happen here."""
        return self


class Frozen(BaseModel):
    """Cannot be made piece by piece."""

    model_config = ConfigDict(frozen=True)
    name: str


class Post(BaseModel):
    """Does something when it is there."""

    name: str

    def model_post_init(self, context: Any, /) -> None:
        """Needs all fields."""
        self.name.upper()


class Root(RootModel[dict[str, str]]):
    """Has no fields."""


@pytest.mark.parametrize("cls", [Whole, Frozen, Post, Root])
def test_nothing_is_certain_where_the_whole_object_decides(cls: type[BaseModel]) -> None:
    """Validators of the object, post-init, frozen objects, root models."""
    assert growth(cls, '{"name":"x', "y", "z", '"}') == []


class Cleaned(BaseModel):
    """Fields that are changed."""

    stripped: str = ""
    dumped: str = ""
    constrained: Annotated[str, StringConstraints(to_lower=True)] = ""
    last: str = ""

    @field_validator("stripped")
    @classmethod
    def strip(cls, value: str) -> str:
        """Changes it."""
        return value.strip()

    @field_serializer("dumped")
    def shout(self, value: str) -> str:
        """Changes it."""
        return value.upper()


def test_a_changed_field_shows_as_it_will_be() -> None:
    """Validators, serialisers and constraints of a field: it shows when it is complete."""
    text = '{"stripped": " a ", "dumped": "b", "constrained": "C", "last": "d'
    assert growth(Cleaned, *text, "e")[-2:] == [
        {"stripped": "a", "dumped": "B", "constrained": "c", "last": ""},
        {"stripped": "a", "dumped": "B", "constrained": "c", "last": "d"},
    ]


class Lowered(BaseModel):
    """All strings are changed."""

    model_config = ConfigDict(str_to_lower=True)
    name: str
    last: str = ""


def test_a_class_that_changes_all_strings_shows_complete_ones() -> None:
    """`str_to_lower` and the like."""
    assert growth(Lowered, '{"name":"A', '","last":"', "B", '"', "}") == []
    said = growth(Lowered, '{"name":"A', '","last":"', "B", '","x":"', "y")
    assert said == [{"name": "a"}]


def test_the_work_is_linear() -> None:
    """A long text in small pieces is said a bounded number of times."""
    text = '{"name":"' + "x" * 50_000
    assert 50 < len(growth(City, *text)) < 400
